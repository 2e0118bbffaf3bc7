package recovery

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// BlockInfo describes one block, as datablock_block_info does.
type BlockInfo struct {
	Name          string
	TotalBytes    uint64
	SlotSize      uint64
	NextID        uint64
	ProducerPID   uint64
	SlotCount     uint32
	SpareSlots    uint32
	Policy        uint32
	Consumers     uint32
	ConsumerLimit uint32
	ProducerPIDNS uint64 // inode of the pid namespace of ProducerPID, 0: not known
	State         uint32 // 0: the file claims to be a block and cannot be read as one
	Checksum      uint32
	Algorithm     uint32 // 0 without checksums
	Reclaims      bool
}

// filesIn returns the files of a directory, "" for the default one, and the directory's path.
func filesIn(directory string) (string, []platform.Entry, error) {
	dir, err := segment.ResolveDirectory(directory)
	if err != nil {
		return "", nil, err
	}
	files, err := platform.ReadDirectory(dir)
	if err != nil {
		return "", nil, segment.SystemError(err, "list the blocks")
	}
	return dir, files, nil
}

// List describes the blocks in a directory ("" for the default one), sorted by name. It opens the
// files read-only and changes nothing. A file with a control file beside it is a block, even if it
// cannot be read: another user's, one whose first bytes are damaged, or one that was truncated to
// nothing.
func List(directory string) ([]BlockInfo, error) {
	dir, files, err := filesIn(directory)
	if err != nil {
		return nil, err
	}
	controlled := controlled(files)
	var list []BlockInfo
	for _, f := range files {
		if !mayBeBlock(f) {
			continue
		}
		v, err := openView(segment.Location{Directory: dir, Name: f.Name})
		switch {
		case err == nil:
			list = append(list, v.info())
			v.close()
		case status.CodeOf(err) == status.NotFound: // removed meanwhile
		case controlled[f.Name], claimsToBeBlock(dir, f.Name):
			list = append(list, BlockInfo{Name: f.Name})
		}
	}
	return list, nil
}

// Names returns the names of the files in a directory ("" for the default one) that List describes,
// sorted, without opening the blocks. Some of the files may have gone, or be no blocks.
func Names(directory string) ([]string, error) {
	dir, files, err := filesIn(directory)
	if err != nil {
		return nil, err
	}
	controlled := controlled(files)
	var names []string
	for _, f := range files {
		if mayBeBlock(f) && (controlled[f.Name] || claimsToBeBlock(dir, f.Name)) {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// controlled returns the names that have a control file.
func controlled(files []platform.Entry) map[string]bool {
	names := map[string]bool{}
	for _, f := range files {
		if name, _, temporary, ok := segment.ParseControl(f.Name); ok && !temporary && f.Regular {
			names[name] = true
		}
	}
	return names
}

// mayBeBlock reports whether a file has a name that the data file of a block can have.
func mayBeBlock(f platform.Entry) bool {
	return f.Regular && segment.BadName(f.Name) == "" && !strings.HasSuffix(f.Name, segment.ControlSuffix)
}

func claimsToBeBlock(dir, name string) bool {
	magic, err := platform.ReadFile(segment.Location{Directory: dir, Name: name}.DataPath(), 8)
	return err == nil && len(magic) == 8 && binary.LittleEndian.Uint64(magic) == layout.MagicData
}

// view is a block opened for diagnosis: read-only, and able to probe the leases.
type view struct {
	*segment.Segment
	ask *platform.Locks
}

func openView(l segment.Location) (*view, error) {
	return segment.RetryMoved(l, func() (*view, error) {
		b, err := segment.OpenBlock(l, segment.Observe)
		if err != nil {
			return nil, l.Sought(err)
		}
		ask, err := segment.OpenLocks(b, false)
		if err != nil {
			b.Unmap()
			return nil, err
		}
		return &view{b, ask}, nil
	})
}

func (v *view) close() {
	v.ask.Close()
	v.Unmap()
}

// describe returns what the block is, without its participants.
func (v *view) describe() BlockInfo {
	return BlockInfo{
		Name: v.BlockName(), TotalBytes: v.DataSize + v.ControlSize, SlotSize: v.SlotBytes, NextID: v.End(),
		SlotCount:  v.SlotCount,
		SpareSlots: v.SpareSlots, Policy: uint32(v.Policy), ConsumerLimit: v.ConsumerLimit, State: v.StateWord.Load(),
		Checksum: uint32(v.Checksum), Algorithm: uint32(v.Algorithm()), Reclaims: v.Reclaims(),
	}
}

func (v *view) info() BlockInfo {
	i := v.describe()
	if segment.Probe(v.ask, layout.ProducerRow) == segment.OwnerAlive {
		v.nameProducer(&i)
	}
	for row := uint32(1); row <= v.ConsumerLimit; row++ {
		if v.RowStatus(row) != layout.RowFree && segment.Probe(v.ask, row) == segment.OwnerAlive {
			i.Consumers++
		}
	}
	return i
}

func (v *view) nameProducer(i *BlockInfo) {
	i.ProducerPID, i.ProducerPIDNS = *v.Data.Plain64(layout.ProducerPID), *v.Data.Plain64(layout.ProducerPIDNS)
}

// Unlink removes a block. It refuses while participants live, unless flags has Force. With Force
// the producer is fenced, and all participants get a status that makes them attach again.
// Errors: Invalid, NotFound, Access, ProducerActive, Busy, Corrupt, System.
func Unlink(name, directory string, flags uint32) error {
	if flags&^uint32(segment.Force) != 0 {
		return status.Errorf(status.Invalid, "flags 0x%x: only FORCE applies to unlink", flags)
	}
	l, err := segment.Locate(name, directory)
	if err != nil {
		return err
	}
	_, err = segment.RetryMoved(l, func() (struct{}, error) { return struct{}{}, unlink(l, flags&segment.Force != 0) })
	return err
}

func unlink(l segment.Location, force bool) error {
	b, err := segment.OpenBlock(l, segment.Produce)
	if force && errors.Is(err, segment.ErrControlLost) {
		return unlinkHalf(l)
	}
	if err != nil {
		return l.Sought(err)
	}
	a, err := segment.NewAttachment(b)
	if err != nil {
		b.Unmap()
		return err
	}
	id := b.ID
	defer func() {
		a.CloseLocks()
		b.Unmap()
		segment.CollectBlock(l, id)
	}()
	locked, err := a.LockProducerRow()
	if err != nil {
		return err
	}
	if err := a.LockReplace(); err != nil {
		return err
	}
	if err := a.StillNamed(); err != nil {
		return err
	}
	if !locked && !force {
		return b.BeingWritten("close it first", "unlink it by force")
	}
	found, held, err := a.ProbeLocks.Find(segment.RowByte(1), layout.LockStride*int64(b.ConsumerLimit))
	if err != nil {
		return segment.SystemError(err, "block %q", b.BlockName())
	}
	if held && !force {
		row := uint32((found.Start - layout.LockRows) / layout.LockStride)
		if heir := b.LockHeir(row); heir != "" {
			return status.Errorf(status.Busy, "block %q is in use: consumer row %d (%q): %s, or unlink it by force",
				b.BlockName(), row,
				b.RowName(row), heir)
		}
		return status.Errorf(status.Busy, "block %q is in use: consumer row %d (%q, %s): close it first, or unlink it "+
			"by force",
			b.BlockName(), row, b.RowName(row), b.DescribeOwner(row))
	}
	if err := b.MayEnd(); err != nil {
		return err
	}
	before := b.Supersede()
	if err := b.RemoveData(); err != nil {
		b.StateWord.CompareAndSwap(layout.StateSuperseded, before) // still allowed: this process holds REPLACE
		return segment.SystemError(err, "block %q", b.BlockName())
	}
	crash.Point("unlink.removed")
	b.WakeConsumers()
	b.WakeProducer()
	b.RemoveControl()
	return nil
}

// unlinkHalf removes a block that has lost its control file, and with it the locks. No lease can be
// probed, and no other process can be replacing the block. Attached participants see the change in
// the state.
func unlinkHalf(l segment.Location) error {
	b, err := segment.OpenData(l, l.DataPath(), segment.Produce,
		func(b *segment.Segment) error { b.ResolveDataWords(); return nil })
	if err != nil {
		return err
	}
	defer b.Unmap()
	if err := b.StillNamed(); err != nil {
		return err
	}
	if err := b.MayEnd(); err != nil {
		return err
	}
	if _, err := platform.StatPath(b.ControlPath(b.ID)); !errors.Is(err, fs.ErrNotExist) {
		return segment.ErrMoved // it is back
	}
	b.Supersede()
	if err := b.RemoveData(); err != nil {
		return segment.SystemError(err, "block %q", b.BlockName())
	}
	crash.Point("unlink.removed")
	b.WakeConsumers()
	return nil
}
