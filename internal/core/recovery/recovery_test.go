package recovery

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/coretest"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// heartbeatOf returns the heartbeat in a consumer's row.
func heartbeatOf(c *channel.Consumer) *uint64 {
	return c.Ctl.Plain64(c.Header.RowOffset(c.Row) + layout.RowHeartbeat)
}

func (b fixture) diagnose() *Diagnosis {
	d, err := Diagnose("x", b.dir)
	require.NoError(b.t, err)
	return d
}

func (b fixture) slotsIn(state SlotState) (found []SlotDiagnosis) {
	for _, s := range b.diagnose().Slots {
		if s.State == state {
			found = append(found, s)
		}
	}
	return found
}

func TestADeadLosslessReaderIsReleasedByTheProducerItHoldsUp(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"waiting": 5 * time.Second, "polling": 0} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 4))
			c, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Lossless})
			require.NoError(t, err)
			write(t, p, 4)
			die(c.Attachment)
			require.Eventually(t, func() bool {
				s, err := p.Claim(timeout)
				if err != nil {
					return false
				}
				return p.Commit(s, 0) == nil
			}, 5*time.Second, time.Millisecond)
			assert.EqualValues(t, 1, *p.Data.Plain64(layout.MetricCleaned))
		})
	}
}

func TestADeadReadersPinIsFoundWithoutShortage(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest})
	require.NoError(t, err)
	write(t, p, 1)
	_, err = c.Next(0)
	require.NoError(t, err)
	die(c.Attachment)
	assert.Eventually(t, func() bool { write(t, p, 1000); return *p.Data.Plain64(layout.MetricCleaned) == 1 },
		5*time.Second, time.Millisecond)
}

func TestADeadClaimIsDiagnosedAndReleased(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	write(t, p, 2)
	s, err := p.Claim(0)
	require.NoError(t, err)

	writing := b.slotsIn(SlotWriting)
	require.Len(t, writing, 1)
	assert.Equal(t, s.Index(), writing[0].Index)
	assert.EqualValues(t, 2, writing[0].MessageID)
	assert.EqualValues(t, os.Getpid(), writing[0].WriteLock)
	assert.False(t, writing[0].Stuck)
	result, err := ReleaseZombieWriter("x", b.dir, s.Index())
	assert.Equal(t, RecoveryUnsafe, result, "%v", err)

	die(p.Attachment)
	assert.True(t, b.slotsIn(SlotWriting)[0].Stuck)
	result, _ = ReleaseZombieWriter("x", b.dir, (s.Index()+1)%p.Slots())
	assert.Equal(t, RecoveryNotStuck, result)
	result, _ = ReleaseZombieWriter("x", b.dir, p.Slots())
	assert.Equal(t, RecoveryInvalidSlot, result)
	result, err = ReleaseZombieWriter("x", b.dir, s.Index())
	assert.Equal(t, RecoverySuccess, result, "%v", err)
	assert.Empty(t, b.slotsIn(SlotWriting))
	assert.Len(t, b.slotsIn(SlotCommitted), 2)
	assert.EqualValues(t, 1, p.Ctl.U64(p.LogOffset+layout.LogNext).Load())
	result, _ = ReleaseZombieWriter("x", b.dir, s.Index())
	assert.Equal(t, RecoveryNotStuck, result)
}

func TestASuccessorEndsADeadClaim(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 2)
	_, err := p.Claim(0)
	require.NoError(t, err)
	die(p.Attachment)
	_, err = c.Next(0)
	require.NoError(t, err)
	q := b.producer(config)
	assert.Empty(t, b.slotsIn(SlotWriting))
	write(t, q, 1)
	assert.EqualValues(t, 2, q.NextID()-1)
}

func TestOnlyTheDeadReadersOfASlotAreReleased(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	living := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest, Name: "living"})
	dead, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest, Name: "dead"})
	require.NoError(t, err)
	write(t, p, 1)
	s, err := living.Next(0)
	require.NoError(t, err)
	_, err = dead.Next(0)
	require.NoError(t, err)
	result, _ := ReleaseZombieReaders("x", b.dir, s.Index())
	assert.Equal(t, RecoveryNotStuck, result)
	die(dead.Attachment)

	slot, err := DiagnoseSlot("x", b.dir, s.Index())
	require.NoError(t, err)
	assert.EqualValues(t, 2, slot.ReaderCount)
	assert.True(t, slot.Stuck)
	write(t, p, 4)
	assert.Equal(t, SlotDraining, b.diagnose().Slots[s.Index()].State)

	result, err = ReleaseZombieReaders("x", b.dir, s.Index())
	assert.Equal(t, RecoverySuccess, result, "%v", err)
	slot, err = DiagnoseSlot("x", b.dir, s.Index())
	require.NoError(t, err)
	assert.EqualValues(t, 1, slot.ReaderCount)
	assert.False(t, slot.Stuck)
	require.NoError(t, living.Release(s))
	_, err = DiagnoseSlot("x", b.dir, p.Slots())
	assert.ErrorIs(t, err, ErrSlotRange)
}

func TestCleanupRemovesDeadRowsAndKeepsDurableOnesForATime(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	for _, o := range []segment.ConsumerOptions{{}, {Delivery: segment.Latest}, {Name: "log", Durable: true}} {
		c, err := b.openConsumer(o)
		require.NoError(t, err)
		die(c.Attachment)
	}
	living := b.consumer(segment.ConsumerOptions{})
	n, err := CleanupDeadConsumers("x", b.dir, time.Hour)
	require.NoError(t, err)
	assert.LessOrEqual(t, n, 2) // attaching has cleaned the row it took
	rows := b.diagnose().Rows
	require.Len(t, rows, 3)
	n, err = CleanupDeadConsumers("x", b.dir, time.Hour)
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = CleanupDeadConsumers("x", b.dir, 0)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	require.Len(t, b.diagnose().Rows, 2)
	write(t, p, 1)
	assert.EqualValues(t, 0, read(t, living).ID())
}

func TestPinsNeverLeaveTheProducerWithoutASlot(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Single, 0)
	config.SpareSlots = 4
	p := b.producer(config)
	write(t, p, 1)
	holding := []*channel.Consumer{b.consumer(segment.ConsumerOptions{}),
		b.consumer(segment.ConsumerOptions{MaxPins: 2})}
	_, err := b.openConsumer(segment.ConsumerOptions{})
	require.ErrorIs(t, err, status.NoSpare)
	for i, c := range holding {
		for range i + 1 {
			_, err := c.Next(0)
			require.NoError(t, err)
			write(t, p, 20)
		}
		_, err := c.Next(0)
		assert.ErrorIs(t, err, status.Busy)
	}
	write(t, p, 20)
	die(holding[1].Attachment)
	c := b.consumer(segment.ConsumerOptions{MaxPins: 2}) // the dead consumer's row
	assert.EqualValues(t, 80, read(t, c).ID())
}

func TestTheConsumerLimitIsKept(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.ConsumerLimit = 2
	b.producer(config)
	b.consumer(segment.ConsumerOptions{})
	c := b.consumer(segment.ConsumerOptions{})
	_, err := b.openConsumer(segment.ConsumerOptions{})
	require.ErrorIs(t, err, status.Full)
	die(c.Attachment)
	b.consumer(segment.ConsumerOptions{})
}

func TestMinConsumersAreWaitedFor(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.MinConsumers = 1
	p := b.producer(config)
	write(t, p, 4)
	_, err := p.Claim(0)
	require.ErrorIs(t, err, status.Timeout)
	done := make(chan error, 1)
	go func() {
		s, err := p.Claim(segment.Forever)
		if err == nil {
			err = p.Commit(s, 0)
		}
		done <- err
	}()
	c := b.consumer(segment.ConsumerOptions{Start: segment.StartOldest})
	assert.EqualValues(t, 0, read(t, c).ID())
	require.NoError(t, <-done)
}

func TestSeveralMessagesMayBeHeldAtOnce(t *testing.T) {
	for _, d := range []segment.Delivery{segment.Lossless, segment.Ordered} {
		t.Run(d.String(), func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 4))
			c := b.consumer(segment.ConsumerOptions{Delivery: d, MaxPins: 3})
			write(t, p, 4)
			var held []channel.ReadSlot
			for range 3 {
				s, err := c.Next(0)
				require.NoError(t, err)
				held = append(held, s)
			}
			_, err := c.Next(0)
			require.ErrorIs(t, err, status.Busy)
			err = c.Release(held[1])
			if d == segment.Lossless {
				assert.ErrorIs(t, err, status.Invalid)
			} else {
				require.NoError(t, err)
			}
			require.NoError(t, c.Release(held[0]))
			assert.ErrorIs(t, c.Release(held[0]), status.Invalid)
			if d == segment.Lossless {
				require.NoError(t, c.Release(held[1]))
			}
			require.NoError(t, c.Release(held[2]))
			assert.EqualValues(t, 3, c.Cursor(c.Row).Load())
			assert.EqualValues(t, 3, read(t, c).ID())
		})
	}
}

func TestReadAtGivesThatMessageOrNone(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 10)
	for id, want := range map[uint64]error{0: status.Overrun, 5: status.Overrun, 6: nil, 9: nil, 10: status.NotFound,
		1 << 40:    status.NotFound,
		^uint64(0): status.NotFound} {
		s, err := c.ReadAt(id)
		if want != nil {
			assert.ErrorIs(t, err, want.(status.Code), id)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, id, s.ID())
		require.NoError(t, c.Release(s))
	}
	assert.EqualValues(t, 6, read(t, c).ID())
}

func TestADiscardedMessageIsToldOnce(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	lossless, ordered, latest := b.consumer(segment.ConsumerOptions{}),
		b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered}),
		b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	write(t, p, 2)
	p.Entry(0).Or(layout.EntryLost)
	for _, c := range []*channel.Consumer{lossless, ordered} {
		_, err := c.Next(0)
		require.ErrorIs(t, err, status.Lost)
		assert.EqualValues(t, 1, read(t, c).ID())
	}
	assert.EqualValues(t, 1, read(t, latest).ID())
	write(t, p, 4)
	assert.Equal(t, []uint64{2, 3, 4, 5}, idsOf(t, lossless, 4))
}

func TestAFencedClaimPublishesNothing(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 1)
	s, err := p.Claim(0)
	require.NoError(t, err)
	p.FenceNext()
	assert.ErrorIs(t, p.Commit(s, 8), status.Fenced)
	assert.EqualValues(t, 0, read(t, c).ID())
	_, err = c.Next(0)
	assert.ErrorIs(t, err, status.Timeout)
	write(t, p, 1)
	assert.EqualValues(t, 1, read(t, c).ID())
}

func TestATakenRowIsNoticed(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 1)
	s, err := c.Next(0)
	require.NoError(t, err)
	c.ClearRow(c.Row) // what a forced eviction does
	write(t, p, 20)
	assert.ErrorIs(t, c.Release(s), status.Fenced)
	_, err = c.Next(0)
	assert.ErrorIs(t, err, status.Fenced)
}

func TestGarbageOfTheDeadIsCollectedAndNothingElse(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	keep := slices.Sorted(maps.Keys(coretest.Files(t, b.dir)))
	stray := segment.Location{Directory: b.dir, Name: "gone"}
	id := segment.BlockID{1, 2, 3}
	for _, path := range []string{stray.ControlPath(id), stray.TemporaryPath(id)} {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	other := filepath.Join(b.dir, "not-ours.ctl")
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	removed, err := segment.CollectGarbage(b.dir)
	require.NoError(t, err)
	assert.Len(t, removed, 2)
	require.NoError(t, os.Remove(other))
	assert.Equal(t, keep, slices.Sorted(maps.Keys(coretest.Files(t, b.dir))))
	write(t, p, 1)
}

func TestListShowsBlocksAndOnlyBlocks(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	b.consumer(segment.ConsumerOptions{})
	write(t, p, 3)
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "foreign"), make([]byte, 10000), 0o600))
	damaged := p.Encode()
	damaged[layout.HdrSlotCount]++
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "damaged"), append(damaged, make([]byte, 10000)...), 0o600))
	list, err := List(b.dir)
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, BlockInfo{Name: "damaged"}, list[0])
	x := list[1]
	assert.EqualValues(t, 3, x.NextID)
	assert.EqualValues(t, 1, x.Consumers)
	assert.EqualValues(t, os.Getpid(), x.ProducerPID)
	assert.ErrorIs(t, Unlink("x", b.dir, 0), status.ProducerActive)
}

func TestUnlinkByForceEndsEverybody(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 1)
	s, err := p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, Unlink("x", b.dir, segment.Force))
	assert.ErrorIs(t, p.Commit(s, 0), status.Superseded)
	assert.EqualValues(t, 0, read(t, c).ID())
	_, err = c.Next(segment.Forever)
	assert.ErrorIs(t, err, status.Superseded)
	require.NoError(t, p.Close())
	require.NoError(t, c.Close())
	left, err := os.ReadDir(b.dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestTheTagWrapsUnnoticed(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	*p.CommitHint = 1<<40 - 3
	require.NoError(t, p.Close())
	p = b.producer(config)
	consumers := []*channel.Consumer{b.consumer(segment.ConsumerOptions{}),
		b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered}),
		b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})}
	for id := uint64(1<<40 - 3); id < 1<<40+9; id++ {
		for _, c := range consumers {
			_, err := c.Next(0)
			require.ErrorIs(t, err, status.Timeout, "an empty entry is no message, also where its tag is that of the "+
				"next one")
		}
		write(t, p, 1)
		for _, c := range consumers {
			assert.Equal(t, id, read(t, c).ID())
		}
	}
}

func TestTheEntriesDecideWhereTheStreamIsNotTheHint(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	write(t, p, 3)
	*p.CommitHint = 1 // as if the last stores were never seen
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	latest := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	assert.EqualValues(t, 2, read(t, latest).ID())
	die(p.Attachment)
	p = b.producer(config)
	write(t, p, 1)
	assert.EqualValues(t, 3, read(t, c).ID())
}

func TestOnlyTheAwaitedReleaseWakesTheProducer(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	pinning := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	write(t, p, 4)
	released := func(c *channel.Consumer) uint32 {
		before := p.CtlWake.Load()
		read(t, c)
		return p.CtlWake.Load() - before
	}
	assert.Zero(t, released(c), "nobody waits")
	p.ProducerWaiting.Store(3)
	assert.Zero(t, released(c), "2 is not 3")
	assert.EqualValues(t, 1, released(c))
	assert.Zero(t, released(pinning), "it waits for a cursor, not for a pin")
	write(t, p, 1)
	p.ProducerWaiting.Store(layout.WaitAny)
	assert.EqualValues(t, 1, released(pinning))
}

func TestASuccessorForgetsWhatTheDeadWaitedFor(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	p.ProducerWaiting.Store(layout.WaitAny)
	die(p.Attachment)
	p = b.producer(config)
	assert.Zero(t, p.ProducerWaiting.Load())
}
