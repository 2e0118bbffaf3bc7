package platform

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALockIsSeenByEveryOtherHandleAndNotByItsOwn(t *testing.T) {
	path := lockFile(t)
	owner, other, reader := openLocks(t, path, true), openLocks(t, path, true), openLocks(t, path, false)
	const at = 1<<40 + 7
	for range 2 { // the second time it has the lock
		ok, err := owner.TryLock(at)
		require.NoError(t, err)
		require.True(t, ok)
	}
	for name, want := range map[*Locks]bool{owner: false, other: true, reader: true} {
		held, err := name.Held(at, 1)
		require.NoError(t, err)
		assert.Equal(t, want, held)
		held, err = name.Held(at-1000, 5000)
		require.NoError(t, err)
		assert.Equal(t, want, held)
	}
	ok, err := other.TryLock(at)
	require.NoError(t, err)
	assert.False(t, ok)
	found, held, err := reader.Find(at, 1)
	require.NoError(t, err)
	assert.True(t, held)
	assert.Equal(t, Range{at, 1}, found)
	ok, err = other.TryLock(at + 1)
	require.NoError(t, err)
	assert.True(t, ok, "bytes are independent")
	found, held, err = reader.Find(at, 1)
	require.NoError(t, err)
	assert.True(t, held)
	assert.Equal(t, Range{at, 2}, found, "the system does not say whether one handle has both")
	require.NoError(t, owner.Unlock(at))
	require.NoError(t, owner.Unlock(at), "without the lock it changes nothing")
	_, held, err = reader.Find(at, 1)
	require.NoError(t, err)
	assert.False(t, held, "the next byte alone")
	ok, err = other.TryLock(at)
	require.NoError(t, err)
	assert.True(t, ok)
	other.Close()
	held, err = reader.Held(0, 1<<50)
	require.NoError(t, err)
	assert.False(t, held, "a closed handle has no locks")
}

func TestEachLockedByteOfARangeIsFound(t *testing.T) {
	path := lockFile(t)
	owner, own := openLocks(t, path, true), openLocks(t, path, true)
	const start, length = 1 << 40, 4096
	for _, at := range []int64{start, start + 1, start + 77, start + length - 1} {
		for _, mine := range []int64{start + 5, start + 76, start + 78} {
			ok, err := own.TryLock(mine)
			require.True(t, ok)
			require.NoError(t, err)
		}
		_, held, err := own.Find(start, length)
		require.NoError(t, err)
		require.False(t, held, "its own locks do not count")
		ok, err := owner.TryLock(at)
		require.True(t, ok)
		require.NoError(t, err)
		found, held, err := own.Find(start, length)
		require.NoError(t, err)
		require.True(t, held)
		require.Equal(t, at, found.Start)
		require.NoError(t, owner.Unlock(at))
	}
	held, err := owner.Held(start+76, 1)
	require.NoError(t, err)
	assert.True(t, held, "a query has released no lock")
}

// TestALockThatMovesIsHeld has an owner who always holds one of two bytes.
func TestALockThatMovesIsHeld(t *testing.T) {
	path := lockFile(t)
	owner, ask, stop, ended := openLocks(t, path, true), openLocks(t, path, false), make(chan bool), make(chan bool)
	ok, err := owner.TryLock(0)
	require.NoError(t, err)
	require.True(t, ok)
	go func() {
		defer close(ended)
		for from := int64(0); ; from = 1 - from {
			select {
			case <-stop:
				return
			default:
			}
			if ok, err := owner.TryLock(1 - from); !assert.NoError(t, err) || !assert.True(t, ok) {
				return
			}
			assert.NoError(t, owner.Unlock(from))
		}
	}()
	for range 500 {
		held, err := ask.Held(0, 2)
		require.NoError(t, err)
		if !assert.True(t, held) {
			break
		}
	}
	close(stop)
	<-ended
}

func TestALockBesideAnOwnOneIsOfOneByte(t *testing.T) {
	path := lockFile(t)
	owner, own := openLocks(t, path, true), openLocks(t, path, true)
	for locks, at := range map[*Locks]int64{owner: 10, own: 11} {
		ok, err := locks.TryLock(at)
		require.NoError(t, err)
		require.True(t, ok)
	}
	found, held, err := own.Find(10, 1)
	require.NoError(t, err)
	assert.True(t, held)
	assert.Equal(t, Range{10, 1}, found)
}

func TestQueriesDoNotDisturbEachOther(t *testing.T) {
	path := lockFile(t)
	const at = 1 << 40
	done := make(chan error)
	for range 4 {
		ask := openLocks(t, path, false)
		go func() {
			for range 300 {
				if held, err := ask.Held(at, 4); err != nil || held {
					assert.NoError(t, err)
					assert.False(t, held, "nobody has locked it")
					break
				}
			}
			done <- nil
		}()
	}
	taker := openLocks(t, path, true)
	for range 50 {
		ok, err := taker.TryLock(at + 10)
		require.True(t, ok)
		require.NoError(t, err)
		require.NoError(t, taker.Unlock(at+10))
	}
	for range 4 {
		<-done
	}
}

func TestALockIsTakenBetweenQueries(t *testing.T) {
	path := lockFile(t)
	ask, stop, ended := openLocks(t, path, false), make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = ask.Held(7, 1)
			}
		}
	}()
	taker := openLocks(t, path, true)
	for range 100 {
		ok, err := taker.TryLock(7)
		require.NoError(t, err)
		require.True(t, ok, "only queries are in the way")
		require.NoError(t, taker.Unlock(7))
	}
	close(stop)
	<-ended
}

// TestACleanerIsNeverTakenForAnOwner: a cleaner holds the second byte whenever it holds the first.
func TestACleanerIsNeverTakenForAnOwner(t *testing.T) {
	path := lockFile(t)
	cleaner, ask := openLocks(t, path, true), openLocks(t, path, false)
	const row, cleaning = 1 << 40, 1<<40 + 1
	ended, cleaned := make(chan bool), 0
	go func() {
		defer close(ended)
		for range 300 {
			for _, at := range []int64{cleaning, row} {
				if ok, err := cleaner.TryLock(at); !ok || err != nil {
					t.Error(ok, err)
				}
			}
			cleaned++
			for _, at := range []int64{row, cleaning} {
				if err := cleaner.Unlock(at); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	seen := map[int64]int{}
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		default:
			found, held, err := ask.Find(row, 1)
			require.NoError(t, err)
			if held {
				seen[found.Length]++
			}
		}
	}
	assert.Zero(t, seen[1], "looked like an owner: %v", seen)
	assert.NotZero(t, seen[2], "met the cleaner in %d turns", cleaned)
}

func TestAQueryThatNeverEndsIsAnError(t *testing.T) {
	path := lockFile(t)
	stuck, taker := openLocks(t, path, false), openLocks(t, path, true)
	ok, err := stuck.lock(0, lockBase+7, 1)
	require.True(t, ok)
	require.NoError(t, err)
	_, err = taker.TryLock(7)
	assert.ErrorContains(t, err, "query the byte without end")
	require.NoError(t, stuck.unlock(lockBase+7, 1))
	ok, err = taker.TryLock(7)
	assert.True(t, ok)
	assert.NoError(t, err)
}

func TestLocksDoNotHinderReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("0123456789"), 0o600))
	l := openLocks(t, path, true)
	for at := range int64(10) {
		ok, err := l.TryLock(at)
		require.True(t, ok)
		require.NoError(t, err)
	}
	content, err := ReadFile(path, 100)
	require.NoError(t, err)
	assert.Equal(t, "0123456789", string(content))
}
