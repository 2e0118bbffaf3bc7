package platform

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

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
