package recovery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// Part is the part of a block in which something is wrong.
type Part uint8

// The parts, in the order in which they are validated. Damage in one part may be the reason for a
// finding in a later one.
const (
	PartHeader  Part = iota + 1 // the immutable bytes of both files, their sizes, and the words of the whole block
	PartRing                    // a ring entry
	PartSlot                    // the header of a slot that the ring names
	PartPayload                 // a payload that does not match its checksum
	PartRow                     // a participant's row, or its bits in the masks
	PartLog                     // the recovery log
)

// String returns the part's name in findings.
func (p Part) String() string {
	return [...]string{"nothing", "header", "ring entry", "slot", "payload", "row", "log record"}[min(p, PartLog)]
}

// Finding is one thing that is wrong with a block: where, with the values, and what to do.
type Finding struct {
	Part    Part
	Index   uint32 // of the entry, slot, row or record
	Slot    uint32 // the slot that is affected, NoSlot if none is
	Problem string
	Advice  string

	mendable bool // Repair without force puts it right, unless a living producer prevents that
}

// NoSlot in a Finding: no slot is affected.
const NoSlot = layout.NoSlot

// String returns the finding in one sentence.
func (f Finding) String() string { return f.Problem + ": " + f.Advice }

// Integrity is the verdict on a block. The three booleans are those of IntegrityCheck.
type Integrity struct {
	Block           string
	HeaderValid     bool // PartHeader and PartLog
	SlotStatesValid bool // PartRing, PartSlot and PartRow
	ChecksumValid   bool // PartPayload
	CorruptedSlots  uint32
	Findings        []Finding // at most maxFindings
	Found           int       // how many there are
	Repaired        []string  // by Repair: what was done, at most maxFindings
	Mended          int       // by Repair: how much was done
}

// Healthy reports whether nothing is wrong.
func (i *Integrity) Healthy() bool { return i.Found == 0 }

// Message returns the first problem and what to do, "" if there is none.
func (i *Integrity) Message() string {
	if i.Healthy() {
		return ""
	}
	text := i.Findings[0].String()
	if i.Found > 1 {
		text = fmt.Sprintf("%s (and %d more)", text, i.Found-1)
	}
	return text
}

const (
	maxFindings = 1000

	// A block in use changes during validation. A candidate finding is rechecked, and only a
	// candidate that fails every look is confirmed. A participant is between two stores for
	// nanoseconds, or for as long as the system makes it wait for a processor.
	suspectLooks = 5
)

var suspectPause = 100 * time.Microsecond

// repairAdvice is the advice for what Repair can put right.
func repairAdvice(name string) string {
	return "repair it: datablock-admin validate --shm-name " + name + " --repair"
}

// ValidateIntegrity recomputes everything about a block from its bytes, and trusts no stored
// verdict. It opens the files read-only, changes nothing, and may run while the block is in use.
// The step that a participant is just doing is not damage, nor what a dead participant has left for
// others to clean. The verdict has the damage. The error is for a block that cannot be read:
// Invalid, NotFound, Access, Corrupt (not a regular file), Version, System.
func ValidateIntegrity(name, directory string) (*Integrity, error) {
	l, err := segment.Locate(name, directory)
	if err != nil {
		return nil, err
	}
	x, err := openInspection(l, false)
	if err != nil {
		return nil, err
	}
	defer x.close()
	x.inspect()
	return x.verdict(), nil
}

// candidate is a candidate finding: a place that looked wrong, and the function that rechecks it.
type candidate struct {
	first Finding
	look  func() (Finding, bool)
}

// inspection is a block opened for validation. Unlike block, it opens damaged files too. Its header
// is what the bytes say if they prove themselves, and otherwise what follows from everything around
// them.
type inspection struct {
	*segment.Segment
	ask     *platform.Locks
	ctlFile *platform.File

	controlShort bool  // the control file was truncated, and nothing else is wrong with both files
	dataBytes    int64 // sizes of the files
	ctlBytes     int64
	page         []byte // copy of the header's page as it was found
	whole        []byte // the correct immutable header
	controlHead  []byte // the correct header of the control file

	damaged  []Finding // confirmed
	suspects []candidate
	count    int

	wrong    [PartLog + 1]bool // by Part
	slotBits []uint64
	bad      uint32 // slots in slotBits

	// What a repair has to look at, without a limit. Findings are texts, and end at maxFindings.
	wrongPlaces  []uint64 // bits, of ring entries
	wrongRows    []uint32
	wrongRecords []uint32 // of the recovery log
	terse        bool     // findings need no text: there are more than are shown

	next       uint64 // the next id by all other words, where commit is damaged
	nextKnown  bool
	idsUnknown bool // the ids of the messages cannot be determined
}

// openInspection maps the files under the name, whatever they are. If nothing can be concluded
// about the geometry, only the header is judged, and data and ctl stay nil.
func openInspection(l segment.Location, write bool) (*inspection, error) {
	return segment.RetryMoved(l, func() (*inspection, error) { return openInspectionOnce(l, write) })
}

func openInspectionOnce(l segment.Location, write bool) (_ *inspection, err error) {
	f, err := platform.OpenFile(l.DataPath(), write)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, l.NoBlockOrStrayed(err)
	}
	if err != nil {
		return nil, segment.SystemError(err, "block %q", l.Name)
	}
	x := &inspection{Segment: &segment.Segment{Location: l, DataFile: f}}
	x.Home, _ = platform.StatDirectory(l.Directory)
	opened := false
	defer func() {
		if !opened {
			x.close()
		}
	}()
	if x.DataInfo, err = f.Stat(); err != nil {
		return nil, segment.SystemError(err, "block %q", l.Name)
	}
	if !x.DataInfo.Regular {
		return nil, status.Errorf(status.Corrupt, "%s is not a regular file: use another name, or remove it if nobody "+
			"needs it",
			l.DataPath())
	}
	x.dataBytes = x.DataInfo.Size
	if x.page, err = firstBytes(f, min(x.dataBytes, layout.Page)); err != nil {
		return nil, segment.SystemError(err, "block %q", l.Name)
	}
	if err := x.openControl(write); err != nil {
		return nil, err
	}
	opened = true
	return x, nil
}

// producerPID returns the pid of the producer that has not closed the block, 0 if there is none.
// The data file need not be mapped.
func (x *inspection) producerPID() uint64 {
	start, err := x.DataFile.ReadStart(layout.ProducerPID + 8)
	if err != nil || len(start) < layout.ProducerPID+8 {
		return 0
	}
	return binary.LittleEndian.Uint64(start[layout.ProducerPID:])
}

// firstBytes copies the beginning of a file. It uses a mapping of its own, because nothing is known
// of the rest yet.
func firstBytes(f *platform.File, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	m, err := f.Map(n, false, false)
	if err != nil {
		return nil, err
	}
	defer platform.Unmap(m)
	return append([]byte(nil), m...), nil
}

// openControl judges the header together with the control file, and maps both files if they have
// the sizes that the header says.
func (x *inspection) openControl(write bool) error {
	candidates, err := x.controlFiles()
	if err != nil {
		return err
	}
	var version *status.Error
	if x.Header, version = x.trustedHeader(candidates); version != nil {
		return version
	}
	if x.Header == nil {
		return nil
	}
	path := x.Location.ControlPath(x.ID)
	f, err := platform.OpenFile(path, write)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if x.LostName() {
			return segment.ErrMoved
		}
		problem, advice, _ := x.LostControl(x.producerPID())
		x.report(Finding{Part: PartHeader, Slot: NoSlot, Problem: problem, Advice: advice})
		return nil
	case errors.Is(err, platform.ErrSymlink), errors.Is(err, platform.ErrNotRegular):
		x.report(Finding{Part: PartHeader, Slot: NoSlot, Problem: fmt.Sprintf("%s is not a regular file", path),
			Advice: fmt.Sprintf("find out who put it there, then remove it and %s", x.Location.DataPath())})
		return nil
	case err != nil:
		return segment.ControlError(err, x.BlockName())
	}
	x.ctlFile = f
	if x.CtlInfo, err = f.Stat(); err != nil {
		return segment.SystemError(err, "block %q", x.BlockName())
	}
	x.ctlBytes = x.CtlInfo.Size
	foreign, err := x.ForeignHead(f, x.CtlInfo)
	if err != nil {
		return segment.SystemError(err, "block %q", x.BlockName())
	}
	if foreign != nil { // not damage: its cursors, zone and counters belong to another block
		problem, advice := x.StrangeControl(foreign)
		x.report(Finding{Part: PartHeader, Slot: NoSlot, Problem: problem, Advice: advice})
		return nil
	}
	if !x.sizesFit(path) {
		return nil
	}
	if x.ask, err = segment.OpenLocks(x.Segment, write); err != nil {
		return err
	}
	if x.Ctl, err = f.Map(int64(x.ControlSize), write, false); err != nil {
		return segment.SystemError(err, "block %q", x.BlockName())
	}
	if x.Data, err = x.DataFile.Map(int64(x.DataSize), write, write); err != nil {
		return segment.SystemError(err, "block %q", x.BlockName())
	}
	x.ResolveWords()
	x.judgeControlHeader(path)
	return nil
}

func (x *inspection) close() {
	if x.ask != nil {
		x.ask.Close()
	}
	if x.ctlFile != nil {
		x.ctlFile.Close()
	}
	x.Unmap()
}

// mapped reports whether more than the header can be validated.
func (x *inspection) mapped() bool { return x.Ctl != nil && x.Data != nil }

// inspect validates everything, and rechecks the candidate findings.
func (x *inspection) inspect() {
	defer x.prevented()
	if !x.mapped() {
		return
	}
	x.slotBits = make([]uint64, (x.Slots()+63)/64)
	x.wrongPlaces = make([]uint64, (x.SlotCount+63)/64)
	x.judgeCommit()
	x.judgeWords()
	x.judgeRing()
	x.judgeRows()
	x.judgeLog()
	x.confirm()
}

// prevented corrects the advice where one finding prevents every repair. The advice to repair the
// other findings would lead back to itself. The finding that prevents the repair comes first.
func (x *inspection) prevented() {
	at := slices.IndexFunc(x.damaged, func(f Finding) bool { return !f.mendable })
	if x.mapped() && !x.idsUnknown || at < 0 {
		return
	}
	first := x.damaged[at]
	copy(x.damaged[1:], x.damaged[:at])
	x.damaged[0] = first
	for i := range x.damaged {
		if f := &x.damaged[i]; f.mendable {
			f.mendable, f.Advice = false, "it cannot be repaired alone, because "+first.String()
		}
	}
}

// recheckLater records a candidate finding.
func (x *inspection) recheckLater(look func() (Finding, bool)) {
	x.terse = len(x.suspects) >= maxFindings
	if f, wrong := look(); wrong {
		x.suspects = append(x.suspects, candidate{f, look})
	}
}

// confirm rechecks all candidate findings until they have failed often enough.
func (x *inspection) confirm() {
	for range suspectLooks {
		if len(x.suspects) == 0 {
			return
		}
		platform.Nap(suspectPause)
		left := x.suspects[:0]
		for _, s := range x.suspects {
			x.terse = len(left) >= maxFindings
			if f, wrong := s.look(); wrong {
				s.first = f
				left = append(left, s)
			}
		}
		x.suspects = left
	}
	for _, s := range x.suspects {
		x.report(s.first)
	}
	x.suspects, x.terse = nil, false // confirmed or dropped: a later confirm has candidates of its own
}

// report adds a confirmed finding.
func (x *inspection) report(f Finding) {
	x.count++
	x.wrong[f.Part] = true
	if f.Slot < NoSlot && int(f.Slot/64) < len(x.slotBits) && x.slotBits[f.Slot/64]>>(f.Slot%64)&1 == 0 {
		x.slotBits[f.Slot/64] |= 1 << (f.Slot % 64)
		x.bad++
	}
	switch {
	case f.Part == PartRing && int(f.Index/64) < len(x.wrongPlaces):
		x.wrongPlaces[f.Index/64] |= 1 << (f.Index % 64)
	case f.Part == PartRow:
		x.wrongRows = append(x.wrongRows, f.Index)
	case f.Part == PartLog:
		x.wrongRecords = append(x.wrongRecords, f.Index)
	}
	if len(x.damaged) < maxFindings {
		x.damaged = append(x.damaged, f)
	}
}

func (x *inspection) verdict() *Integrity {
	return &Integrity{
		Block: x.BlockName(), HeaderValid: !x.wrong[PartHeader] && !x.wrong[PartLog],
		SlotStatesValid: !x.wrong[PartRing] && !x.wrong[PartSlot] && !x.wrong[PartRow],
		ChecksumValid:   !x.wrong[PartPayload], CorruptedSlots: x.bad, Findings: x.damaged, Found: x.count,
	}
}

// makeAnew is the advice for a block that cannot be repaired.
func (x *inspection) makeAnew() string {
	return fmt.Sprintf("the block has to be made anew: copy both files first if you need what is left in them, then "+
		"rm %s, and start the producer again", x.Location.DataPath())
}

// finding makes the result of a look that failed: a problem that Repair can put right, with the
// advice to repair.
func (x *inspection) finding(part Part, index, slot uint32, format string, args ...any) (Finding, bool) {
	if x.terse {
		return Finding{Part: part, Index: index, Slot: slot, mendable: true}, true
	}
	return Finding{part, index, slot, fmt.Sprintf("block %q: ", x.BlockName()) + fmt.Sprintf(format, args...),
		repairAdvice(x.BlockName()), true}, true
}

// noFinding is the result of a look that found nothing wrong.
func noFinding() (Finding, bool) { return Finding{}, false }
