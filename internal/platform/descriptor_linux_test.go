package platform

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestADescriptorThatTheProgramClosedIsNotUsed(t *testing.T) {
	path := lockFile(t)
	l := openLocks(t, path, true)
	ok, err := l.TryLock(10)
	require.True(t, ok)
	require.NoError(t, err)
	require.NoError(t, l.Check())
	require.NoError(t, unix.Close(l.Number()))
	_, err = l.TryLock(10)
	assert.True(t, lostDescriptor(err), err)
	_, err = l.Held(10, 1)
	assert.True(t, lostDescriptor(err), err)
	assert.True(t, lostDescriptor(l.Check()))
}

func TestADescriptorThatLeadsElsewhereIsNeitherUsedNorClosed(t *testing.T) {
	l := openLocks(t, lockFile(t), true)
	number := l.Number()
	own, err := unix.Open(lockFile(t), unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Dup3(own, number, unix.O_CLOEXEC))
	defer func() { assert.NoError(t, unix.Close(number)) }()
	defer func() { assert.NoError(t, unix.Close(own)) }()
	_, err = l.TryLock(10)
	assert.True(t, lostDescriptor(err), err)
	l.Close()
	k := unix.Flock_t{Type: unix.F_WRLCK, Start: 10, Len: 1}
	require.NoError(t, unix.FcntlFlock(uintptr(number), unix.F_OFD_GETLK, &k), "it is open")
	assert.EqualValues(t, unix.F_UNLCK, k.Type)
}

// Device and inode are the same for both.
func TestADescriptorThatAnotherHandleHasByNowIsLeftToIt(t *testing.T) {
	path := lockFile(t)
	var first, second *Locks
	for try := 0; ; try++ { // a descriptor of the runtime may get the number once
		first = openLocks(t, path, true)
		require.NoError(t, unix.Close(first.Number()))
		if second = openLocks(t, path, true); second.Number() == first.Number() {
			break
		}
		require.Less(t, try, 10)
	}
	ok, err := second.TryLock(10)
	require.True(t, ok)
	require.NoError(t, err)
	assert.True(t, lostDescriptor(first.Check()))
	first.Close()
	assert.NoError(t, second.Check())
	held, err := openLocks(t, path, true).Held(10, 1)
	require.NoError(t, err)
	assert.True(t, held)
}

func TestLocksOfAProcessAreRead(t *testing.T) {
	const info = "pos:\t0\nflags:\t02100002\n" +
		"lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1a:2 128 129\n" +
		"lock:\t2: OFDLCK ADVISORY  READ -1 00:1a:2 300 300\n" +
		"lock:\t3: OFDLCK ADVISORY  WRITE -1 00:1a:2 400 EOF\n"
	for at, locked := range map[int64]bool{
		127: false, 128: true, 129: true, 130: false, 300: false, 399: false, 400: true, 1 << 40: true,
	} {
		assert.Equal(t, locked, locks(info, at), "byte %d", at)
	}
}

func TestADirectoryIsListedWithoutTheRestOfIt(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a", ".hidden"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "c"), 0o700))
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "d")))
	found, err := ReadDirectory(dir)
	require.NoError(t, err)
	assert.Equal(t, []Entry{{".hidden", true}, {"a", true}, {"b", true}, {"c", false}, {"d", false}}, found)
	_, err = ReadDirectory(filepath.Join(dir, "missing"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = ReadDirectory(filepath.Join(dir, "a"))
	assert.ErrorIs(t, err, unix.ENOTDIR)
}
