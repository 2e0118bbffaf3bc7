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

func TestAMomentIsKeptUpWhileItIsUsedOften(t *testing.T) {
	var m Moment
	m.Begin()
	defer m.Drop()
	kept := func() bool { return atomic.LoadUint64(&m.now) != 0 }
	uses := 0
	until(t, "used often within one turn", func() bool { // on a busy machine a tick may end first: then begin again
		for begun := m.Seen(); ; {
			require.True(t, m.Passed())
			now, due := m.Look()
			if uses++; due {
				require.Equal(t, uses == often, kept())
				require.True(t, kept() || now-begun >= uint64(MomentEvery))
				uses = 0
				return kept()
			}
		}
	})
	// On a busy machine the next tick may pass between two lines.
	quiet := func(now uint64) bool { return !m.Passed() || Monotonic()-now >= uint64(MomentEvery) }
	assert.True(t, quiet(m.Seen()))
	for range 3 {
		last := m.Seen()
		until(t, "a turn", m.Passed)
		now, due := m.Look()
		require.True(t, due)
		assert.Greater(t, now, last)
		assert.Equal(t, now, m.Seen())
		assert.True(t, quiet(now))
	}
	until(t, "nobody uses it", func() bool { return !kept() })
	until(t, "the keeper's end", func() bool {
		keeper.Lock()
		defer keeper.Unlock()
		return !keeper.running && len(keeper.kept) == 0
	})
	assert.True(t, m.Passed())
}

func TestAMomentThatIsUsedSeldomIsNotKeptUp(t *testing.T) {
	var m Moment
	m.Begin()
	defer m.Drop()
	for range 3 {
		begun := m.Seen()
		until(t, "a turn", func() bool {
			now, due := m.Look()
			require.Zero(t, atomic.LoadUint64(&m.now))
			require.Equal(t, due, now-begun >= uint64(MomentEvery))
			return due
		})
	}
}

func TestAMomentThatNobodyKeepsUpIsFoundOut(t *testing.T) {
	m := Moment{now: 1, seen: 1}
	assert.False(t, m.Passed())
	assert.False(t, m.KeptUp())
	m.Renew()
	assert.True(t, m.KeptUp())
	assert.False(t, m.Passed())
}
