package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"path/filepath"
	"sync/atomic"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// access is what an opener means to do with a block; it decides what is mapped writable.
type access int

const (
	observe access = iota // both files read-only
	consume               // the control file writable
	produce               // both writable
)

// errMoved says that the name led elsewhere by the time it was followed: look again.
var errMoved = errors.New("the block was replaced or removed meanwhile")

// block is a mapped block. Geometry comes from the private header; of the mappings only the mutable words are used.
type block struct {
	location
	*header
	data, ctl words
	dataFile  *platform.File // while the block is opened
	dataInfo  platform.FileInfo
	ctlInfo   platform.FileInfo

	entries []atomic.Uint64
	inverse uint64 // of their number

	// The words that every message touches; computed once.
	state, event, ctlWake               *atomic.Uint32
	commitHint                          *uint64
	waiting, producerWaiting, joinEpoch *atomic.Uint64
	joinAck, scanEpoch                  *atomic.Uint64
	active, lossless                    []atomic.Uint64
}

// systemError gives an operating-system error its status.
func systemError(err error, what string, args ...any) error {
	code := System
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = NotFound
	case errors.Is(err, fs.ErrExist):
		code = Exists
	case errors.Is(err, platform.ErrRefused):
		hint = ": a filter of system calls (seccomp), a security module or the file system refuses it: allow the call, or use another directory"
	case errors.Is(err, fs.ErrPermission):
		code, hint = Access, ": check owner and mode of both files, and who runs this program; the mode that its producer asks for lets others attach (0640: its group, 0646: everybody), produce (0660: its group), or look, with an observer (0644: everybody)"
	case errors.Is(err, platform.ErrNoSpace):
		code, hint = NoSpace, ": free some, ask for fewer or smaller slots, or use another directory"
	case errors.Is(err, platform.ErrFileLimit):
		code, hint = NoSpace, ": raise the limit, or ask for fewer or smaller slots"
	case errors.Is(err, platform.ErrSymlink), errors.Is(err, platform.ErrNotRegular):
		code, hint = Corrupt, ": use another name, or remove it if nobody needs it"
	}
	return &Error{Code: code, Detail: fmt.Sprintf(what, args...) + ": " + err.Error() + hint, Cause: err}
}

// controlError is systemError for the control file, of a block whose data file could be opened.
func controlError(err error, name string) error {
	e := systemError(err, "block %q", name)
	if CodeOf(e) == Access {
		e.(*Error).Detail += "; this one can be looked at: an observer needs the data file only"
	}
	return e
}

// openBlock maps the block at l and validates everything that will be relied on. errMoved: the name changed meanwhile.
func openBlock(l location, mode access) (*block, error) {
	return openBlockAt(l, l.data(), mode)
}

// openBlockAt is openBlock for a data file that may have another path than its block's name (the temporary one).
func openBlockAt(l location, path string, mode access) (*block, error) {
	return openData(l, path, mode, func(b *block) error {
		if err := b.mapControl(mode); err != nil {
			if now, statErr := platform.StatPath(path); statErr != nil || !now.Same(b.dataInfo) {
				return errMoved
			}
			return err
		}
		b.resolveWords()
		return nil
	})
}

// openData maps a data file and lets complete do the rest; if that fails, or faults, nothing is left open.
func openData(l location, path string, mode access, complete func(*block) error) (*block, error) {
	f, err := platform.OpenFile(path, mode == produce)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBlock(l, err)
	}
	if err != nil {
		return nil, systemError(err, "block %q", l.name)
	}
	b := &block{location: l, dataFile: f}
	opened := false
	defer func() {
		if !opened { // by an error, or by a fault: the file may be truncated while we read it
			b.unmap()
		}
	}()
	if err := b.mapData(path, mode); err != nil {
		return nil, err
	}
	if err := complete(b); err != nil {
		return nil, err
	}
	b.closeFile()
	opened = true
	return b, nil
}

// errAbsent is the cause of an error of openBlock that says that there is no block of that name.
var errAbsent = errors.New("no such block")

func noBlock(l location, cause error) error {
	return &Error{Code: NotFound, Cause: errors.Join(errAbsent, cause), Detail: fmt.Sprintf("no block %q in %s: check the name and the directory, and whether its producer has been started", l.name, l.directory)}
}

func (b *block) mapData(path string, mode access) error {
	info, err := b.dataFile.Stat()
	if err != nil {
		return systemError(err, "block %q", b.name())
	}
	b.dataInfo = info
	if !info.Regular {
		return fail(Corrupt, "%s is not a regular file: use another name, or remove it if nobody needs it", path)
	}
	if info.Size < layout.SchemaRegion {
		return fail(Corrupt, "%s is not a DataBlock file, or truncated: it has %d bytes; use another name, or remove it if nobody needs it", path, info.Size)
	}
	if b.data, err = b.dataFile.Map(info.Size, mode == produce, mode == produce); err != nil {
		return systemError(err, "block %q", b.name())
	}
	b.header, err = decode(append([]byte(nil), b.data[:layout.ImmutableLen]...), path)
	if err != nil {
		return err
	}
	if b.header.dataSize != uint64(info.Size) {
		return fail(Corrupt, "%s has %d bytes, its header says %d: it was truncated or extended; remove the file and start the producer again", path, info.Size, b.header.dataSize)
	}
	if b.header.name != b.location.name {
		return fail(Corrupt, "%s holds the block %q: it was renamed; give it its name back", path, b.header.name)
	}
	return nil
}

func (b *block) mapControl(mode access) error {
	path := b.control(b.id)
	f, err := platform.OpenFile(path, mode != observe)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(Corrupt, "block %q has lost its control file %s: remove %s and start the producer again", b.name(), filepath.Base(path), b.location.data())
	}
	if err != nil {
		return controlError(err, b.name())
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return systemError(err, "block %q", b.name())
	}
	b.ctlInfo = info
	switch {
	case !info.Regular:
		return fail(Corrupt, "%s is not a regular file: use another name, or remove it if nobody needs it", path)
	case info.UID != b.dataInfo.UID:
		return fail(Corrupt, "%s belongs to uid %d, its data file to uid %d: not made by one producer; find out who did it, then remove both", path, info.UID, b.dataInfo.UID)
	case uint64(info.Size) != b.controlSize:
		return fail(Corrupt, "%s has %d bytes, the header says %d: it was truncated or extended; remove %s and start the producer again", path, info.Size, b.controlSize, b.location.data())
	}
	if b.ctl, err = f.Map(info.Size, mode != observe, false); err != nil {
		return systemError(err, "block %q", b.name())
	}
	head, want := append([]byte(nil), b.ctl[:layout.ControlHeaderLen]...), b.encodeControl()
	copy(want[layout.CtlMinor:layout.CtlMinor+4], head[layout.CtlMinor:]) // any minor version is readable
	if string(head) != string(want) {
		return fail(Corrupt, "%s is not the control file of this block, or damaged; remove %s and start the producer again", path, b.location.data())
	}
	return nil
}

// encodeControl is the immutable header of the control file.
func (h *header) encodeControl() []byte {
	c := make([]byte, layout.ControlHeaderLen)
	binary.LittleEndian.PutUint64(c[layout.CtlMagic:], layout.MagicControl)
	binary.LittleEndian.PutUint32(c[layout.CtlMajor:], layout.FormatMajor)
	binary.LittleEndian.PutUint32(c[layout.CtlMinor:], layout.FormatMinor)
	copy(c[layout.CtlBlockID:], h.id[:])
	binary.LittleEndian.PutUint64(c[layout.CtlSize:], h.controlSize)
	binary.LittleEndian.PutUint32(c[layout.CtlConsumerLimit:], h.consumerLimit)
	return c
}

func (b *block) resolveDataWords() {
	b.entries = b.data.u64s(b.ringOffset, uint64(b.slotCount))
	b.inverse = inverse(uint64(b.slotCount))
	b.state = b.data.u32(layout.State)
	b.event = b.data.u32(layout.Event)
	b.commitHint = b.data.plain64(layout.Commit)
	b.producerWaiting = b.data.u64(layout.ProducerWaiting)
	b.joinAck = b.data.u64(layout.JoinAck)
	b.scanEpoch = b.data.u64(layout.ScanEpoch)
}

func (b *block) resolveWords() {
	b.resolveDataWords()
	b.ctlWake = b.ctl.u32(layout.CtlWake)
	b.waiting = b.ctl.u64(layout.CtlWaiting)
	b.joinEpoch = b.ctl.u64(layout.CtlJoinEpoch)
	b.active = b.ctl.u64s(layout.CtlActive, layout.MaskWords)
	b.lossless = b.ctl.u64s(layout.CtlLossless, layout.MaskWords)
}

func (b *block) name() string { return b.location.name }

// closeFile closes the data file's descriptor; the mapping stays. What is kept open in a stranger's process may be closed, or used for something else, behind our back.
func (b *block) closeFile() {
	if b.dataFile != nil {
		b.dataFile.Close()
		b.dataFile = nil
	}
}

func (b *block) unmap() {
	b.closeFile()
	platform.Unmap(b.data)
	platform.Unmap(b.ctl)
	b.data, b.ctl, b.entries = nil, nil, nil
}

// ending reports whether the block is being replaced or was: no claim begins on it any more.
func (b *block) ending() bool {
	state := b.state.Load()
	return state == layout.StateReplacing || state == layout.StateSuperseded
}

// displaced reports whether the block's name leads to another file by now. A name that leads nowhere displaces nobody.
func (b *block) displaced() bool {
	now, err := platform.StatPath(b.location.data())
	return err == nil && !now.Same(b.dataInfo)
}

// named reports whether the block's name still leads to it.
func (b *block) named() bool {
	now, err := platform.StatPath(b.location.data())
	return err == nil && now.Same(b.dataInfo)
}

// truncated is the error of a file that shrank under us. It is looked for on slow paths only.
func (b *block) truncated() error {
	if err := b.dataTruncated(); err != nil {
		return err
	}
	return b.shrunk("control", b.control(b.id), b.ctlInfo, b.controlSize)
}

func (b *block) dataTruncated() error {
	return b.shrunk("data", b.location.data(), b.dataInfo, b.dataSize)
}

// shrunk asks by name. Where the name leads elsewhere there is nothing to say: that is another fault's business, and a load or store in the mapping tells the rest.
func (b *block) shrunk(which, path string, mapped platform.FileInfo, size uint64) error {
	now, err := platform.StatPath(path)
	if err != nil || !now.Same(mapped) || uint64(now.Size) >= size {
		return nil
	}
	return fail(Corrupt, "block %q: the %s file was truncated to %d of %d bytes while in use: close, remove %s, and open again", b.name(), which, now.Size, size, b.location.data())
}

// inverse is 2^64 / n, rounded down, or, for a power of two, one less.
func inverse(n uint64) uint64 { return ^uint64(0) / n }

// entry is where message id is, was, or will be.
func (b *block) entry(id uint64) *atomic.Uint64 { return &b.entries[b.placeOf(id)] }

// placeOf is id % len(entries). A multiplication by the inverse is at most one lap short, and cheaper than a division.
func (b *block) placeOf(id uint64) uint32 {
	n := uint64(len(b.entries))
	laps, _ := bits.Mul64(id, b.inverse)
	at := id - laps*n
	if at >= n {
		at -= n
	}
	return uint32(at)
}

// commit is the hint: one past an id that was published, not always the newest.
// Pairs with the store in Producer.Commit; nothing is concluded from it that the entries do not confirm.
func (b *block) commit() uint64 { return atomic.LoadUint64(b.commitHint) }

// next is one past the newest message: the hint, corrected by the entries, which alone decide.
func (b *block) next() uint64 {
	next := b.commit()
	for range b.slotCount + 1 { // a living producer can be outrun only so far; more is no use
		e := b.entry(next).Load()
		if layout.EntryEmpty(e) {
			break
		}
		id := layout.EntryID(e, next)
		if id < next || id == ^uint64(0) {
			break
		}
		next = id + 1
	}
	return next
}

// oldest is the oldest id that may be present before next.
func (b *block) oldest(next uint64) uint64 {
	if n := uint64(b.slotCount); next > n {
		return next - n
	}
	return 0
}

// wakeConsumers lets every sleeper look again, whatever it waits for.
func (b *block) wakeConsumers() {
	b.event.Add(1)
	crash.Point("wake.consumers")
	platform.Wake(b.event)
}

// wakeProducer lets a held-up producer look again.
func (b *block) wakeProducer() {
	b.ctlWake.Add(1)
	crash.Point("wake.producer")
	platform.Wake(b.ctlWake)
}
