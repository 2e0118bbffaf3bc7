package platform

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// deadline bounds every wait of these tests; reaching it is a failure.
const deadline = 10 * time.Second

func lockFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "locks")
	f, err := CreateFile(path, 0o600)
	require.NoError(t, err)
	f.Close()
	return path
}

func openLocks(t *testing.T, path string, write bool) *Locks {
	l, err := OpenLocks(path, write)
	require.NoError(t, err)
	t.Cleanup(l.Close)
	return l
}

func TestALockIsSeenByEveryOtherDescriptionAndNotByItsOwn(t *testing.T) {
	path := lockFile(t)
	owner, other, reader := openLocks(t, path, true), openLocks(t, path, true), openLocks(t, path, false)
	const at = 1<<40 + 7
	ok, err := owner.TryLock(at)
	require.NoError(t, err)
	require.True(t, ok)
	for name, want := range map[*Locks]bool{owner: false, other: true, reader: true} {
		held, err := name.Held(at, 1)
		require.NoError(t, err)
		assert.Equal(t, want, held)
	}
	ok, err = other.TryLock(at)
	require.NoError(t, err)
	assert.False(t, ok)
	ok, err = other.TryLock(at + 1)
	require.NoError(t, err)
	assert.True(t, ok, "bytes are independent")
	found, held, err := reader.Find(at, 1)
	require.NoError(t, err)
	assert.True(t, held)
	assert.Equal(t, Range{at, 1}, found, "the next byte is another's")
	ok, err = owner.TryLock(at - 1)
	require.NoError(t, err)
	require.True(t, ok)
	found, _, err = reader.Find(at, 1)
	require.NoError(t, err)
	assert.Equal(t, Range{at - 1, 2}, found, "neighbouring bytes of one owner are one lock")
	require.NoError(t, owner.Unlock(at))
	ok, err = other.TryLock(at)
	require.NoError(t, err)
	assert.True(t, ok)
}

func TestALockDiesWithItsOwner(t *testing.T) {
	if path := os.Getenv("PLATFORM_TEST_LOCK"); path != "" { // the child: take the lock, say so, wait to be killed
		l, err := OpenLocks(path, true)
		require.NoError(t, err)
		_, err = l.TryLock(5)
		require.NoError(t, err)
		_, _ = os.Stdout.WriteString("locked\n")
		select {}
	}
	path := lockFile(t)
	asker := openLocks(t, path, true)
	child := exec.Command(os.Args[0], "-test.run=TestALockDiesWithItsOwner")
	child.Env = append(os.Environ(), "PLATFORM_TEST_LOCK="+path)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	_, err = out.Read(make([]byte, 7))
	require.NoError(t, err)
	held, err := asker.Held(5, 1)
	require.NoError(t, err)
	assert.True(t, held)
	pid := uint64(child.Process.Pid)
	assert.True(t, ProcessAlive(pid))

	require.NoError(t, child.Process.Kill())
	locked := func() bool { ok, err := asker.TryLock(5); return err == nil && ok }
	require.Eventually(t, locked, deadline, time.Millisecond)
	assert.Eventually(t, func() bool { return !ProcessAlive(pid) }, deadline, time.Millisecond,
		"a zombie that nobody has waited for does not run")
	_ = child.Wait()
	assert.False(t, ProcessAlive(pid))
}

func TestWhatCannotBeReservedIsAnErrorAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "big")
	f, err := CreateFile(path, 0o600)
	require.NoError(t, err)
	defer f.Close()
	start := time.Now()
	assert.ErrorIs(t, f.Reserve(1<<55), ErrNoSpace)
	assert.Less(t, time.Since(start), deadline)
	info, err := f.Stat()
	require.NoError(t, err)
	assert.Zero(t, info.Size, "nothing was filled")
}

func TestPublishNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	require.NoError(t, os.WriteFile(a, []byte("a"), 0o600))
	require.NoError(t, Publish(a, b))
	require.NoError(t, os.WriteFile(a, []byte("new"), 0o600))
	assert.ErrorIs(t, Publish(a, b), fs.ErrExist)
	require.NoError(t, Exchange(a, b))
	now, err := os.ReadFile(b)
	require.NoError(t, err)
	assert.Equal(t, "new", string(now))
	require.NoError(t, Remove(a))
	assert.ErrorIs(t, Exchange(a, b), fs.ErrNotExist)
}

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(lockFile(t), link))
	_, err := OpenFile(link, false)
	assert.ErrorIs(t, err, ErrSymlink)
	_, err = OpenFile(dir, true)
	assert.ErrorIs(t, err, ErrNotRegular)
	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	f, err := OpenFile(fifo, false)
	require.NoError(t, err, "without waiting for a writer")
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	assert.False(t, info.Regular)
}

func TestAModeIsExactWhateverTheUmask(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	f, err := CreateFile(filepath.Join(t.TempDir(), "f"), 0o664)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	assert.EqualValues(t, 0o664, info.Mode)
}

func TestASleeperIsWokenThroughAReadOnlyMapping(t *testing.T) {
	path := filepath.Join(t.TempDir(), "word")
	f, err := CreateFile(path, 0o600)
	require.NoError(t, err)
	require.NoError(t, f.Reserve(4096))
	writable, err := f.Map(4096, true, true)
	require.NoError(t, err)
	defer Unmap(writable)
	readable, err := f.Map(4096, false, false)
	require.NoError(t, err)
	defer Unmap(readable)
	f.Close()
	mine, theirs := wordAt(writable), wordAt(readable)
	var asleep, woken atomic.Bool
	go func() {
		asleep.Store(true)
		for theirs.Load() == 0 {
			Wait(theirs, 0, deadline)
		}
		woken.Store(true)
	}()
	for !asleep.Load() {
		runtime.Gosched()
	}
	mine.Store(1)
	assert.Eventually(t, func() bool { Wake(mine); return woken.Load() }, deadline, time.Millisecond)
}

func TestSelfKnowsTheProcess(t *testing.T) {
	me := Self()
	assert.EqualValues(t, os.Getpid(), me.PID)
	assert.NotZero(t, me.StartTime)
	assert.NotZero(t, me.PIDNamespace)
	assert.True(t, strings.HasPrefix(filepath.Base(os.Args[0]), me.Name), me.Name)
	assert.True(t, ProcessAlive(me.PID))
	assert.False(t, ProcessAlive(0))
	assert.False(t, ProcessAlive(1<<40))
}

type recordingGuard struct {
	open  map[int]bool
	depth int
}

func (g *recordingGuard) Begin()         { g.depth++ }
func (g *recordingGuard) Opened(fd int)  { g.open[fd] = true }
func (g *recordingGuard) Closing(fd int) { delete(g.open, fd) }
func (g *recordingGuard) End()           { g.depth-- }

func TestTheForkGuardKnowsEveryLockDescriptor(t *testing.T) {
	g := &recordingGuard{open: map[int]bool{}}
	SetForkGuard(g)
	defer SetForkGuard(noGuard{})
	path := lockFile(t)
	a, err := OpenLocks(path, true)
	require.NoError(t, err)
	b, err := OpenLocks(path, false)
	require.NoError(t, err)
	assert.Len(t, g.open, 2)
	a.Close()
	b.Close()
	_, err = OpenLocks(path+"-missing", true)
	assert.True(t, errors.Is(err, fs.ErrNotExist))
	assert.Empty(t, g.open)
	assert.Zero(t, g.depth)
}

func TestMonotonicIsTheSystemsClock(t *testing.T) {
	var ts unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts))
	now := Monotonic()
	assert.GreaterOrEqual(t, now+uint64(time.Millisecond), uint64(ts.Nano()))
	assert.Less(t, now, uint64(ts.Nano())+uint64(time.Minute))
}

func TestQuestionsAboutAFileChangeNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("0123456789"), 0o600))
	require.NoError(t, MayRemove(path))
	require.NoError(t, CanExchange(path))
	assert.ErrorIs(t, MayRemove(path+"2"), fs.ErrNotExist)
	empty := t.TempDir()
	assert.ErrorIs(t, MayRemove(empty), ErrNotRegular)
	assert.DirExists(t, empty)
	f, err := OpenFile(path, true)
	require.NoError(t, err)
	defer f.Close()
	for limit, want := range map[int]string{0: "", 4: "0123", 10: "0123456789", 100: "0123456789"} {
		start, err := f.ReadStart(limit)
		require.NoError(t, err)
		assert.Equal(t, want, string(start))
	}
	require.NoError(t, os.Rename(path, path+"2"))
	require.NoError(t, os.WriteFile(path, []byte("another"), 0o600))
	require.NoError(t, f.Cut(3))
	for name, want := range map[string]string{path: "another", path + "2": "012"} {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, want, string(content))
	}
}
