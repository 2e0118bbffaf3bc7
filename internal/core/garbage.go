package core

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// CollectGarbage removes what dead creators, replacers and last participants left in a directory ("" for the default one): control files that no block names, and data files
// that never got a name or lost it. It touches nothing that anybody uses, and returns the names of the files that it removed.
func CollectGarbage(directory string) ([]string, error) {
	dir, err := resolveDirectory(directory)
	if err != nil {
		return nil, err
	}
	return collectMatching(dir, func(string) bool { return true })
}

// collectName does it for one block name.
func collectName(l location) {
	_, _ = collectMatching(l.directory, func(name string) bool { return name == l.name })
}

func collectMatching(dir string, wanted func(name string) bool) (removed []string, err error) {
	files, err := platform.ReadDirectory(dir)
	if err != nil {
		return nil, systemError(err, "directory %s", dir)
	}
	for _, f := range files {
		if name, id, _, ok := parseControl(f.Name); ok && wanted(name) {
			removed = append(removed, collect(location{dir, name}, id)...)
		}
	}
	return removed, nil
}

// collect removes the control file and the temporary data file of one block id, if its name leads elsewhere and nobody is attached. Only who holds row 0 and found no
// other row locked may do it.
func collect(l location, id blockID) (removed []string) {
	path := l.control(id)
	locks, err := platform.OpenLocks(path, true)
	if errors.Is(err, fs.ErrNotExist) {
		return removeTemporary(l, id) // its creator removes the control file last
	}
	if err != nil {
		return nil
	}
	defer locks.Close()
	if leadsTo(l, id) {
		return removeTemporary(l, id) // what its creator displaced and had no time to end
	}
	for range collectTries {
		ran := withDeadRow(locks, layout.ProducerRow, func() { removed = collectLocked(l, id, locks) })
		if ran || probe(locks, layout.ProducerRow) == somebody {
			break
		}
		platform.Nap(time.Millisecond) // another collector is at it, and may have looked before the last participant had left
	}
	return removed
}

const collectTries = 100

func collectLocked(l location, id blockID, locks *platform.Locks) (removed []string) {
	path := l.control(id)
	held, err := locks.Held(rowByte(1), layout.LockStride*layout.MaxConsumers)
	if err != nil || held || leadsTo(l, id) {
		return nil
	}
	mine, err := locks.Stat()
	if now, statErr := platform.StatPath(path); err != nil || statErr != nil || !now.Same(mine) {
		return nil
	}
	removed = removeTemporary(l, id)
	crash.Point("collect.temporary")
	if platform.Remove(path) == nil {
		crash.Point("collect.control")
		removed = append(removed, filepath.Base(path))
	}
	return removed
}

// removeTemporary removes a data file that never got its name, or what a replacer displaced and had no time to end.
func removeTemporary(l location, id blockID) (removed []string) {
	path := l.temporary(id)
	if _, err := platform.StatPath(path); err != nil {
		return nil
	}
	if b, err := openBlockAt(l, path, produce); err == nil {
		if b.id != id {
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

// leadsTo reports whether the name leads to the block with that id; when in doubt it does.
func leadsTo(l location, id blockID) bool {
	f, err := platform.OpenFile(l.data(), false)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size < layout.ImmutableLen {
		return true
	}
	m, err := f.Map(layout.ImmutableLen, false, false)
	if err != nil {
		return true
	}
	defer platform.Unmap(m)
	return binary.LittleEndian.Uint64(m[layout.HdrMagic:]) == layout.MagicData && blockID(m[layout.HdrBlockID:layout.HdrBlockID+layout.BlockIDLen]) == id
}
