package platform

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// until waits for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, time.Millisecond, what)
}

func TestACoarseClockIsKeptUpWhileItIsUsedOften(t *testing.T) {
	var m CoarseClock
	m.Start()
	defer m.Stop()
	kept := func() bool { return atomic.LoadUint64(&m.now) != 0 }
	uses := 0
	until(t, "used often within one turn", func() bool { // on a busy machine a tick may end first: then begin again
		for begun := m.Seen(); ; {
			require.True(t, m.Changed())
			now, due := m.Poll()
			if uses++; due {
				require.Equal(t, uses == activeUses, kept())
				require.True(t, kept() || now-begun >= uint64(CoarseClockTick))
				uses = 0
				return kept()
			}
		}
	})
	// On a busy machine the next tick may pass between two lines.
	quiet := func(now uint64) bool { return !m.Changed() || Monotonic()-now >= uint64(CoarseClockTick) }
	assert.True(t, quiet(m.Seen()))
	for range 3 {
		last := m.Seen()
		until(t, "a turn", m.Changed)
		now, due := m.Poll()
		require.True(t, due)
		assert.Greater(t, now, last)
		assert.Equal(t, now, m.Seen())
		assert.True(t, quiet(now))
	}
	until(t, "nobody uses it", func() bool { return !kept() })
	until(t, "the updater's end", func() bool {
		clockUpdater.Lock()
		defer clockUpdater.Unlock()
		return !clockUpdater.running && len(clockUpdater.kept) == 0
	})
	assert.True(t, m.Changed())
}

func TestACoarseClockThatIsUsedSeldomIsNotKeptUp(t *testing.T) {
	var m CoarseClock
	m.Start()
	defer m.Stop()
	for range 3 {
		begun := m.Seen()
		until(t, "a turn", func() bool {
			now, due := m.Poll()
			require.Zero(t, atomic.LoadUint64(&m.now))
			require.Equal(t, due, now-begun >= uint64(CoarseClockTick))
			return due
		})
	}
}

func TestACoarseClockThatNobodyKeepsUpIsFoundOut(t *testing.T) {
	m := CoarseClock{now: 1, seen: 1}
	assert.False(t, m.Changed())
	assert.False(t, m.Fresh())
	m.Refresh()
	assert.True(t, m.Fresh())
	assert.False(t, m.Changed())
}
