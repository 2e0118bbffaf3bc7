// Package segment is one mapped block, without a role: its name and files, its header, the ring and
// the rows, the leases of rows, the locks and the zone. Producers and consumers (package channel)
// and operators (package recovery) are built on it. Only the operating-system calls of
// internal/platform are below.
package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"

	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// Access is what an opener does with a block. It decides which files are mapped writable.
type Access int

const (
	Observe Access = iota // both files read-only
	Consume               // the control file writable
	Produce               // both writable
)

// ErrMoved says that the name led to another file when it was used. The caller tries again.
var ErrMoved = errors.New("the block was replaced or removed meanwhile")

// Segment is a mapped block. The geometry comes from the private header. Of the mappings, only the
// mutable words are used.
type Segment struct {
	Location
	*Header
	Data, Ctl sharedWords
	DataFile  *platform.File // only while the block is being opened
	DataInfo  platform.FileInfo
	CtlInfo   platform.FileInfo
	Home      platform.FileInfo // the directory in which the block was found; none if the system did not answer

	Entries []atomic.Uint64
	Inverse uint64 // of the number of entries

	// The words that every message uses, computed once.
	StateWord, Event, CtlWake           *atomic.Uint32
	CommitHint                          *uint64
	Waiting, ProducerWaiting, JoinEpoch *atomic.Uint64
	JoinAck, ScanEpoch                  *atomic.Uint64
	Active, Lossless                    []atomic.Uint64
}

// SystemError gives an operating-system error its status.
func SystemError(err error, what string, args ...any) error {
	code := status.System
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = status.NotFound
	case errors.Is(err, fs.ErrExist):
		code = status.Exists
	case errors.Is(err, platform.ErrRefused):
		hint = ": a filter of system calls (seccomp), a security module or the file system refuses it: allow the " +
			"call, or use another directory"
	case errors.Is(err, fs.ErrPermission):
		code = status.Access
		if denied := (*platform.Denied)(nil); errors.As(err, &denied) && denied.ByMode {
			hint = "; the mode that its producer asks for lets others attach (0640: its group, 0646: everybody), " +
				"produce (0660: its group), or look, with an observer (0644: everybody)"
		}
	case errors.Is(err, platform.ErrNoSpace):
		code, hint = status.NoSpace, ": free some (datablock-admin list shows the blocks, unlink "+
			"removes one that nobody needs, gc what dead processes left), ask for fewer or smaller slots (slot_count, "+
			"spare_slots, which follows from consumer_limit, and slot_size), or use another directory"
	case errors.Is(err, platform.ErrFileLimit):
		code, hint = status.NoSpace, ": raise the limit, or ask for fewer or smaller slots"
	case errors.Is(err, platform.ErrSymlink), errors.Is(err, platform.ErrNotRegular):
		code, hint = status.Corrupt, ": use another name, or remove it if nobody needs it"
	}
	return &status.Error{Code: code, Detail: fmt.Sprintf(what, args...) + ": " + err.Error() + hint, Cause: err}
}

// ControlError is SystemError for the control file of a block whose data file could be opened.
func ControlError(err error, name string) error {
	e := SystemError(err, "block %q", name)
	if denied := (*platform.Denied)(nil); status.CodeOf(e) == status.Access && errors.As(err, &denied) &&
		denied.ByMode {
		e.(*status.Error).Detail += "; this one can be looked at: an observer needs the data file only"
	}
	return e
}

// AdviseValidate is the advice for damage that a repair may put right.
func AdviseValidate(name string) string {
	return "see what can be repaired before you remove anything: datablock-admin validate --shm-name " + name
}

// OpenBlock maps the block at l and validates everything that the process will rely on. ErrMoved:
// the name changed meanwhile.
func OpenBlock(l Location, mode Access) (*Segment, error) {
	return openBlockAt(l, l.DataPath(), mode)
}

// populateMost is the number of bytes of slots that an open maps.
const populateMost = 256 << 20

// Populate maps the pages of the slots. Otherwise every message of the first lap waits for page
// faults. The memory is reserved already. Beyond populateMost bytes the open would take too long.
func (b *Segment) Populate(write bool) {
	start := b.SlotHeader(0) &^ (layout.Page - 1)
	platform.Populate(b.Data[start:start+min(b.DataSize-start, populateMost)], write)
}

// openBlockAt is OpenBlock for a data file whose path may differ from its block's name (the
// temporary file).
func openBlockAt(l Location, path string, mode Access) (*Segment, error) {
	return OpenData(l, path, mode, func(b *Segment) error {
		if err := b.mapControl(mode); err != nil {
			if answer, _ := follow(path, b.DataInfo, b.Home); answer.no() {
				return ErrMoved
			}
			return err
		}
		b.ResolveWords()
		return nil
	})
}

// OpenData maps a data file and calls complete. If complete fails or faults, OpenData leaves
// nothing open.
func OpenData(l Location, path string, mode Access, complete func(*Segment) error) (*Segment, error) {
	f, err := platform.OpenFile(path, mode == Produce)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBlock(l, err)
	}
	if err != nil {
		return nil, SystemError(err, "block %q", l.Name)
	}
	b := &Segment{Location: l, DataFile: f}
	b.Home, _ = platform.StatDirectory(l.Directory)
	opened := false
	defer func() {
		if !opened { // an error or a fault: the file may be truncated during the read
			b.Unmap()
		}
	}()
	if err := b.mapData(path, mode); err != nil {
		return nil, err
	}
	if err := complete(b); err != nil {
		return nil, err
	}
	b.CloseFile()
	opened = true
	return b, nil
}

// ErrAbsent is the cause of an error of OpenBlock when no block has that name.
var ErrAbsent = errors.New("no such block")

func noBlock(l Location, cause error) error {
	return &status.Error{Code: status.NotFound, Cause: errors.Join(ErrAbsent, cause),
		Detail: fmt.Sprintf("no block %q in %s: check the name and the directory, and whether its producer has been "+
			"started", l.Name, l.Directory)}
}

func (b *Segment) mapData(path string, mode Access) error {
	info, err := b.DataFile.Stat()
	if err != nil {
		return SystemError(err, "block %q", b.BlockName())
	}
	b.DataInfo = info
	if !info.Regular {
		return status.Errorf(status.Corrupt, "%s is not a regular file: use another name, or remove it if nobody "+
			"needs it", path)
	}
	if info.Size < layout.SchemaRegion {
		return status.Errorf(status.Corrupt, "%s is not a DataBlock file, or truncated: it has %d bytes; use another "+
			"name, or remove it if nobody needs it", path, info.Size)
	}
	if b.Data, err = b.DataFile.Map(info.Size, mode == Produce, mode == Produce); err != nil {
		return SystemError(err, "block %q", b.BlockName())
	}
	b.Header, err = DecodeHeader(append([]byte(nil), b.Data[:layout.ImmutableLen]...), path)
	if err != nil {
		e := err.(*status.Error)
		switch {
		case e.Code != status.Corrupt:
		case binary.LittleEndian.Uint64(b.Data) == layout.MagicData:
			e.Detail += "; " + AdviseValidate(b.Location.Name)
		case b.hasControlFile(): // a block whose magic is damaged
			e.Detail = fmt.Sprintf("%s begins with %q, and not as a block does, but a control file of that name "+
				"lies beside it; %s", path, b.Data[:8], AdviseValidate(b.Location.Name))
		}
		return err
	}
	if b.Header.DataSize != uint64(info.Size) {
		return status.Errorf(status.Corrupt, "%s has %d bytes, its header says %d: it was truncated or extended; %s",
			path, info.Size,
			b.Header.DataSize, AdviseValidate(b.Location.Name))
	}
	if b.Header.Name != b.Location.Name && platform.SameFileName(b.Header.Name, b.Location.Name) {
		return status.Errorf(status.Invalid, "block %q: %s holds the block %q, and this system takes the two names "+
			"for one: use that spelling", b.Location.Name, path, b.Header.Name)
	}
	if b.Header.Name != b.Location.Name {
		problem, advice := b.Misnamed(b.ID, b.Header.Name)
		return status.Errorf(status.Corrupt, "%s: %s", problem, advice)
	}
	return nil
}

// hasControlFile reports whether a control file of the block's name is in the directory.
func (l Location) hasControlFile() bool {
	all, err := platform.ReadDirectory(l.Directory)
	return err == nil && slices.ContainsFunc(all, func(f platform.Entry) bool {
		name, _, temporary, ok := ParseControl(f.Name)
		return ok && !temporary && f.Regular && name == l.Name
	})
}

func (b *Segment) mapControl(mode Access) error {
	path := b.ControlPath(b.ID)
	f, err := platform.OpenFile(path, mode != Observe)
	if errors.Is(err, fs.ErrNotExist) {
		problem, advice, cause := b.LostControl(*b.Data.Plain64(layout.ProducerPID))
		return &status.Error{Code: status.Corrupt, Cause: cause, Detail: problem + ": " + advice}
	}
	if err != nil {
		return ControlError(err, b.BlockName())
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return SystemError(err, "block %q", b.BlockName())
	}
	b.CtlInfo = info
	foreign, err := b.ForeignHead(f, info)
	if err != nil {
		return SystemError(err, "block %q", b.BlockName())
	}
	switch {
	case !info.Regular:
		return status.Errorf(status.Corrupt, "%s is not a regular file: use another name, or remove it if nobody "+
			"needs it", path)
	case info.UID != b.DataInfo.UID:
		return status.Errorf(status.Corrupt, "%s belongs to uid %d, its data file to uid %d: not made by one "+
			"producer; find out who did it, then remove both", path, info.UID, b.DataInfo.UID)
	case foreign != nil:
		problem, advice := b.StrangeControl(foreign)
		return status.Errorf(status.Corrupt, "%s: %s", problem, advice)
	case uint64(info.Size) != b.ControlSize:
		return status.Errorf(status.Corrupt, "%s has %d bytes, the header says %d: it was truncated or extended; %s",
			path, info.Size,
			b.ControlSize, AdviseValidate(b.BlockName()))
	}
	if b.Ctl, err = f.Map(info.Size, mode != Observe, false); err != nil {
		return SystemError(err, "block %q", b.BlockName())
	}
	head, want := append([]byte(nil), b.Ctl[:layout.ControlHeaderLen]...), b.EncodeControl()
	copy(want[layout.CtlMinor:layout.CtlMinor+4], head[layout.CtlMinor:]) // any minor version is readable
	if string(head) != string(want) {
		return status.Errorf(status.Corrupt, "%s is not the control file of this block, or damaged; %s", path,
			AdviseValidate(b.BlockName()))
	}
	return nil
}

// EncodeControl returns the immutable header of the control file.
func (h *Header) EncodeControl() []byte {
	c := make([]byte, layout.ControlHeaderLen)
	binary.LittleEndian.PutUint64(c[layout.CtlMagic:], layout.MagicControl)
	binary.LittleEndian.PutUint32(c[layout.CtlMajor:], h.major())
	binary.LittleEndian.PutUint32(c[layout.CtlMinor:], layout.FormatMinor)
	copy(c[layout.CtlBlockID:], h.ID[:])
	binary.LittleEndian.PutUint64(c[layout.CtlSize:], h.ControlSize)
	binary.LittleEndian.PutUint32(c[layout.CtlConsumerLimit:], h.ConsumerLimit)
	return c
}

func (b *Segment) ResolveDataWords() {
	b.Entries = b.Data.u64s(b.RingOffset, uint64(b.SlotCount))
	b.Inverse = Inverse(uint64(b.SlotCount))
	b.StateWord = b.Data.U32(layout.State)
	b.Event = b.Data.U32(layout.Event)
	b.CommitHint = b.Data.Plain64(layout.Commit)
	b.ProducerWaiting = b.Data.U64(layout.ProducerWaiting)
	b.JoinAck = b.Data.U64(layout.JoinAck)
	b.ScanEpoch = b.Data.U64(layout.ScanEpoch)
}

func (b *Segment) ResolveWords() {
	b.ResolveDataWords()
	b.CtlWake = b.Ctl.U32(layout.CtlWake)
	b.Waiting = b.Ctl.U64(layout.CtlWaiting)
	b.JoinEpoch = b.Ctl.U64(layout.CtlJoinEpoch)
	b.Active = b.Ctl.u64s(layout.CtlActive, layout.MaskWords)
	b.Lossless = b.Ctl.u64s(layout.CtlLossless, layout.MaskWords)
}

func (b *Segment) BlockName() string { return b.Location.Name }

// CloseFile closes the descriptor of the data file. The mapping stays. The host program could close
// a descriptor that the library kept open, or get its number for another file.
func (b *Segment) CloseFile() {
	if b.DataFile != nil {
		b.DataFile.Close()
		b.DataFile = nil
	}
}

func (b *Segment) Unmap() {
	b.CloseFile()
	platform.Unmap(b.Data)
	platform.Unmap(b.Ctl)
	b.Data, b.Ctl, b.Entries = nil, nil, nil
}

// Ending reports whether the block is being replaced or was replaced: no claim begins on it any
// more.
func (b *Segment) Ending() bool {
	state := b.StateWord.Load()
	return state == layout.StateReplacing || state == layout.StateSuperseded
}

// Truncated returns the error of a file that shrank while it is mapped. Only slow paths call it.
func (b *Segment) Truncated() error {
	if err := b.DataTruncated(); err != nil {
		return err
	}
	return b.shrunk("control", b.ControlPath(b.ID), b.CtlInfo, b.ControlSize)
}

func (b *Segment) DataTruncated() error {
	return b.shrunk("data", b.Location.DataPath(), b.DataInfo, b.DataSize)
}

// shrunk checks the file by its name. If the name leads to another file, shrunk reports nothing:
// other checks report a changed name, and an access to the mapping shows a truncation.
func (b *Segment) shrunk(which, path string, mapped platform.FileInfo, size uint64) error {
	now, err := platform.StatPath(path)
	if err != nil || !now.Same(mapped) || uint64(now.Size) >= size {
		return nil
	}
	return status.Errorf(status.Corrupt, "block %q: the %s file was truncated to %d of %d bytes while in use: close, "+
		"remove %s, and open again", b.BlockName(), which, now.Size, size, b.Location.DataPath())
}

// WakeConsumers wakes every sleeping participant, whatever it waits for, so that it looks again.
func (b *Segment) WakeConsumers() {
	b.Event.Add(1)
	crash.Point("wake.consumers")
	platform.Wake(b.Event)
}

// WakeProducer wakes a producer under backpressure, so that it looks again.
func (b *Segment) WakeProducer() {
	b.CtlWake.Add(1)
	crash.Point("wake.producer")
	platform.Wake(b.CtlWake)
}
