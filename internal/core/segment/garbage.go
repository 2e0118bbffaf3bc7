package segment

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// The collector removes what dead processes leave only if two things are certain: the file is one
// of this library, and no data file in the directory belongs to it. In doubt the file stays. A
// control file that is left does little harm, and a control file that is gone takes the messages of
// its block with it.

// CollectGarbage removes what dead creators, replacing processes and last participants left in a
// directory ("" for the default one): control files that no block names, and data files that never
// got a name or lost it. It touches no file in use, and no file that a repair or a rename could
// make a block again. It returns the names of the removed files.
func CollectGarbage(directory string) ([]string, error) {
	dir, err := ResolveDirectory(directory)
	if err != nil {
		return nil, err
	}
	return collectMatching(dir, func(string) bool { return true })
}

// CollectName does the same for one block name.
func CollectName(l Location) {
	_, _ = collectMatching(l.Directory, func(name string) bool { return name == l.Name })
}

func collectMatching(dir string, wanted func(name string) bool) (removed []string, err error) {
	files, err := platform.ReadDirectory(dir)
	if err != nil {
		return nil, SystemError(err, "directory %s", dir)
	}
	others := &Census{Directory: dir}
	for _, f := range files {
		if name, id, _, ok := ParseControl(f.Name); ok && wanted(name) {
			r := Remains{Location: Location{Directory: dir, Name: name}, ID: id, Others: others}
			removed = append(removed, r.collect()...)
		}
	}
	return removed, nil
}

// CollectBlock does the same for one block id.
func CollectBlock(l Location, id BlockID) {
	_ = Remains{Location: l, ID: id, Others: &Census{Directory: l.Directory}}.collect()
}

// Remains are the control file and the temporary data file of one block id.
type Remains struct {
	Location
	ID     BlockID
	Others *Census
	Under  BlockID // the known block id of the file under the name, although its header may be damaged
}

// collect removes the files, if no data file belongs to them and no participant is attached. Only a
// process that holds the lease of row 0, and found no other row locked, may remove them.
func (r Remains) collect() (removed []string) {
	locks, err := platform.OpenLocks(r.ControlPath(r.ID), true)
	if errors.Is(err, fs.ErrNotExist) {
		return r.removeOrphan()
	}
	if err != nil {
		return nil
	}
	defer locks.Close()
	switch r.named() {
	case LeadsThere:
		return r.RemoveTemporary() // what the creator displaced and had no time to end
	case leadsUnknown:
		return nil
	}
	for range collectTries {
		ran := WithDeadRow(locks, layout.ProducerRow, func() { removed = r.collectLocked(locks) })
		if ran || Probe(locks, layout.ProducerRow) == OwnerAlive {
			break
		}
		// Another collector is at work, and may have probed the rows before the last participant
		// had left.
		platform.Nap(time.Millisecond)
	}
	return removed
}

const collectTries = 100

func (r Remains) collectLocked(locks *platform.Locks) (removed []string) {
	path := r.ControlPath(r.ID)
	held, err := locks.Held(RowByte(1), layout.LockStride*layout.MaxConsumers)
	mine, statErr := locks.Stat()
	if err != nil || statErr != nil || held || !r.nobodys(mine) {
		return nil
	}
	if now, err := platform.StatPath(path); err != nil || !now.Same(mine) {
		return nil
	}
	removed = r.RemoveTemporary()
	crash.Point("collect.temporary")
	if platform.Remove(path) == nil {
		crash.Point("collect.control")
		removed = append(removed, filepath.Base(path))
	}
	return removed
}

// nobodys reports whether the control file, which file describes, is one of this library and
// certainly belongs to no block.
func (r Remains) nobodys(file platform.FileInfo) bool {
	h, err := Identify(r.ControlPath(r.ID))
	if err != nil || !h.info.Same(file) || !h.isControlLeft(r.ID) {
		return false
	}
	return r.named().no() && r.Others.leadsTo(r.Location, r.ID, h.info.UID).no()
}

// isControlLeft reports whether a control file is one that dead processes leave: with its own id in
// its header, or just created. The mode tells a new control file from a file of another program
// with such a name.
func (h *half) isControlLeft(id BlockID) bool {
	switch h.kind {
	case kindControl:
		return h.ID == id
	case kindUnborn:
		_, wanted := FileModes(h.info.Mode&0o040 | h.info.Mode&0o006)
		return h.info.Mode == wanted || h.info.Mode == createMode
	}
	return false
}

// createMode is the mode of a file before platform.CreateFile has given the file its own mode.
const createMode = 0o600

// removeOrphan removes a temporary data file whose control file is gone: one that a replacing
// process displaced, or one that never got its name. A creator removes the control file last, so
// that the creator does not live.
func (r Remains) removeOrphan() []string {
	if h, err := Identify(r.TemporaryPath(r.ID)); err == nil && h.isOrphan(r.ID) {
		return r.RemoveTemporary()
	}
	return nil
}

func (h *half) isOrphan(id BlockID) bool {
	return h.proven && (h.ID == id || h.state == layout.StateSuperseded)
}

// isTemporaryLeft reports the same of a temporary data file whose control file is there.
func (h *half) isTemporaryLeft() bool { return h.kind == kindData || h.kind == kindUnborn }

// RemoveTemporary removes a data file that never got its name, or one that a replacing process
// displaced and had no time to end.
func (r Remains) RemoveTemporary() (removed []string) {
	path := r.TemporaryPath(r.ID)
	if h, err := Identify(path); err != nil || !h.isTemporaryLeft() {
		return nil
	}
	if b, err := openBlockAt(r.Location, path, Produce); err == nil {
		if b.ID != r.ID {
			b.Supersede()
			b.WakeConsumers()
			b.WakeProducer()
		}
		b.Unmap()
	}
	if platform.Remove(path) != nil {
		return nil
	}
	crash.Point("collect.data")
	return []string{filepath.Base(path)}
}

// named reports whether the block's name leads to the block. A file of that name with a damaged
// header may be the block: a repair can find out.
func (r Remains) named() leads {
	if r.Under == r.ID {
		return LeadsThere
	}
	if r.Under != (BlockID{}) {
		return leadsElsewhere
	}
	h, err := Identify(r.DataPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return leadsNowhere
	case errors.Is(err, platform.ErrSymlink), errors.Is(err, platform.ErrNotRegular):
		return leadsElsewhere
	case err != nil:
		return leadsUnknown
	case h.proven && h.ID == r.ID:
		return LeadsThere
	case h.proven, !h.info.Regular:
		return leadsElsewhere
	}
	return leadsUnknown
}

// Left returns the files that collect would remove. It changes nothing.
func (r Remains) Left() (files []string) {
	temporary, err := Identify(r.TemporaryPath(r.ID))
	hasTemporary := err == nil && temporary.isTemporaryLeft()
	add := func(path string) { files = append(files, filepath.Base(path)) }
	locks, err := platform.OpenLocks(r.ControlPath(r.ID), false)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && hasTemporary && temporary.isOrphan(r.ID) {
			add(r.TemporaryPath(r.ID))
		}
		return files
	}
	defer locks.Close()
	named := r.named()
	if named == LeadsThere && hasTemporary {
		add(r.TemporaryPath(r.ID))
	}
	held, err := locks.Held(layout.LockRows, layout.LockStride*(layout.MaxConsumers+1))
	file, statErr := locks.Stat()
	if !named.no() || err != nil || statErr != nil || held || !r.nobodys(file) {
		return files
	}
	if hasTemporary {
		add(r.TemporaryPath(r.ID))
	}
	add(r.ControlPath(r.ID))
	return files
}
