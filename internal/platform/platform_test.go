//go:build linux || windows

package platform

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

func TestALockDiesWithItsOwner(t *testing.T) {
	if path := os.Getenv("PLATFORM_TEST_LOCK"); path != "" { // the child: take the lock, say so, wait to be killed
		l, err := OpenLocks(path, true)
		require.NoError(t, err)
		_, err = l.TryLock(5)
		require.NoError(t, err)
		_, _ = os.Stdout.WriteString("locked\n")
		_, _ = os.Stdin.Read(make([]byte, 1))
		return
	}
	path := lockFile(t)
	asker := openLocks(t, path, true)
	child := exec.Command(os.Args[0], "-test.run=TestALockDiesWithItsOwner")
	child.Env = append(os.Environ(), "PLATFORM_TEST_LOCK="+path)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	in, err := child.StdinPipe()
	require.NoError(t, err)
	defer in.Close()
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

func lostDescriptor(err error) bool {
	var lost *DescriptorLost
	return errors.As(err, &lost)
}

func TestANewFileIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new")
	require.NoError(t, WriteNew(path, []byte("first"), 0o644))
	assert.ErrorIs(t, WriteNew(path, []byte("second"), 0o644), fs.ErrExist)
	content, err := ReadFile(path, 100)
	require.NoError(t, err)
	assert.Equal(t, "first", string(content))
	content, err = ReadFile(path, 3)
	require.NoError(t, err)
	assert.Equal(t, "fir", string(content))
	left, err := ReadDirectory(dir)
	require.NoError(t, err)
	assert.Equal(t, []Entry{{"new", true}}, left)
}

func TestASleepEndsWhenALockIsGone(t *testing.T) {
	path := lockFile(t)
	holder, ask := openLocks(t, path, true), openLocks(t, path, true)
	ok, err := holder.TryLock(10)
	require.True(t, ok)
	require.NoError(t, err)
	var word atomic.Uint32
	start := time.Now()
	WaitHeld(&word, 0, 50*time.Millisecond, ask, []int64{10})
	assert.GreaterOrEqual(t, time.Since(start), 50*time.Millisecond, "it is held")
	require.NoError(t, holder.Unlock(10))
	start = time.Now()
	WaitHeld(&word, 0, time.Minute, ask, []int64{10})
	assert.Less(t, time.Since(start), 30*time.Second)
	var many []int64 // more than one poll asks for
	for at := int64(20); at < 40; at++ {
		ok, err := holder.TryLock(at)
		require.True(t, ok)
		require.NoError(t, err)
		many = append(many, at)
	}
	require.NoError(t, holder.Unlock(39))
	WaitHeld(&word, 0, time.Minute, ask, many)
	assert.Less(t, time.Since(start), 30*time.Second, "the last of many")
	WaitHeld(&word, 1, time.Minute, ask, []int64{10}) // the word has changed
	assert.Less(t, time.Since(start), 30*time.Second)
}
