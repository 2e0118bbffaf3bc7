package channel

import (
	"errors"
	"sync"
	"testing"
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

func (b fixture) both() (*Producer, *Consumer) {
	return b.producer(b.config(segment.Ring, 4)), b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
}

func TestALockIsRecursiveForItsOwner(t *testing.T) {
	p, c := newFixture(t).both()
	for range 2 {
		abandoned, err := p.Lock(1, 0)
		require.NoError(t, err)
		assert.False(t, abandoned)
	}
	require.NoError(t, p.Unlock(1))
	_, err := c.Lock(1, 0)
	assert.ErrorIs(t, err, status.Timeout)
	require.NoError(t, p.Unlock(1))
	_, err = c.Lock(1, 0)
	assert.NoError(t, err)
	assert.ErrorIs(t, p.Unlock(1), status.Invalid)
}

func TestTheLockOfADeadOwnerIsTakenBack(t *testing.T) {
	b := newFixture(t)
	p, c := b.both()
	_, err := c.Lock(3, 0)
	require.NoError(t, err)
	_, err = p.Lock(3, 5*time.Millisecond)
	require.ErrorIs(t, err, status.Timeout)
	die(c.Attachment)
	abandoned, err := p.Lock(3, segment.Forever)
	require.NoError(t, err)
	assert.True(t, abandoned)
	assert.ErrorIs(t, c.Unlock(3), status.Fenced, "an evicted participant gets FENCED")
}

// A producer's successor, or a newcomer in a consumer's row, is not its predecessor.
func TestALockDoesNotPassToTheNextInTheRow(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	_, err := p.Lock(5, 0)
	require.NoError(t, err)
	die(p.Attachment)
	q := b.producer(config)
	abandoned, err := q.Lock(5, 0)
	require.NoError(t, err)
	assert.True(t, abandoned)
	require.NoError(t, q.Unlock(5))
	assert.ErrorIs(t, p.Unlock(5), status.Fenced)
}

func TestOfManyWhoTakeALockBackOneWins(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	var waiting []*Consumer
	for range 8 {
		waiting = append(waiting, b.consumer(segment.ConsumerOptions{Delivery: segment.Latest}))
	}
	for range 100 {
		dead, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest})
		require.NoError(t, err)
		_, err = dead.Lock(2, 0)
		require.NoError(t, err)
		die(dead.Attachment)
		var all sync.WaitGroup
		won := make(chan *Consumer, len(waiting))
		for _, c := range waiting {
			all.Go(func() {
				if _, err := c.Lock(2, 0); err == nil {
					won <- c
				}
			})
		}
		all.Wait()
		require.Len(t, won, 1)
		require.NoError(t, (<-won).Unlock(2))
		_, err = recovery.CleanupDeadConsumers("x", b.dir, 0)
		require.NoError(t, err)
	}
	_ = p
}

func TestMutualExclusion(t *testing.T) {
	b := newFixture(t)
	const turns = 2000
	p := b.producer(b.config(segment.Ring, 4))
	shared := p.Ctl.Plain64(p.FlexOffset + layout.FlexHeader) // not an atomic word
	var all sync.WaitGroup
	for range 4 {
		c := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
		all.Go(func() {
			for range turns {
				if _, err := c.Lock(6, segment.Forever); err != nil {
					panic(err)
				}
				*shared++
				if err := c.Unlock(6); err != nil {
					panic(err)
				}
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, 4*turns, *shared)
}

func TestLeavingAZoneThatOneIsNotIn(t *testing.T) {
	p, c := newFixture(t).both()
	for range 3 {
		_, err := p.Lock(segment.ZoneLock, 0)
		require.NoError(t, err)
		assert.ErrorIs(t, p.LeaveZone(false), status.Invalid)
		assert.ErrorIs(t, p.LeaveZone(true), status.Invalid)
	}
	for range 3 {
		require.NoError(t, p.Unlock(segment.ZoneLock))
	}
	_, err := c.EnterZone(false, 0)
	require.NoError(t, err)
	_, err = c.Lock(segment.ZoneLock, 0)
	require.NoError(t, err)
	require.NoError(t, c.LeaveZone(false))
	assert.ErrorIs(t, c.LeaveZone(false), status.Invalid)
	require.NoError(t, c.Unlock(segment.ZoneLock))
	z, err := p.EnterZone(false, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 1, z.Writes)
	require.NoError(t, p.Unlock(segment.ZoneLock))
	assert.ErrorIs(t, p.LeaveZone(false), status.Invalid)
}

func TestTheZoneOfOneWhoCouldNotFinish(t *testing.T) {
	p, c := newFixture(t).both()
	failed := errors.New("could not finish")
	_, err := WithFlexibleZone(p, 0, func(zone []byte) (int, error) {
		zone[0] = 1
		return 0, failed
	})
	require.ErrorIs(t, err, failed)
	_, err = WithFlexibleZone(c, 0, func([]byte) (int, error) { return 0, nil })
	require.ErrorIs(t, err, status.Checksum)
	z, err := c.EnterZone(true, 0)
	require.NoError(t, err)
	assert.True(t, z.Abandoned)
	assert.False(t, z.Intact)
	require.NoError(t, c.LeaveZone(false))
	n, err := WithFlexibleZone(p, 0, func(zone []byte) (byte, error) { return zone[0], nil })
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)
	assert.PanicsWithValue(t, "stop", func() {
		_, _ = WithFlexibleZone(p, 0, func([]byte) (int, error) { panic("stop") })
	})
	z, err = c.EnterZone(false, 0)
	require.NoError(t, err, "it panicked before it wrote")
	assert.True(t, z.Abandoned)
	require.NoError(t, c.LeaveZone(false))
}

func TestSharedWordsThatNobodyCanHaveWritten(t *testing.T) {
	p, _ := newFixture(t).both()
	for _, mark := range []uint64{1, 0xffff, 1 << 62, ^uint64(0), 200, segment.LockMark(3, 77)} {
		p.LockWord(4).Store(mark)
		abandoned, err := p.Lock(4, 0)
		require.NoError(t, err, "mark %x", mark)
		assert.True(t, abandoned)
		require.NoError(t, p.Unlock(4))
	}
}
