package core

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
	dir, err := resolveDirectory(directory)
	if err != nil {
		return nil, err
	}
	return collectMatching(dir, func(string) bool { return true })
}

// collectName does the same for one block name.
func collectName(l location) {
	_, _ = collectMatching(l.directory, func(name string) bool { return name == l.name })
}

func collectMatching(dir string, wanted func(name string) bool) (removed []string, err error) {
	files, err := platform.ReadDirectory(dir)
	if err != nil {
		return nil, systemError(err, "directory %s", dir)
	}
	others := &census{directory: dir}
	for _, f := range files {
		if name, id, _, ok := parseControl(f.Name); ok && wanted(name) {
			r := remains{location: location{directory: dir, name: name}, id: id, others: others}
			removed = append(removed, r.collect()...)
		}
	}
	return removed, nil
}

// collect does the same for one block id.
func collect(l location, id blockID) {
	_ = remains{location: l, id: id, others: &census{directory: l.directory}}.collect()
}

// remains are the control file and the temporary data file of one block id.
type remains struct {
	location
	id     blockID
	others *census
	under  blockID // the known block id of the file under the name, although its header may be damaged
}

// collect removes the files, if no data file belongs to them and no participant is attached. Only a
// process that holds the lease of row 0, and found no other row locked, may remove them.
func (r remains) collect() (removed []string) {
	locks, err := platform.OpenLocks(r.control(r.id), true)
	if errors.Is(err, fs.ErrNotExist) {
		return r.removeOrphan()
	}
	if err != nil {
		return nil
	}
	defer locks.Close()
	switch r.named() {
	case leadsThere:
		return r.removeTemporary() // what the creator displaced and had no time to end
	case leadsUnknown:
		return nil
	}
	for range collectTries {
		ran := withDeadRow(locks, layout.ProducerRow, func() { removed = r.collectLocked(locks) })
		if ran || probe(locks, layout.ProducerRow) == somebody {
			break
		}
		// Another collector is at work, and may have probed the rows before the last participant
		// had left.
		platform.Nap(time.Millisecond)
	}
	return removed
}

const collectTries = 100

func (r remains) collectLocked(locks *platform.Locks) (removed []string) {
	path := r.control(r.id)
	held, err := locks.Held(rowByte(1), layout.LockStride*layout.MaxConsumers)
	mine, statErr := locks.Stat()
	if err != nil || statErr != nil || held || !r.nobodys(mine) {
		return nil
	}
	if now, err := platform.StatPath(path); err != nil || !now.Same(mine) {
		return nil
	}
	removed = r.removeTemporary()
	crash.Point("collect.temporary")
	if platform.Remove(path) == nil {
		crash.Point("collect.control")
		removed = append(removed, filepath.Base(path))
	}
	return removed
}

// nobodys reports whether the control file, which file describes, is one of this library and
// certainly belongs to no block.
func (r remains) nobodys(file platform.FileInfo) bool {
	h, err := lookAt(r.control(r.id))
	if err != nil || !h.info.Same(file) || !h.isControlLeft(r.id) {
		return false
	}
	return r.named().no() && r.others.leadsTo(r.location, r.id, h.info.UID).no()
}

// isControlLeft reports whether a control file is one that dead processes leave: with its own id in
// its header, or just created. The mode tells a new control file from a file of another program
// with such a name.
func (h *half) isControlLeft(id blockID) bool {
	switch h.kind {
	case kindControl:
		return h.id == id
	case kindUnborn:
		_, wanted := modes(h.info.Mode&0o040 | h.info.Mode&0o006)
		return h.info.Mode == wanted || h.info.Mode == createMode
	}
	return false
}

// createMode is the mode of a file before platform.CreateFile has given the file its own mode.
const createMode = 0o600

// removeOrphan removes a temporary data file whose control file is gone: one that a replacing
// process displaced, or one that never got its name. A creator removes the control file last, so
// that the creator does not live.
func (r remains) removeOrphan() []string {
	if h, err := lookAt(r.temporary(r.id)); err == nil && h.isOrphan(r.id) {
		return r.removeTemporary()
	}
	return nil
}

func (h *half) isOrphan(id blockID) bool {
	return h.proven && (h.id == id || h.state == layout.StateSuperseded)
}

// isTemporaryLeft reports the same of a temporary data file whose control file is there.
func (h *half) isTemporaryLeft() bool { return h.kind == kindData || h.kind == kindUnborn }

// removeTemporary removes a data file that never got its name, or one that a replacing process
// displaced and had no time to end.
func (r remains) removeTemporary() (removed []string) {
	path := r.temporary(r.id)
	if h, err := lookAt(path); err != nil || !h.isTemporaryLeft() {
		return nil
	}
	if b, err := openBlockAt(r.location, path, produce); err == nil {
		if b.id != r.id {
			b.supersede()
			b.wakeConsumers()
			b.wakeProducer()
		}
		b.unmap()
	}
	if platform.Remove(path) != nil {
		return nil
	}
	crash.Point("collect.data")
	return []string{filepath.Base(path)}
}

// named reports whether the block's name leads to the block. A file of that name with a damaged
// header may be the block: a repair can find out.
func (r remains) named() leads {
	if r.under == r.id {
		return leadsThere
	}
	if r.under != (blockID{}) {
		return leadsElsewhere
	}
	h, err := lookAt(r.data())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return leadsNowhere
	case errors.Is(err, platform.ErrSymlink), errors.Is(err, platform.ErrNotRegular):
		return leadsElsewhere
	case err != nil:
		return leadsUnknown
	case h.proven && h.id == r.id:
		return leadsThere
	case h.proven, !h.info.Regular:
		return leadsElsewhere
	}
	return leadsUnknown
}

// left returns the files that collect would remove. It changes nothing.
func (r remains) left() (files []string) {
	temporary, err := lookAt(r.temporary(r.id))
	hasTemporary := err == nil && temporary.isTemporaryLeft()
	add := func(path string) { files = append(files, filepath.Base(path)) }
	locks, err := platform.OpenLocks(r.control(r.id), false)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && hasTemporary && temporary.isOrphan(r.id) {
			add(r.temporary(r.id))
		}
		return files
	}
	defer locks.Close()
	named := r.named()
	if named == leadsThere && hasTemporary {
		add(r.temporary(r.id))
	}
	held, err := locks.Held(layout.LockRows, layout.LockStride*(layout.MaxConsumers+1))
	file, statErr := locks.Stat()
	if !named.no() || err != nil || statErr != nil || held || !r.nobodys(file) {
		return files
	}
	if hasTemporary {
		add(r.temporary(r.id))
	}
	add(r.control(r.id))
	return files
}
