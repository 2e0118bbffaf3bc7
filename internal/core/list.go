package core

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"strings"

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
}

// List describes the blocks in a directory ("" for the default one), sorted by name. It opens the
// files read-only and changes nothing. A file with a control file beside it is a block, even if it
// cannot be read: another user's, one whose first bytes are damaged, or one that was truncated to
// nothing.
func List(directory string) ([]BlockInfo, error) {
	dir, err := resolveDirectory(directory)
	if err != nil {
		return nil, err
	}
	files, err := platform.ReadDirectory(dir)
	if err != nil {
		return nil, systemError(err, "list the blocks")
	}
	controlled := map[string]bool{} // names that have a control file
	for _, f := range files {
		if name, _, temporary, ok := parseControl(f.Name); ok && !temporary && f.Regular {
			controlled[name] = true
		}
	}
	var list []BlockInfo
	for _, f := range files {
		if !f.Regular || badName(f.Name) != "" || strings.HasSuffix(f.Name, controlSuffix) {
			continue
		}
		v, err := openView(location{directory: dir, name: f.Name})
		switch {
		case err == nil:
			list = append(list, v.info())
			v.close()
		case CodeOf(err) == NotFound: // removed meanwhile
		case controlled[f.Name], claimsToBeBlock(dir, f.Name):
			list = append(list, BlockInfo{Name: f.Name})
		}
	}
	return list, nil
}

func claimsToBeBlock(dir, name string) bool {
	magic, err := platform.ReadFile(location{directory: dir, name: name}.data(), 8)
	return err == nil && len(magic) == 8 && binary.LittleEndian.Uint64(magic) == layout.MagicData
}

// view is a block opened for diagnosis: read-only, and able to probe the leases.
type view struct {
	*block
	ask *platform.Locks
}

func openView(l location) (*view, error) {
	return retryMoved(l, func() (*view, error) {
		b, err := openBlock(l, observe)
		if err != nil {
			return nil, l.sought(err)
		}
		ask, err := openLocks(b, false)
		if err != nil {
			b.unmap()
			return nil, err
		}
		return &view{b, ask}, nil
	})
}

func (v *view) close() {
	v.ask.Close()
	v.unmap()
}

func (v *view) info() BlockInfo {
	i := BlockInfo{
		Name: v.name(), TotalBytes: v.dataSize + v.controlSize, SlotSize: v.slotSize, NextID: v.next(),
		SlotCount:  v.slotCount,
		SpareSlots: v.spareSlots, Policy: uint32(v.policy), ConsumerLimit: v.consumerLimit, State: v.state.Load(),
	}
	if probe(v.ask, layout.ProducerRow) == somebody {
		i.ProducerPID, i.ProducerPIDNS = *v.data.plain64(layout.ProducerPID), *v.data.plain64(layout.ProducerPIDNS)
	}
	for row := uint32(1); row <= v.consumerLimit; row++ {
		if v.rowStatus(row) != layout.RowFree && probe(v.ask, row) == somebody {
			i.Consumers++
		}
	}
	return i
}

// Unlink removes a block. It refuses while participants live, unless flags has Force. With Force
// the producer is fenced, and all participants get a status that makes them attach again.
// Errors: Invalid, NotFound, Access, ProducerActive, Busy, Corrupt, System.
func Unlink(name, directory string, flags uint32) error {
	if flags&^uint32(Force) != 0 {
		return fail(Invalid, "flags 0x%x: only FORCE applies to unlink", flags)
	}
	l, err := locate(name, directory)
	if err != nil {
		return err
	}
	_, err = retryMoved(l, func() (struct{}, error) { return struct{}{}, unlink(l, flags&Force != 0) })
	return err
}

func unlink(l location, force bool) error {
	b, err := openBlock(l, produce)
	if force && errors.Is(err, errControlLost) {
		return unlinkHalf(l)
	}
	if err != nil {
		return l.sought(err)
	}
	a, err := newAttachment(b)
	if err != nil {
		b.unmap()
		return err
	}
	id := b.id
	defer func() {
		a.closeLocks()
		b.unmap()
		collect(l, id)
	}()
	locked, err := a.lockProducerRow()
	if err != nil {
		return err
	}
	if err := a.lockReplace(); err != nil {
		return err
	}
	if err := a.stillNamed(); err != nil {
		return err
	}
	if !locked && !force {
		return b.beingWritten("close it first", "unlink it by force")
	}
	found, held, err := a.ask.Find(rowByte(1), layout.LockStride*int64(b.consumerLimit))
	if err != nil {
		return systemError(err, "block %q", b.name())
	}
	if held && !force {
		row := uint32((found.Start - layout.LockRows) / layout.LockStride)
		if heir := b.heir(row); heir != "" {
			return fail(Busy, "block %q is in use: consumer row %d (%q): %s, or unlink it by force", b.name(), row,
				b.rowName(row), heir)
		}
		return fail(Busy, "block %q is in use: consumer row %d (%q, %s): close it first, or unlink it by force",
			b.name(), row, b.rowName(row), b.who(row))
	}
	if err := b.mayEnd(); err != nil {
		return err
	}
	before := b.supersede()
	if err := b.removeData(); err != nil {
		b.state.CompareAndSwap(layout.StateSuperseded, before) // still allowed: this process holds REPLACE
		return systemError(err, "block %q", b.name())
	}
	crash.Point("unlink.removed")
	b.wakeConsumers()
	b.wakeProducer()
	b.removeControl()
	return nil
}

// unlinkHalf removes a block that has lost its control file, and with it the locks. No lease can be
// probed, and no other process can be replacing the block. Attached participants see the change in
// the state.
func unlinkHalf(l location) error {
	b, err := openData(l, l.data(), produce, func(b *block) error { b.resolveDataWords(); return nil })
	if err != nil {
		return err
	}
	defer b.unmap()
	if err := b.stillNamed(); err != nil {
		return err
	}
	if err := b.mayEnd(); err != nil {
		return err
	}
	if _, err := platform.StatPath(b.control(b.id)); !errors.Is(err, fs.ErrNotExist) {
		return errMoved // it is back
	}
	b.supersede()
	if err := b.removeData(); err != nil {
		return systemError(err, "block %q", b.name())
	}
	crash.Point("unlink.removed")
	b.wakeConsumers()
	return nil
}

// removeData removes the data file of a block that has been superseded. It checks just before the
// removal that the name still leads to the block: another program may have removed the file, and a
// producer may have made a new block. Between the check and the removal a window of two system
// calls remains, because no call removes a name only while it leads to a certain file.
func (b *block) removeData() error {
	if b.lostName() {
		return nil
	}
	if err := platform.Remove(b.location.data()); err != nil && !b.lostName() {
		return err
	}
	return nil
}
