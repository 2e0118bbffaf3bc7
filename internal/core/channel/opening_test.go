package channel

import (
	"testing"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/platform"
)

// napping runs a function where a consumer sleeps. It returns the naps taken so far.
func napping(t *testing.T, nap func(n int, d time.Duration)) *[]time.Duration {
	var naps []time.Duration
	platform.SetNap(func(d time.Duration) {
		naps = append(naps, d)
		nap(len(naps), d)
	})
	t.Cleanup(func() { platform.SetNap(platform.Sleep) })
	return &naps
}

func TestAConsumerWaitsForItsBlock(t *testing.T) {
	for _, wait := range []time.Duration{segment.Forever, time.Hour} {
		b := newFixture(t)
		var p *Producer
		naps := napping(t, func(n int, _ time.Duration) {
			if n == 7 {
				p = b.producer(b.config(segment.Ring, 4))
			}
		})
		c := b.consumer(segment.ConsumerOptions{Wait: wait})
		ms := time.Millisecond
		assert.Equal(t, []time.Duration{1 * ms, 2 * ms, 4 * ms, 8 * ms, 16 * ms, 16 * ms, 16 * ms}, *naps)
		write(t, p, 1)
		assert.EqualValues(t, 0, read(t, c).ID())
	}
}

func TestAWaitForABlockEnds(t *testing.T) {
	b := newFixture(t)
	naps := napping(t, func(_ int, d time.Duration) { platform.Sleep(d) })
	_, err := OpenConsumer("x", segment.ConsumerOptions{Directory: b.dir, Wait: 20 * time.Millisecond})
	require.ErrorIs(t, err, status.Timeout)
	assert.ErrorContains(t, err, `no block "x" in `+b.dir+" within 20ms: ")
	var all time.Duration
	for _, nap := range *naps {
		all += nap
	}
	assert.Positive(t, all)
	assert.LessOrEqual(t, all, 20*time.Millisecond, "no nap is longer than what is left")

	*naps = nil
	_, err = OpenConsumer("x", segment.ConsumerOptions{Directory: b.dir})
	require.ErrorIs(t, err, status.NotFound)
	_, err = OpenConsumer("x", segment.ConsumerOptions{Directory: b.dir, Wait: -2})
	require.ErrorIs(t, err, status.Invalid)
	b.producer(b.config(segment.Single, 1))
	_, err = OpenConsumer("x", segment.ConsumerOptions{Directory: b.dir, Delivery: segment.Lossless,
		Wait: segment.Forever})
	require.ErrorIs(t, err, status.Invalid, "the wait is for the block alone")
	assert.Empty(t, *naps)
}

func TestARingAllowsLosslessUnlessItForbidsIt(t *testing.T) {
	for _, o := range []struct {
		flags   uint32
		allowed bool
	}{{0, true}, {segment.Timestamp, true}, {segment.AllowLossless, true}, {segment.ForbidLossless, false},
		{segment.AllowLossless | segment.ForbidLossless, false}} {
		b := newFixture(t)
		config := b.config(segment.Ring, 4)
		config.Flags = o.flags
		b.producer(config)
		wanted := map[bool]segment.Delivery{true: segment.Lossless, false: segment.Ordered}[o.allowed]
		assert.Equal(t, wanted, b.consumer(segment.ConsumerOptions{}).delivery, "flags 0x%x", o.flags)
		_, err := OpenConsumer("x", segment.ConsumerOptions{Directory: b.dir, Delivery: segment.Lossless})
		if o.allowed {
			assert.NoError(t, err)
		} else {
			assert.ErrorIs(t, err, status.Invalid)
		}
	}
}
