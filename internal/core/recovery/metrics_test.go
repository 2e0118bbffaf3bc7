package recovery

import (
	"testing"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMetricsCountWhatHappened(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Checksum = segment.ChecksumEnforced
	p := b.producer(config)
	lossless := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Name: "log"})
	ordered := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, Name: "slow"})
	write(t, p, 4)
	_, err := p.Claim(0)
	require.ErrorIs(t, err, status.Timeout)
	_, err = p.Claim(time.Millisecond)
	require.ErrorIs(t, err, status.Timeout)
	idsOf(t, lossless, 4)
	s, err := p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, p.Abort(s))
	write(t, p, 2)
	read(t, ordered)
	_, err = lossless.Next(0)
	require.NoError(t, err)
	s, err = p.Claim(0)
	require.NoError(t, err)
	require.Equal(t, RecoverySuccess, b.reset(s.Index(), true))
	require.ErrorIs(t, p.Commit(s, 0), status.Fenced)

	m, all, err := ReadMetrics("x", b.dir)
	require.NoError(t, err)
	assert.EqualValues(t, []uint64{6, 48, 1, 1}, []uint64{m.Written, m.Bytes, m.Aborted, m.Fenced})
	assert.EqualValues(t, []uint64{1, 2, 1}, []uint64{m.Waits, m.Timeouts, m.Recoveries})
	assert.GreaterOrEqual(t, m.Waited, time.Millisecond)
	assert.EqualValues(t, []uint64{6, 2, 3}, []uint64{m.Read, m.Missed, m.MaxLag})
	assert.Positive(t, m.Age)
	require.Len(t, all, 3)
	assert.Equal(t, []string{"log", "slow"}, []string{all[1].Name, all[2].Name})
	assert.EqualValues(t, []uint64{5, 40, 2}, []uint64{all[1].Read, all[1].Bytes, all[1].Behind},
		"the one that it holds is not read yet")
	assert.EqualValues(t, []uint64{1, 2, 3}, []uint64{all[2].Read, all[2].Missed, all[2].Behind})
	assert.True(t, all[1].Alive)
	assert.WithinDuration(t, time.Now(), all[1].Attached, time.Minute)
	assert.True(t, all[1].Died.IsZero())
}
