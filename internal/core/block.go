package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"slices"
	"sync/atomic"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// access is what an opener does with a block. It decides which files are mapped writable.
type access int

const (
	observe access = iota // both files read-only
	consume               // the control file writable
	produce               // both writable
)

// errMoved says that the name led to another file when it was used. The caller tries again.
var errMoved = errors.New("the block was replaced or removed meanwhile")

// block is a mapped block. The geometry comes from the private header. Of the mappings, only the
// mutable words are used.
type block struct {
	location
	*header
	data, ctl words
	dataFile  *platform.File // only while the block is being opened
	dataInfo  platform.FileInfo
	ctlInfo   platform.FileInfo
	home      platform.FileInfo // the directory in which the block was found; none if the system did not answer

	entries []atomic.Uint64
	inverse uint64 // of the number of entries

	// The words that every message uses, computed once.
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
		hint = ": a filter of system calls (seccomp), a security module or the file system refuses it: allow the " +
			"call, or use another directory"
	case errors.Is(err, fs.ErrPermission):
		code = Access
		if denied := (*platform.Denied)(nil); errors.As(err, &denied) && denied.ByMode {
			hint = "; the mode that its producer asks for lets others attach (0640: its group, 0646: everybody), " +
				"produce (0660: its group), or look, with an observer (0644: everybody)"
		}
	case errors.Is(err, platform.ErrNoSpace):
		code, hint = NoSpace, ": free some (datablock-admin gc removes what dead processes left), ask for fewer or "+
			"smaller slots (slot_count, spare_slots, which follows from consumer_limit, and slot_size), or use "+
			"another directory"
	case errors.Is(err, platform.ErrFileLimit):
		code, hint = NoSpace, ": raise the limit, or ask for fewer or smaller slots"
	case errors.Is(err, platform.ErrSymlink), errors.Is(err, platform.ErrNotRegular):
		code, hint = Corrupt, ": use another name, or remove it if nobody needs it"
	}
	return &Error{Code: code, Detail: fmt.Sprintf(what, args...) + ": " + err.Error() + hint, Cause: err}
}

// controlError is systemError for the control file of a block whose data file could be opened.
func controlError(err error, name string) error {
	e := systemError(err, "block %q", name)
	if denied := (*platform.Denied)(nil); CodeOf(e) == Access && errors.As(err, &denied) && denied.ByMode {
		e.(*Error).Detail += "; this one can be looked at: an observer needs the data file only"
	}
	return e
}

// lookFirst is the advice for damage that a repair may put right.
func lookFirst(name string) string {
	return "see what can be repaired before you remove anything: datablock-admin validate --shm-name " + name
}

// openBlock maps the block at l and validates everything that the process will rely on. errMoved:
// the name changed meanwhile.
func openBlock(l location, mode access) (*block, error) {
	return openBlockAt(l, l.data(), mode)
}

// openBlockAt is openBlock for a data file whose path may differ from its block's name (the
// temporary file).
func openBlockAt(l location, path string, mode access) (*block, error) {
	return openData(l, path, mode, func(b *block) error {
		if err := b.mapControl(mode); err != nil {
			if answer, _ := follow(path, b.dataInfo, b.home); answer.no() {
				return errMoved
			}
			return err
		}
		b.resolveWords()
		return nil
	})
}

// openData maps a data file and calls complete. If complete fails or faults, openData leaves
// nothing open.
func openData(l location, path string, mode access, complete func(*block) error) (*block, error) {
	f, err := platform.OpenFile(path, mode == produce)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBlock(l, err)
	}
	if err != nil {
		return nil, systemError(err, "block %q", l.name)
	}
	b := &block{location: l, dataFile: f}
	b.home, _ = platform.StatDirectory(l.directory)
	opened := false
	defer func() {
		if !opened { // an error or a fault: the file may be truncated during the read
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

// errAbsent is the cause of an error of openBlock when no block has that name.
var errAbsent = errors.New("no such block")

func noBlock(l location, cause error) error {
	return &Error{Code: NotFound, Cause: errors.Join(errAbsent, cause),
		Detail: fmt.Sprintf("no block %q in %s: check the name and the directory, and whether its producer has been "+
			"started", l.name, l.directory)}
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
		return fail(Corrupt, "%s is not a DataBlock file, or truncated: it has %d bytes; use another name, or remove "+
			"it if nobody needs it", path, info.Size)
	}
	if b.data, err = b.dataFile.Map(info.Size, mode == produce, mode == produce); err != nil {
		return systemError(err, "block %q", b.name())
	}
	b.header, err = decode(append([]byte(nil), b.data[:layout.ImmutableLen]...), path)
	if err != nil {
		e := err.(*Error)
		switch {
		case e.Code != Corrupt:
		case binary.LittleEndian.Uint64(b.data) == layout.MagicData:
			e.Detail += "; " + lookFirst(b.location.name)
		case b.hasControlFile(): // a block whose magic is damaged
			e.Detail = fmt.Sprintf("%s begins with %q, and not as a block does, but a control file of that name "+
				"lies beside it; %s", path, b.data[:8], lookFirst(b.location.name))
		}
		return err
	}
	if b.header.dataSize != uint64(info.Size) {
		return fail(Corrupt, "%s has %d bytes, its header says %d: it was truncated or extended; %s", path, info.Size,
			b.header.dataSize, lookFirst(b.location.name))
	}
	if b.header.name != b.location.name {
		problem, advice := b.misnamed(b.id, b.header.name)
		return fail(Corrupt, "%s: %s", problem, advice)
	}
	return nil
}

// hasControlFile reports whether a control file of the block's name is in the directory.
func (l location) hasControlFile() bool {
	all, err := platform.ReadDirectory(l.directory)
	return err == nil && slices.ContainsFunc(all, func(f platform.Entry) bool {
		name, _, temporary, ok := parseControl(f.Name)
		return ok && !temporary && f.Regular && name == l.name
	})
}

func (b *block) mapControl(mode access) error {
	path := b.control(b.id)
	f, err := platform.OpenFile(path, mode != observe)
	if errors.Is(err, fs.ErrNotExist) {
		problem, advice, cause := b.lostControl(*b.data.plain64(layout.ProducerPID))
		return &Error{Code: Corrupt, Cause: cause, Detail: problem + ": " + advice}
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
	foreign, err := b.foreignHead(f, info)
	if err != nil {
		return systemError(err, "block %q", b.name())
	}
	switch {
	case !info.Regular:
		return fail(Corrupt, "%s is not a regular file: use another name, or remove it if nobody needs it", path)
	case info.UID != b.dataInfo.UID:
		return fail(Corrupt, "%s belongs to uid %d, its data file to uid %d: not made by one producer; find out who "+
			"did it, then remove both", path, info.UID, b.dataInfo.UID)
	case foreign != nil:
		problem, advice := b.strangeControl(foreign)
		return fail(Corrupt, "%s: %s", problem, advice)
	case uint64(info.Size) != b.controlSize:
		return fail(Corrupt, "%s has %d bytes, the header says %d: it was truncated or extended; %s", path, info.Size,
			b.controlSize, lookFirst(b.name()))
	}
	if b.ctl, err = f.Map(info.Size, mode != observe, false); err != nil {
		return systemError(err, "block %q", b.name())
	}
	head, want := append([]byte(nil), b.ctl[:layout.ControlHeaderLen]...), b.encodeControl()
	copy(want[layout.CtlMinor:layout.CtlMinor+4], head[layout.CtlMinor:]) // any minor version is readable
	if string(head) != string(want) {
		return fail(Corrupt, "%s is not the control file of this block, or damaged; %s", path, lookFirst(b.name()))
	}
	return nil
}

// encodeControl returns the immutable header of the control file.
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

// closeFile closes the descriptor of the data file. The mapping stays. The host program could close
// a descriptor that the library kept open, or get its number for another file.
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

// ending reports whether the block is being replaced or was replaced: no claim begins on it any
// more.
func (b *block) ending() bool {
	state := b.state.Load()
	return state == layout.StateReplacing || state == layout.StateSuperseded
}

// truncated returns the error of a file that shrank while it is mapped. Only slow paths call it.
func (b *block) truncated() error {
	if err := b.dataTruncated(); err != nil {
		return err
	}
	return b.shrunk("control", b.control(b.id), b.ctlInfo, b.controlSize)
}

func (b *block) dataTruncated() error {
	return b.shrunk("data", b.location.data(), b.dataInfo, b.dataSize)
}

// shrunk checks the file by its name. If the name leads to another file, shrunk reports nothing:
// other checks report a changed name, and an access to the mapping shows a truncation.
func (b *block) shrunk(which, path string, mapped platform.FileInfo, size uint64) error {
	now, err := platform.StatPath(path)
	if err != nil || !now.Same(mapped) || uint64(now.Size) >= size {
		return nil
	}
	return fail(Corrupt, "block %q: the %s file was truncated to %d of %d bytes while in use: close, remove %s, and "+
		"open again", b.name(), which, now.Size, size, b.location.data())
}

// inverse returns 2^64 / n, rounded down; for a power of two, one less.
func inverse(n uint64) uint64 { return ^uint64(0) / n }

// entry returns the ring entry that message id has, had or will have.
func (b *block) entry(id uint64) *atomic.Uint64 { return &b.entries[b.placeOf(id)] }

// placeOf returns id % len(entries). A multiplication by the inverse is at most one lap short, and
// cheaper than a division.
func (b *block) placeOf(id uint64) uint32 {
	n := uint64(len(b.entries))
	laps, _ := bits.Mul64(id, b.inverse)
	at := id - laps*n
	if at >= n {
		at -= n
	}
	return uint32(at)
}

// commit returns the hint: one past an id that was published, not always the newest.
// Pairs with the store in Producer.Commit. Nothing relies on the hint without a confirmation by the
// entries.
func (b *block) commit() uint64 { return atomic.LoadUint64(b.commitHint) }

// next returns one past the newest message: the hint, corrected by the entries, which alone decide.
func (b *block) next() uint64 {
	next := b.commit()
	for range b.slotCount + 1 { // more iterations are useless: a reader falls only so far behind a living producer
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

// oldest returns the smallest id that may be present when next is the next message.
func (b *block) oldest(next uint64) uint64 {
	if n := uint64(b.slotCount); next > n {
		return next - n
	}
	return 0
}

// wakeConsumers wakes every sleeping participant, whatever it waits for, so that it looks again.
func (b *block) wakeConsumers() {
	b.event.Add(1)
	crash.Point("wake.consumers")
	platform.Wake(b.event)
}

// wakeProducer wakes a producer under backpressure, so that it looks again.
func (b *block) wakeProducer() {
	b.ctlWake.Add(1)
	crash.Point("wake.producer")
	platform.Wake(b.ctlWake)
}
