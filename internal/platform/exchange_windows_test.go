//go:build windows && crashpoints

package platform

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"

	"datablock/internal/crash"
)

// names is a directory with two files, a and b, which contain their names.
type names struct {
	*testing.T
	dir, a, b string
}

func newNames(t *testing.T) names {
	dir := t.TempDir()
	n := names{t, dir, filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	n.write(n.a, "a")
	n.write(n.b, "b")
	return n
}

func (n names) write(path, content string) {
	require.NoError(n, os.WriteFile(path, []byte(content), 0o600))
}

// read opens a file as the library does.
func (n names) read(path string) string {
	content, err := ReadFile(path, 10)
	require.NoError(n, err, path)
	return string(content)
}

// left are the names that the system lists, without this package.
func (n names) left() (found []string) {
	all, err := os.ReadDir(n.dir)
	require.NoError(n, err)
	for _, each := range all {
		found = append(found, each.Name())
	}
	return found
}

var errDead = errors.New("the process is dead")

// at calls f when the crash point is passed, once.
func at(t *testing.T, point string, f func()) {
	done := false
	hook := func(passed string) {
		if passed == point && !done {
			done = true
			f()
		}
	}
	crash.Hook.Store(&hook)
	t.Cleanup(func() { crash.Hook.Store(nil) })
}

// dyingExchange exchanges two names, and dies at a crash point. The kernel ends the lock of a dead
// process, as the deferred call does here.
func (n names) dyingExchange(point string) {
	at(n.T, point, func() { panic(errDead) })
	defer func() { require.Equal(n, errDead, recover()) }()
	_ = Exchange(n.a, n.b)
	n.Fatal("the exchange has not passed " + point)
}

func TestAnExchangeHasEitherHappenedOrNot(t *testing.T) {
	for point, want := range map[string][2]string{
		"exchange.hidden": {"a", "b"}, "exchange.placed": {"", "a"}, "exchange.done": {"b", "a"},
	} {
		for name, look := range map[string]func(names) error{
			"open": func(n names) error {
				f, err := OpenFile(n.b, true)
				if err == nil {
					f.Close()
				}
				return err
			},
			"stat":   func(n names) error { _, err := StatPath(n.b); return err },
			"may":    func(n names) error { return MayRemove(n.b) },
			"list":   func(n names) error { _, err := ReadDirectory(n.dir); return err },
			"locks":  func(n names) error { l, err := OpenLocks(n.b, true); l.Close(); return err },
			"remain": func(n names) error { _, err := ReadFile(n.b, 10); return err },
		} {
			t.Run(point+"/"+name, func(t *testing.T) {
				n := newNames(t)
				n.dyingExchange(point)
				begun := Monotonic()
				require.NoError(t, look(n))
				assert.Less(t, time.Duration(Monotonic()-begun), exchangePatience/2,
					"the lock says that the process is dead")
				names, err := ReadDirectory(n.dir)
				require.NoError(t, err)
				assert.Equal(t, want[1], n.read(n.b))
				if want[0] == "" {
					assert.Equal(t, []Entry{{"b", true}}, names)
				} else {
					assert.Equal(t, []Entry{{"a", true}, {"b", true}}, names)
					assert.Equal(t, want[0], n.read(n.a))
				}
				assert.Len(t, n.left(), len(names), "nothing else is left")
			})
		}
	}
}

func TestWhoeverLooksDuringAnExchangeWaits(t *testing.T) {
	n := newNames(t)
	var listed []Entry
	var content []byte
	var errs [3]error
	done := make(chan bool)
	at(t, "exchange.hidden", func() {
		go func() {
			content, errs[0] = ReadFile(n.b, 10)
			done <- true
		}()
		go func() {
			listed, errs[1] = ReadDirectory(n.dir)
			done <- true
		}()
		go func() {
			errs[2] = Publish(n.a+"2", n.b)
			done <- true
		}()
		for range 20 { // the others poll meanwhile, and none of them ends
			select {
			case <-done:
				t.Error("did not wait")
			default:
				Sleep(exchangePoll)
			}
		}
	})
	n.write(n.a+"2", "another")
	require.NoError(t, Exchange(n.a, n.b))
	for range 3 {
		<-done
	}
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	assert.ErrorIs(t, errs[2], fs.ErrExist)
	assert.Equal(t, "a", string(content))
	assert.Equal(t, "b", n.read(n.a))
	assert.Subset(t, listed, []Entry{{"a2", true}, {"b", true}})
}

// TestAStoppedExchangeIsUndone: what the process does when it is resumed changes nothing.
func TestAStoppedExchangeIsUndone(t *testing.T) {
	n := newNames(t)
	at(t, "exchange.hidden", func() {
		begun := Monotonic()
		assert.Equal(t, "b", n.read(n.b))
		assert.GreaterOrEqual(t, time.Duration(Monotonic()-begun), exchangePatience, "the process may be slow")
	})
	assert.ErrorIs(t, Exchange(n.a, n.b), fs.ErrExist)
	assert.Equal(t, "a", n.read(n.a))
	assert.Equal(t, "b", n.read(n.b))
	assert.Equal(t, []string{"a", "b"}, n.left())
}

func TestAStoppedExchangeSucceedsWhenTheNameIsFree(t *testing.T) {
	n := newNames(t)
	at(t, "exchange.hidden", func() {
		require.NoError(t, Remove(n.b)) // after the patience
	})
	require.NoError(t, Exchange(n.a, n.b))
	assert.Equal(t, "a", n.read(n.b))
	assert.Equal(t, []string{"b"}, n.left())
}

// TestANameThatIsTakenMeanwhileStays: only a program that looks at no hidden name can do this.
func TestANameThatIsTakenMeanwhileStays(t *testing.T) {
	n := newNames(t)
	at(t, "exchange.hidden", func() { n.write(n.b, "taken") })
	assert.ErrorIs(t, Exchange(n.a, n.b), fs.ErrExist)
	assert.Equal(t, "a", n.read(n.a))
	assert.Equal(t, "taken", n.read(n.b))
	assert.Equal(t, []string{"a", "b"}, n.left())
}

func TestAFileThatIsMissingIsNotExchanged(t *testing.T) {
	n := newNames(t)
	at(t, "exchange.hidden", func() { require.NoError(t, os.Remove(n.a)) })
	assert.ErrorIs(t, Exchange(n.a, n.b), fs.ErrNotExist)
	assert.Equal(t, "b", n.read(n.b))
	assert.Equal(t, []string{"b"}, n.left())
	assert.ErrorIs(t, Exchange(n.a, n.b), fs.ErrNotExist)
	assert.ErrorIs(t, Exchange(n.b, n.a), fs.ErrNotExist)
	assert.NoError(t, CanExchange(n.b))
	assert.ErrorIs(t, CanExchange(n.a), fs.ErrNotExist)
}

func TestSeveralProcessesUndoOneExchange(t *testing.T) {
	for range 20 {
		n := newNames(t)
		n.dyingExchange("exchange.hidden")
		var good atomic.Int32
		done := make(chan error)
		const openers = 4
		for range openers {
			go func() {
				content, err := ReadFile(n.b, 10)
				if string(content) == "b" {
					good.Add(1)
				}
				done <- err
			}()
		}
		for range openers {
			assert.NoError(t, <-done)
		}
		require.EqualValues(t, openers, good.Load())
		require.Equal(t, []string{"a", "b"}, n.left())
	}
}

func TestTheNextExchangeRemovesWhatADeadOneLeft(t *testing.T) {
	n := newNames(t)
	n.dyingExchange("exchange.placed")
	n.write(n.a, "c")
	require.NoError(t, Exchange(n.a, n.b))
	assert.Equal(t, "c", n.read(n.b))
	assert.Equal(t, "a", n.read(n.a))
	assert.Equal(t, []string{"a", "b"}, n.left())
}

// TestASecondExchangeBeforeTheEndOfTheFirst takes the hidden name away from the first one.
func TestASecondExchangeBeforeTheEndOfTheFirst(t *testing.T) {
	n := newNames(t)
	c := filepath.Join(n.dir, "c")
	n.write(c, "c")
	at(t, "exchange.placed", func() { require.NoError(t, Exchange(c, n.b)) })
	require.NoError(t, Exchange(n.a, n.b))
	assert.Equal(t, "c", n.read(n.b))
	assert.Equal(t, "a", n.read(c))
	assert.Equal(t, []string{"b", "c"}, n.left(), "the first file of b is gone, as its exchange would have it removed")
}

func TestTwoExchangesOfOneName(t *testing.T) {
	n := newNames(t)
	c := filepath.Join(n.dir, "c")
	n.write(c, "c")
	at(t, "exchange.hidden", func() { assert.ErrorIs(t, Exchange(c, n.b), fs.ErrExist) })
	assert.ErrorIs(t, Exchange(n.a, n.b), fs.ErrExist, "the second one has waited, and undone the first one")
	assert.Equal(t, []string{"a", "b", "c"}, n.left())
	require.NoError(t, Exchange(n.a, n.b))
	assert.Equal(t, "a", n.read(n.b))
}

// TestAnExchangeLocksTheFileThatHasTheName: another exchange was faster, between the opening and
// the lock.
func TestAnExchangeLocksTheFileThatHasTheName(t *testing.T) {
	n := newNames(t)
	l := openLocks(t, n.b, false)
	require.NoError(t, Exchange(n.a, n.b))
	assert.ErrorIs(t, l.lockExchange(n.b), fs.ErrExist)
	assert.NoError(t, openLocks(t, n.b, false).lockExchange(n.b))
}

func TestAnOpenAndMappedFileIsExchanged(t *testing.T) {
	a, b := reservedFile(t, 4096), ""
	b = filepath.Join(filepath.Dir(a), "other")
	f, err := CreateFile(b, 0o600)
	require.NoError(t, err)
	require.NoError(t, f.Reserve(4096))
	f.Close()
	first, second := mapped(t, a, 4096, true), mapped(t, b, 4096, true)
	defer Unmap(first)
	defer Unmap(second)
	first[0], second[0] = 'a', 'b'
	require.NoError(t, Exchange(a, b))
	for path, want := range map[string]byte{a: 'b', b: 'a'} {
		m := mapped(t, path, 4096, false)
		assert.Equal(t, want, m[0])
		Unmap(m)
	}
}

func TestARemovalThatDiesLeavesTrash(t *testing.T) {
	n := newNames(t)
	at(t, "remove.renamed", func() { panic(errDead) })
	func() {
		defer func() { require.Equal(t, errDead, recover()) }()
		_ = Remove(n.b)
	}()
	_, err := StatPath(n.b)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	names, err := ReadDirectory(n.dir)
	require.NoError(t, err)
	assert.Equal(t, []Entry{{"a", true}}, names)
	assert.Equal(t, []string{"a"}, n.left())
}

// open opens a file as a program does that does not share it for a rename.
func (n names) open(path string) (closeIt func()) {
	name, err := systemPath(path)
	require.NoError(n, err)
	h, err := windows.CreateFile(name, windows.GENERIC_READ, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil,
		windows.OPEN_EXISTING, 0, 0)
	require.NoError(n, err)
	return func() { _ = windows.CloseHandle(h) }
}

func TestAHiddenFileThatCannotBeRestoredIsAnError(t *testing.T) {
	n := newNames(t)
	n.dyingExchange("exchange.hidden")
	closeIt := n.open(hiddenName(n.b))
	looks := map[string]func() error{
		"stat":    func() error { _, err := StatPath(n.b); return err },
		"read":    func() error { _, err := ReadFile(n.b, 10); return err },
		"may":     func() error { return MayRemove(n.b) },
		"remove":  func() error { return Remove(n.b) },
		"publish": func() error { return Publish(n.a, n.b) },
	}
	results := make(chan error)
	for name, look := range looks {
		go func() {
			err := look()
			switch {
			case err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist):
				err = fmt.Errorf("%s: %w", name, cmp.Or(err, errors.New("no error")))
			case !strings.Contains(err.Error(), filepath.Base(hiddenName(n.b))):
				err = fmt.Errorf("%s does not name the hidden file: %w", name, err)
			default:
				err = nil
			}
			results <- err
		}()
	}
	listed := make(chan []Entry, 1)
	go func() {
		all, err := ReadDirectory(n.dir)
		listed <- all
		results <- err
	}()
	for range len(looks) + 1 {
		select {
		case err := <-results:
			assert.NoError(t, err)
		case <-time.After(deadline):
			t.Fatal("waits for ever")
		}
	}
	assert.Equal(t, []Entry{{"a", true}}, <-listed)
	closeIt()
	assert.Equal(t, "b", n.read(n.b))
}

func TestARemovedNameStaysRemovedAfterADeadExchange(t *testing.T) {
	n := newNames(t)
	n.dyingExchange("exchange.placed")
	require.NoError(t, Remove(n.b))
	_, err := StatPath(n.b)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.Empty(t, n.left())
}

// TestARemovalWaitsForAnExchange: the exchange has placed the new file, and is stopped.
func TestARemovalWaitsForAnExchange(t *testing.T) {
	n := newNames(t)
	at(t, "exchange.placed", func() {
		begun := Monotonic()
		require.NoError(t, Remove(n.b))
		assert.GreaterOrEqual(t, time.Duration(Monotonic()-begun), exchangePatience, "the process may be slow")
	})
	require.NoError(t, Exchange(n.a, n.b))
	_, err := StatPath(n.b)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.Empty(t, n.left())
}

// TestALockOfAnotherFileEndsNoExchange: the lock was taken on a file that has lost the name.
func TestALockOfAnotherFileEndsNoExchange(t *testing.T) {
	n := newNames(t)
	l := openLocks(t, n.b, false)
	require.NoError(t, rename(n.b, n.b+"2"))
	n.write(n.b, "new")
	assert.NoError(t, whileUnlocked(l, n.b, func() error {
		t.Error("the lock is that of another file")
		return nil
	}))
}
