package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/windows"

	"datablock/internal/crash"
)

// Windows renames a file that is open and mapped. It neither replaces nor removes such a file. So
// two things take several calls here, and one on Linux.
//
// Exchange takes three renames, each of which fails if the new name exists:
//
//	1. b becomes hidden, a name that is derived from b
//	2. a becomes b
//	3. hidden becomes a
//
// The exchanging process locks one byte of the file that had the name b, from before the first
// rename to after the last. The kernel ends this lock with the process. Whatever step a process
// dies behind, the others continue:
//
//	behind 1  b is missing. A process that looks for b finds hidden, finds the byte unlocked, and
//	          renames hidden to b. The exchange has not happened.
//	behind 2  b leads to the new file. hidden is in nobody's way. The next process that lists the
//	          directory, removes b, or exchanges b again, removes it: the caller would have removed
//	          it too.
//	behind 3  the exchange is complete.
//
// A process that looks for b while the exchange is under way waits until b is there. If the
// exchanging process is stopped and does not continue for a second, the others rename hidden to b
// as if it were dead. When it continues, its second rename finds the name b taken, and the exchange
// fails. When b was free again, it succeeds, and the third rename finds nothing to rename.
//
// If the system refuses to rename hidden to b, because this user may not, or because a program has
// the file open without sharing it, a process that looks for b gets an error that names hidden.
//
// Two processes that rename hidden to b at once: one of them fails, and finds b. A process that is
// late and meets the next exchange of b undoes it. That exchange fails, and its caller tries again.
//
// Remove gives the file a random name first. So the name is free at once. The file itself goes with
// its last mapping, or when a process lists the directory.

const (
	exchangePrefix = ".datablock-exchange-"
	trashPrefix    = ".datablock-trash-"

	exchangePatience = time.Second
	exchangePoll     = time.Millisecond
	exchangeByte     = lockBase - 1
)

func hiddenName(path string) string {
	return filepath.Join(filepath.Dir(path), exchangePrefix+filepath.Base(path))
}

// rename gives a file another name, which must not exist.
func rename(from, to string) error {
	old, err := systemPath(from)
	if err != nil {
		return err
	}
	name, err := systemPath(to)
	if err != nil {
		return err
	}
	return patiently(func() error { return windows.MoveFileEx(old, name, 0) })
}

func exists(path string) bool {
	name, err := systemPath(path)
	if err != nil {
		return false
	}
	_, err = windows.GetFileAttributes(name)
	return err == nil
}

// throughExchange calls look again while the name is missing because of an exchange. It undoes the
// exchange of a process that has died or stopped.
func throughExchange[T any](path string, look func() (T, error)) (T, error) {
	found, err := look()
	if !errors.Is(err, fs.ErrNotExist) || strings.HasPrefix(filepath.Base(path), exchangePrefix) {
		return found, err
	}
	hidden := hiddenName(path)
	// An exchange may end between the look for the name and the look for the hidden name. So the
	// name counts as missing only after two rounds without a hidden name.
	for quiet, begun := 0, Monotonic(); quiet < 2; {
		if exists(hidden) {
			quiet = 0
			late := Monotonic()-begun > uint64(exchangePatience)
			undone := undo(hidden, path, late)
			if late && undone != nil && !nameHasChanged(undone) {
				return found, &fs.PathError{Op: "open", Path: path, Err: unfinished(hidden, path, undone)}
			}
			Sleep(exchangePoll)
		} else {
			quiet++
		}
		if found, err = look(); !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
	}
	return found, err
}

// nameHasChanged reports whether a rename failed because another process was faster.
func nameHasChanged(err error) bool {
	return errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist)
}

// undo gives a file that an exchange has hidden its name back, if the exchanging process is dead,
// or late.
func undo(hidden, path string, late bool) error {
	restore := func() error { return rename(hidden, path) }
	if late {
		return restore()
	}
	return ifUnlocked(hidden, restore)
}

// ifUnlocked runs f if no process is exchanging the file. Meanwhile it holds the lock itself.
func ifUnlocked(path string, f func() error) error {
	l, err := OpenLocks(path, false)
	if err != nil {
		return err
	}
	defer l.Close()
	return whileUnlocked(l, path, f)
}

// whileUnlocked is ifUnlocked for a file that is open. The path may lead to another file by now.
// Then f does not run.
func whileUnlocked(l *Locks, path string, f func() error) error {
	if err := l.lockExchange(path); err != nil {
		if nameHasChanged(err) {
			return nil
		}
		return err
	}
	return f()
}

// endExchange removes the file that an exchange of the name has hidden and not renamed to its third
// name. Otherwise this file would get the name as soon as the name is free.
func endExchange(path string) error {
	hidden := hiddenName(path)
	end := func() error {
		if !exists(path) {
			return nil
		}
		return discard(hidden)
	}
	for begun := Monotonic(); exists(hidden) && exists(path); Sleep(exchangePoll) {
		if Monotonic()-begun <= uint64(exchangePatience) {
			_ = ifUnlocked(hidden, end)
		} else if err := end(); err != nil && !nameHasChanged(err) {
			return unfinished(hidden, path, err)
		}
	}
	return nil
}

// Publish gives the file at temporary its final name in one atomic step, unless that name exists
// (fs.ErrExist).
func Publish(temporary, path string) error {
	err := fit(path)
	if err == nil {
		_, err = StatPath(path) // waits for an exchange of the name
		switch {
		case err == nil:
			err = fs.ErrExist
		case errors.Is(err, fs.ErrNotExist):
			err = rename(temporary, path)
		}
	}
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", temporary, path, deniedName(path, "make", explain("MoveFileEx", err)))
	}
	return nil
}

// Exchange swaps two names; both must exist. A process that looks for b meanwhile waits. A process
// that looks for a may find no file.
func Exchange(a, b string) error {
	err := exchange(a, b)
	if err != nil {
		return fmt.Errorf("exchange %s and %s: %w", a, b, deniedName(b, "rename", explain("MoveFileEx", err)))
	}
	return nil
}

func exchange(a, b string) error {
	if _, err := statPath(a); err != nil {
		return err
	}
	if SameFileName(a, b) {
		return nil
	}
	l, err := OpenLocks(b, false) // waits for another exchange
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.lockExchange(b); err != nil {
		return err
	}
	hidden := hiddenName(b)
	if exists(hidden) {
		_ = discard(hidden) // its process has died behind the second step, or has yet to take the third
	}
	if err := rename(b, hidden); err != nil {
		return err
	}
	crash.Point("exchange.hidden")
	if err := rename(a, b); err != nil {
		// After another failure the file stays hidden. The next opener of b undoes the exchange.
		if errors.Is(rename(hidden, b), fs.ErrExist) {
			_ = discard(hidden)
		}
		return err
	}
	crash.Point("exchange.placed")
	if err := rename(hidden, a); err != nil && !errors.Is(err, fs.ErrNotExist) {
		_ = discard(hidden)
	}
	crash.Point("exchange.done")
	return nil
}

// lockExchange takes the lock of an exchange of the name b, which led to this file. fs.ErrExist:
// another process exchanges the name, or has done so, and the caller has to look again.
func (l *Locks) lockExchange(b string) error {
	ok, err := l.take(exchangeByte)
	if err != nil {
		return err
	}
	mine, err := l.Stat()
	if err != nil {
		return err
	}
	if now, err := statPath(b); !ok || err != nil || !now.Same(mine) {
		return fs.ErrExist
	}
	return nil
}

// discard removes a file whose name nobody looks for. The name is free at once, and the file goes
// now, or later as trash.
func discard(path string) error {
	trash := trashName(path)
	err := rename(path, trash)
	if err == nil {
		remove(trash)
	}
	return err
}

func trashName(path string) string {
	return filepath.Join(filepath.Dir(path), trashPrefix+strconv.FormatUint(rand.Uint64(), 36))
}

func remove(path string) {
	if name, err := systemPath(path); err == nil {
		_ = windows.DeleteFile(name)
	}
}

// emptyTrash removes the removed files of a directory that no process has mapped any more.
func emptyTrash(directory string) {
	if directory == "" {
		return
	}
	_ = eachName(filepath.Join(directory, trashPrefix+"*"), func(found *windows.Win32finddata) {
		remove(filepath.Join(directory, windows.UTF16ToString(found.FileName[:])))
	})
}

// MayRemove asks whether this program may remove a file, or give its name to another, and changes
// nothing.
func MayRemove(path string) error {
	_, err := throughExchange(path, func() (struct{}, error) {
		info, err := statPath(path)
		if err == nil && !info.Regular {
			err = ErrNotRegular
		}
		var h windows.Handle
		if err == nil {
			h, err = openHandle(path, windows.DELETE, windows.OPEN_EXISTING, linkItself, nil)
		}
		if err != nil {
			return struct{}{}, &fs.PathError{Op: "unlink", Path: path, Err: deniedName(path, "remove", err)}
		}
		return struct{}{}, windows.CloseHandle(h)
	})
	return err
}

// CanExchange asks whether this program may exchange the names of files like this one. A rename is
// possible wherever a file can be made.
func CanExchange(path string) error { return Exchange(path, path) }

// Remove takes the name from a file, and removes the file when no process has it mapped any more.
func Remove(path string) error {
	_, err := throughExchange(path, func() (struct{}, error) {
		trash := trashName(path)
		err := endExchange(path)
		if err == nil {
			err = rename(path, trash)
		}
		if err != nil {
			return struct{}{}, &fs.PathError{Op: "unlink", Path: path, Err: deniedName(path, "remove",
				explain("MoveFileEx", err))}
		}
		crash.Point("remove.renamed")
		remove(trash)
		return struct{}{}, nil
	})
	return err
}
