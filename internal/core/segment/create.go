package segment

import (
	"errors"
	"fmt"
	"io/fs"

	"datablock/internal/core/status"
	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

const openTries = 1000

// RetryMoved calls f again while the name leads to another file than f has opened (ErrMoved).
func RetryMoved[T any](l Location, f func() (T, error)) (T, error) {
	for range openTries {
		if t, err := f(); !errors.Is(err, ErrMoved) {
			return t, err
		}
	}
	var none T
	return none, status.Errorf(status.Busy, "block %q: the name leads to another file at every look: several programs "+
		"are replacing or removing it", l.Name)
}

// Stranger returns how the files differ from what this program would have made, "" if they do not.
// Any user may create a name in a shared directory first.
func (b *Segment) Stranger(c Config) string {
	mode, _ := FileModes(c.Mode)
	if b.DataInfo.Mode&^mode != 0 {
		return fmt.Sprintf("has mode 0%o, and 0%o was asked for", b.DataInfo.Mode, mode)
	}
	if me := platform.EffectiveUID(); b.DataInfo.UID != me && mode&0o020 == 0 {
		return fmt.Sprintf("belongs to uid %d, this program runs as uid %d, and the mode that it asks for, 0%o, lets "+
			"no group write, as 0660 does", b.DataInfo.UID, me, mode)
	}
	return ""
}

// FileModes derives the permissions of the two files. Only the owner and the owner's group can ever
// write messages. The group may write the control file if it may read the data file. Other users
// may write the control file only if the mode gives them read and write permission.
func FileModes(mode uint32) (data, control uint32) {
	control = 0o600
	if mode&0o040 != 0 {
		control |= 0o060
	}
	if mode&0o006 == 0o006 {
		control |= 0o006
	}
	return mode &^ 0o002, control
}

// CreateControl makes the control file and takes the lease of row 0 before anything else: other
// processes treat a control file whose row 0 is free as garbage.
func (a *Attachment) CreateControl(mode uint32, made *[]string) error {
	path := a.ControlPath(a.ID)
	f, err := platform.CreateFile(path, mode)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return &status.Error{Code: status.NotFound, Cause: err,
				Detail: fmt.Sprintf("block %q: there is no directory %s: create it, or use another", a.BlockName(),
					a.Directory)}
		}
		return SystemError(err, "block %q", a.BlockName())
	}
	defer f.Close()
	*made = append(*made, path)
	crash.Point("create.control")
	if a.CtlInfo, err = f.Stat(); err != nil {
		return SystemError(err, "block %q", a.BlockName())
	}
	if a.RowLocks, err = OpenLocks(a.Segment, true); err != nil {
		return err
	}
	if a.ProbeLocks, err = OpenLocks(a.Segment, true); err != nil {
		return err
	}
	locked, err := a.lockRow(layout.ProducerRow)
	if err != nil {
		return err
	}
	// A garbage collector may have run between creation and lock. Then the collector holds the
	// file, or has removed it.
	answer, err := follow(path, a.CtlInfo, a.Home)
	if !locked || answer.no() {
		return ErrMoved
	}
	if err != nil {
		return SystemError(err, "block %q", a.BlockName())
	}
	crash.Point("create.locked")
	if err := f.Reserve(int64(a.ControlSize)); err != nil {
		return SystemError(err, "block %q needs %d bytes", a.BlockName(), a.ControlSize)
	}
	crash.Point("create.control-reserved")
	m, err := f.Map(int64(a.ControlSize), true, false)
	if err != nil {
		return SystemError(err, "block %q", a.BlockName())
	}
	a.Ctl = m
	copy(a.Ctl, a.EncodeControl())
	return nil
}

// CreateData makes the data file under its temporary name, filled and with its space reserved.
func (b *Segment) CreateData(mode uint32, c Config, made *[]string) error {
	path := b.TemporaryPath(b.ID)
	f, err := platform.CreateFile(path, mode)
	if err != nil {
		return SystemError(err, "block %q", b.BlockName())
	}
	b.DataFile = f
	*made = append(*made, path)
	crash.Point("create.data")
	if err := f.Reserve(int64(b.DataSize)); err != nil {
		return SystemError(err, "block %q needs %d bytes, for %d messages and %d spare slots of %d bytes",
			b.BlockName(),
			b.DataSize, b.SlotCount, b.SpareSlots, b.SlotBytes)
	}
	crash.Point("create.data-reserved")
	if b.DataInfo, err = f.Stat(); err != nil {
		return SystemError(err, "block %q", b.BlockName())
	}
	if b.Data, err = f.Map(int64(b.DataSize), true, true); err != nil {
		return SystemError(err, "block %q", b.BlockName())
	}
	copy(b.Data, b.Encode())
	if c.Schema != nil {
		copy(b.Data[b.MessageSchemaText.Offset:], c.Schema.Canonical())
	}
	if c.ZoneSchema != nil {
		copy(b.Data[b.ZoneSchemaText.Offset:], c.ZoneSchema.Canonical())
	}
	crash.Point("create.header")
	return nil
}

// MayEnd checks that this program may take the block's name from it, before anything is done to the
// block. A user who may write both files may still not be allowed to remove them, as in a directory
// with the sticky bit.
func (b *Segment) MayEnd() error {
	if err := platform.MayRemove(b.Location.DataPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return SystemError(err, "block %q", b.BlockName())
	}
	return nil
}

// RemoveControl removes the control file of a block that has just lost its name for good. No
// process finds the block any more, and attached participants have the file open. If the removal
// were left to the last participant, the file would stay when that participant is killed.
func (b *Segment) RemoveControl() {
	path := b.ControlPath(b.ID)
	if answer, _ := follow(path, b.CtlInfo, b.Home); answer == LeadsThere {
		_ = platform.Remove(path)
	}
}

// Supersede ends a block for good and returns the state that it had. The mark comes first. A
// producer that claims after the mark sees it, because a claim loads the state after it has
// remembered the entry. A producer that claimed earlier loses its compare-and-swap to the fence, or
// has published by then. Only afterwards may consumers conclude that no message follows.
func (b *Segment) Supersede() (before uint32) {
	before = b.StateWord.Load()
	for before != layout.StateReplacing && before != layout.StateSuperseded &&
		!b.StateWord.CompareAndSwap(before, layout.StateReplacing) {
		before = b.StateWord.Load()
	}
	crash.Point("replace.marked")
	b.FenceNext()
	crash.Point("replace.fence")
	b.StateWord.Store(layout.StateSuperseded)
	crash.Point("replace.superseded")
	return before
}

// FenceNext sets FENCE on the entry of the next id. The compare-and-swap succeeds only while that
// id is unpublished.
func (b *Segment) FenceNext() {
	for range openTries { // a living producer publishes at most one more message after the mark
		next := b.End()
		e := b.Entry(next)
		v := e.Load()
		if !layout.EntryEmpty(v) && layout.EntryID(v, next) >= next {
			continue
		}
		if v&layout.EntryFence != 0 || e.CompareAndSwap(v, v|layout.EntryFence) {
			return
		}
	}
}

// RemoveData removes the data file of a block that has been superseded. It checks just before the
// removal that the name still leads to the block: another program may have removed the file, and a
// producer may have made a new block. Between the check and the removal a window of two system
// calls remains, because no call removes a name only while it leads to a certain file.
func (b *Segment) RemoveData() error {
	if b.LostName() {
		return nil
	}
	if err := platform.Remove(b.Location.DataPath()); err != nil && !b.LostName() {
		return err
	}
	return nil
}
