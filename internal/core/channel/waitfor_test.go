package channel

import (
	"testing"
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

var deliveries = []segment.Delivery{segment.Lossless, segment.Ordered, segment.Latest}

func TestWaitForWaitsForThatMessageAlone(t *testing.T) {
	for _, d := range deliveries {
		t.Run(d.String(), func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 4))
			c := b.consumer(segment.ConsumerOptions{Delivery: d})
			got := make(chan ReadSlot)
			go func() {
				s, err := c.WaitFor(3, segment.Forever)
				assert.NoError(t, err)
				got <- s
			}()
			for range 3 {
				write(t, p, 1)
				for c.Waiting.Load() == 0 { // the wait woke up for this message, and sleeps again
					select {
					case s := <-got:
						t.Fatalf("message %d is taken for message 3", s.ID())
					case <-time.After(time.Millisecond):
					}
				}
			}
			write(t, p, 1)
			s := <-got
			assert.EqualValues(t, 3, s.ID())
			assert.EqualValues(t, 0, s.Missed())
			require.NoError(t, c.Release(s))
			first := map[segment.Delivery]uint64{segment.Lossless: 0, segment.Ordered: 0, segment.Latest: 3}[d]
			assert.Equal(t, first, read(t, c).ID(), "the cursor has not moved")
		})
	}
}

func TestWaitForOfAnOverwrittenMessageDoesNotWait(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 6)
	_, err := c.WaitFor(1, segment.Forever)
	assert.ErrorIs(t, err, status.Overrun)
	p.Entry(3).Or(layout.EntryLost)
	_, err = c.WaitFor(3, segment.Forever)
	assert.ErrorIs(t, err, status.Lost)
	_, err = c.WaitFor(^uint64(0), 0)
	assert.ErrorIs(t, err, status.Timeout)
	_, err = c.WaitFor(3, -2)
	assert.ErrorIs(t, err, status.Invalid)
	held := readHeld(t, c)
	_, err = c.WaitFor(4, segment.Forever)
	assert.ErrorIs(t, err, status.Busy)
	require.NoError(t, c.Release(held))
}

func readHeld(t *testing.T, c *Consumer) ReadSlot {
	s, err := c.Next(0)
	require.NoError(t, err)
	return s
}

func TestWaitForEndsWithTheStream(t *testing.T) {
	for name, end := range map[string]struct {
		how  func(fixture, *Producer)
		want status.Code
		says string
	}{
		"closed": {func(b fixture, p *Producer) { require.NoError(b.t, p.Close()) }, status.Closed, "before message 2"},
		"superseded": {func(b fixture, p *Producer) {
			require.NoError(b.t, recovery.Unlink("x", b.dir,
				segment.Force))
		},
			status.Superseded,
			"before message 2"},
		"dead": {func(b fixture, p *Producer) { die(p.Attachment) }, status.NoProducer, "no message 2"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			p, err := OpenProducer("x", b.config(segment.Ring, 4))
			require.NoError(t, err)
			c := b.consumer(segment.ConsumerOptions{})
			write(t, p, 2)
			end.how(b, p)
			_, err = c.WaitFor(2, 150*time.Millisecond)
			assert.ErrorIs(t, err, end.want)
			assert.ErrorContains(t, err, end.says)
			s, err := c.WaitFor(1, segment.Forever)
			require.NoError(t, err, "what is there can be read")
			require.NoError(t, c.Release(s))
			assert.Equal(t, []uint64{0, 1}, idsOf(t, c, 2))
		})
	}
}

func TestAWaitForIsInterrupted(t *testing.T) {
	b := newFixture(t)
	b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{})
	over := make(chan error)
	go func() {
		_, err := c.WaitFor(0, segment.Forever)
		over <- err
	}()
	for c.Waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	c.Interrupt()
	assert.ErrorIs(t, <-over, status.Closed)
}

func TestALosslessConsumerDoesNotWaitForEverForItself(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{MaxPins: 2})
	write(t, p, 2)
	held := readHeld(t, c)
	_, err := c.WaitFor(4, segment.Forever)
	assert.ErrorIs(t, err, status.Invalid)
	assert.ErrorContains(t, err, "message 0")
	_, err = c.WaitFor(4, time.Millisecond)
	assert.ErrorIs(t, err, status.Timeout, "a wait that ends by itself is none for ever")
	require.NoError(t, c.Release(held))

	got := make(chan ReadSlot)
	go func() {
		s, err := c.WaitFor(4, segment.Forever)
		assert.NoError(t, err)
		got <- s
	}()
	write(t, p, 3)
	assert.EqualValues(t, 4, (<-got).ID())
}

func TestCallsAfterCloseAreErrors(t *testing.T) {
	b := newFixture(t)
	p, c := b.producer(b.config(segment.Ring, 4)), b.consumer(segment.ConsumerOptions{MaxPins: 2})
	write(t, p, 1)
	held, claimed := readHeld(t, c), must(p.Claim(0))
	require.NoError(t, c.Close())
	require.NoError(t, p.Close())

	for name, err := range map[string]error{
		"next": second(c.Next(segment.Forever)), "read at": second(c.ReadAt(0)), "wait for": second(c.WaitFor(0,
			segment.Forever)),
		"close": c.Close(),
		"claim": second(p.Claim(segment.Forever)), "close producer": p.Close(),
	} {
		assert.ErrorIs(t, err, status.Closed, name)
	}
	for name, err := range map[string]error{"release": c.Release(held), "commit": p.Commit(claimed, 1),
		"abort": p.Abort(claimed)} {
		assert.ErrorIs(t, err, status.Invalid, name)
	}
	for _, err := range c.Messages(segment.Forever) {
		assert.ErrorIs(t, err, status.Closed)
	}
	c.Interrupt()
	p.Interrupt()
	assert.Equal(t, "x", p.Name()+c.Name()[1:])
}

func must(s WriteSlot, err error) WriteSlot {
	if err != nil {
		panic(err)
	}
	return s
}

func second(_ any, err error) error { return err }

func TestADeposedProducersClaimEndsWithIt(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	claimed := must(p.Claim(0))
	die(p.Attachment)
	b.producer(b.config(segment.Ring, 4))
	require.NoError(t, p.Close())
	assert.ErrorIs(t, p.Commit(claimed, 1), status.Invalid)
}
