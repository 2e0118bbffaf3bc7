package core

import (
	"testing"
	"time"

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
	for _, wait := range []time.Duration{Forever, time.Hour} {
		b := newBench(t)
		var p *Producer
		naps := napping(t, func(n int, _ time.Duration) {
			if n == 7 {
				p = b.producer(b.config(Ring, 4))
			}
		})
		c := b.consumer(ConsumerOptions{Wait: wait})
		ms := time.Millisecond
		assert.Equal(t, []time.Duration{1 * ms, 2 * ms, 4 * ms, 8 * ms, 16 * ms, 16 * ms, 16 * ms}, *naps)
		write(t, p, 1)
		assert.EqualValues(t, 0, read(t, c).ID())
	}
}

func TestAWaitForABlockEnds(t *testing.T) {
	b := newBench(t)
	naps := napping(t, func(_ int, d time.Duration) { platform.Sleep(d) })
	_, err := OpenConsumer("x", ConsumerOptions{Directory: b.dir, Wait: 20 * time.Millisecond})
	require.ErrorIs(t, err, Timeout)
	assert.ErrorContains(t, err, `no block "x" in `+b.dir+" within 20ms: ")
	var all time.Duration
	for _, nap := range *naps {
		all += nap
	}
	assert.Positive(t, all)
	assert.LessOrEqual(t, all, 20*time.Millisecond, "no nap is longer than what is left")

	*naps = nil
	_, err = OpenConsumer("x", ConsumerOptions{Directory: b.dir})
	require.ErrorIs(t, err, NotFound)
	_, err = OpenConsumer("x", ConsumerOptions{Directory: b.dir, Wait: -2})
	require.ErrorIs(t, err, Invalid)
	b.producer(b.config(Single, 1))
	_, err = OpenConsumer("x", ConsumerOptions{Directory: b.dir, Delivery: Lossless, Wait: Forever})
	require.ErrorIs(t, err, Invalid, "the wait is for the block alone")
	assert.Empty(t, *naps)
}

func TestARingAllowsLosslessUnlessItForbidsIt(t *testing.T) {
	for _, o := range []struct {
		flags   uint32
		allowed bool
	}{{0, true}, {Timestamp, true}, {AllowLossless, true}, {ForbidLossless, false},
		{AllowLossless | ForbidLossless, false}} {
		b := newBench(t)
		config := b.config(Ring, 4)
		config.Flags = o.flags
		b.producer(config)
		wanted := map[bool]Delivery{true: Lossless, false: Ordered}[o.allowed]
		assert.Equal(t, wanted, b.consumer(ConsumerOptions{}).delivery, "flags 0x%x", o.flags)
		_, err := OpenConsumer("x", ConsumerOptions{Directory: b.dir, Delivery: Lossless})
		if o.allowed {
			assert.NoError(t, err)
		} else {
			assert.ErrorIs(t, err, Invalid)
		}
	}
}
