package core

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// die leaves a participant's row as a killed process does: the kernel releases the locks,
// everything else stays. (Real kills are in tests/go/process.)
func (a *attachment) die() { a.closeLocks() }

func (b bench) diagnose() *Diagnosis {
	d, err := Diagnose("x", b.dir)
	require.NoError(b.t, err)
	return d
}

func (b bench) slotsIn(state SlotState) (found []SlotDiagnosis) {
	for _, s := range b.diagnose().Slots {
		if s.State == state {
			found = append(found, s)
		}
	}
	return found
}

func (b bench) openConsumer(o ConsumerOptions) (*Consumer, error) {
	o.Directory = b.dir
	return OpenConsumer("x", o)
}

func TestADeadLosslessReaderIsReleasedByTheProducerItHoldsUp(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"waiting": 5 * time.Second, "polling": 0} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := b.producer(b.config(Ring, 4))
			c, err := b.openConsumer(ConsumerOptions{Delivery: Lossless})
			require.NoError(t, err)
			write(t, p, 4)
			c.die()
			require.Eventually(t, func() bool {
				s, err := p.Claim(timeout)
				if err != nil {
					return false
				}
				return p.Commit(s, 0) == nil
			}, 5*time.Second, time.Millisecond)
			assert.EqualValues(t, 1, *p.data.plain64(layout.MetricCleaned))
		})
	}
}

func TestADeadReadersPinIsFoundWithoutShortage(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	c, err := b.openConsumer(ConsumerOptions{Delivery: Latest})
	require.NoError(t, err)
	write(t, p, 1)
	_, err = c.Next(0)
	require.NoError(t, err)
	c.die()
	assert.Eventually(t, func() bool { write(t, p, 1000); return *p.data.plain64(layout.MetricCleaned) == 1 },
		5*time.Second, time.Millisecond)
}

func TestADeadClaimIsDiagnosedAndReleased(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 4)
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

	p.die()
	assert.True(t, b.slotsIn(SlotWriting)[0].Stuck)
	result, _ = ReleaseZombieWriter("x", b.dir, (s.Index()+1)%p.slots())
	assert.Equal(t, RecoveryNotStuck, result)
	result, _ = ReleaseZombieWriter("x", b.dir, p.slots())
	assert.Equal(t, RecoveryInvalidSlot, result)
	result, err = ReleaseZombieWriter("x", b.dir, s.Index())
	assert.Equal(t, RecoverySuccess, result, "%v", err)
	assert.Empty(t, b.slotsIn(SlotWriting))
	assert.Len(t, b.slotsIn(SlotCommitted), 2)
	assert.EqualValues(t, 1, p.ctl.u64(p.logOffset+layout.LogNext).Load())
	result, _ = ReleaseZombieWriter("x", b.dir, s.Index())
	assert.Equal(t, RecoveryNotStuck, result)
}

func TestASuccessorEndsADeadClaim(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 4)
	p := b.producer(config)
	c := b.consumer(ConsumerOptions{})
	write(t, p, 2)
	_, err := p.Claim(0)
	require.NoError(t, err)
	p.die()
	_, err = c.Next(0)
	require.NoError(t, err)
	q := b.producer(config)
	assert.Empty(t, b.slotsIn(SlotWriting))
	write(t, q, 1)
	assert.EqualValues(t, 2, q.next-1)
}

func TestOnlyTheDeadReadersOfASlotAreReleased(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	living := b.consumer(ConsumerOptions{Delivery: Latest, Name: "living"})
	dead, err := b.openConsumer(ConsumerOptions{Delivery: Latest, Name: "dead"})
	require.NoError(t, err)
	write(t, p, 1)
	s, err := living.Next(0)
	require.NoError(t, err)
	_, err = dead.Next(0)
	require.NoError(t, err)
	result, _ := ReleaseZombieReaders("x", b.dir, s.Index())
	assert.Equal(t, RecoveryNotStuck, result)
	dead.die()

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
	_, err = DiagnoseSlot("x", b.dir, p.slots())
	assert.ErrorIs(t, err, ErrSlotRange)
}

func TestCleanupRemovesDeadRowsAndKeepsDurableOnesForATime(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	for _, o := range []ConsumerOptions{{}, {Delivery: Latest}, {Name: "log", Durable: true}} {
		c, err := b.openConsumer(o)
		require.NoError(t, err)
		c.die()
	}
	living := b.consumer(ConsumerOptions{})
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
	b := newBench(t)
	config := b.config(Single, 0)
	config.SpareSlots = 4
	p := b.producer(config)
	write(t, p, 1)
	holding := []*Consumer{b.consumer(ConsumerOptions{}), b.consumer(ConsumerOptions{MaxPins: 2})}
	_, err := b.openConsumer(ConsumerOptions{})
	require.ErrorIs(t, err, NoSpare)
	for _, c := range holding {
		for range c.maxPins {
			_, err := c.Next(0)
			require.NoError(t, err)
			write(t, p, 20)
		}
		_, err := c.Next(0)
		assert.ErrorIs(t, err, Busy)
	}
	write(t, p, 20)
	holding[1].die()
	c := b.consumer(ConsumerOptions{MaxPins: 2}) // the dead consumer's row
	assert.EqualValues(t, 80, read(t, c).ID())
}

func TestTheConsumerLimitIsKept(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 4)
	config.ConsumerLimit = 2
	b.producer(config)
	b.consumer(ConsumerOptions{})
	c := b.consumer(ConsumerOptions{})
	_, err := b.openConsumer(ConsumerOptions{})
	require.ErrorIs(t, err, Full)
	c.die()
	b.consumer(ConsumerOptions{})
}

func TestMinConsumersAreWaitedFor(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 4)
	config.MinConsumers = 1
	p := b.producer(config)
	write(t, p, 4)
	_, err := p.Claim(0)
	require.ErrorIs(t, err, Timeout)
	done := make(chan error, 1)
	go func() {
		s, err := p.Claim(Forever)
		if err == nil {
			err = p.Commit(s, 0)
		}
		done <- err
	}()
	c := b.consumer(ConsumerOptions{Start: StartOldest})
	assert.EqualValues(t, 0, read(t, c).ID())
	require.NoError(t, <-done)
}

func TestSeveralMessagesMayBeHeldAtOnce(t *testing.T) {
	for _, d := range []Delivery{Lossless, Ordered} {
		t.Run(d.String(), func(t *testing.T) {
			b := newBench(t)
			p := b.producer(b.config(Ring, 4))
			c := b.consumer(ConsumerOptions{Delivery: d, MaxPins: 3})
			write(t, p, 4)
			var held []ReadSlot
			for range 3 {
				s, err := c.Next(0)
				require.NoError(t, err)
				held = append(held, s)
			}
			_, err := c.Next(0)
			require.ErrorIs(t, err, Busy)
			err = c.Release(held[1])
			if d == Lossless {
				assert.ErrorIs(t, err, Invalid)
			} else {
				require.NoError(t, err)
			}
			require.NoError(t, c.Release(held[0]))
			assert.ErrorIs(t, c.Release(held[0]), Invalid)
			if d == Lossless {
				require.NoError(t, c.Release(held[1]))
			}
			require.NoError(t, c.Release(held[2]))
			assert.EqualValues(t, 3, c.cursorAt.Load())
			assert.EqualValues(t, 3, read(t, c).ID())
		})
	}
}

func TestReadAtGivesThatMessageOrNone(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	c := b.consumer(ConsumerOptions{Delivery: Ordered})
	write(t, p, 10)
	for id, want := range map[uint64]error{0: Overrun, 5: Overrun, 6: nil, 9: nil, 10: NotFound, 1 << 40: NotFound,
		^uint64(0): NotFound} {
		s, err := c.ReadAt(id)
		if want != nil {
			assert.ErrorIs(t, err, want.(Code), id)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, id, s.ID())
		require.NoError(t, c.Release(s))
	}
	assert.EqualValues(t, 6, read(t, c).ID())
}

func TestADiscardedMessageIsToldOnce(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	lossless, ordered, latest := b.consumer(ConsumerOptions{}), b.consumer(ConsumerOptions{Delivery: Ordered}),
		b.consumer(ConsumerOptions{Delivery: Latest})
	write(t, p, 2)
	p.entry(0).Or(layout.EntryLost)
	for _, c := range []*Consumer{lossless, ordered} {
		_, err := c.Next(0)
		require.ErrorIs(t, err, Lost)
		assert.EqualValues(t, 1, read(t, c).ID())
	}
	assert.EqualValues(t, 1, read(t, latest).ID())
	write(t, p, 4)
	assert.Equal(t, []uint64{2, 3, 4, 5}, idsOf(t, lossless, 4))
}

func TestAFencedClaimPublishesNothing(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	c := b.consumer(ConsumerOptions{})
	write(t, p, 1)
	s, err := p.Claim(0)
	require.NoError(t, err)
	p.fenceNext()
	assert.ErrorIs(t, p.Commit(s, 8), Fenced)
	assert.EqualValues(t, 0, read(t, c).ID())
	_, err = c.Next(0)
	assert.ErrorIs(t, err, Timeout)
	write(t, p, 1)
	assert.EqualValues(t, 1, read(t, c).ID())
}

func TestATakenRowIsNoticed(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	c := b.consumer(ConsumerOptions{})
	write(t, p, 1)
	s, err := c.Next(0)
	require.NoError(t, err)
	c.clearRow(c.row) // what a forced eviction does
	write(t, p, 20)
	assert.ErrorIs(t, c.Release(s), Fenced)
	_, err = c.Next(0)
	assert.ErrorIs(t, err, Fenced)
}

func TestGarbageOfTheDeadIsCollectedAndNothingElse(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	keep, err := os.ReadDir(b.dir)
	require.NoError(t, err)
	stray := location{b.dir, "gone"}
	id := blockID{1, 2, 3}
	for _, path := range []string{stray.control(id), stray.temporary(id)} {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	other := filepath.Join(b.dir, "not-ours.ctl")
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	removed, err := CollectGarbage(b.dir)
	require.NoError(t, err)
	assert.Len(t, removed, 2)
	require.NoError(t, os.Remove(other))
	now, err := os.ReadDir(b.dir)
	require.NoError(t, err)
	assert.Equal(t, keep, now)
	write(t, p, 1)
}

func TestListShowsBlocksAndOnlyBlocks(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	b.consumer(ConsumerOptions{})
	write(t, p, 3)
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "foreign"), make([]byte, 10000), 0o600))
	damaged := p.encode()
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
	assert.ErrorIs(t, Unlink("x", b.dir, 0), ProducerActive)
}

func TestUnlinkByForceEndsEverybody(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	c := b.consumer(ConsumerOptions{})
	write(t, p, 1)
	s, err := p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, Unlink("x", b.dir, Force))
	assert.ErrorIs(t, p.Commit(s, 0), Superseded)
	assert.EqualValues(t, 0, read(t, c).ID())
	_, err = c.Next(Forever)
	assert.ErrorIs(t, err, Superseded)
	require.NoError(t, p.Close())
	require.NoError(t, c.Close())
	left, err := os.ReadDir(b.dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestTheTagWrapsUnnoticed(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 4)
	p := b.producer(config)
	*p.commitHint = 1<<40 - 3
	require.NoError(t, p.Close())
	p = b.producer(config)
	consumers := []*Consumer{b.consumer(ConsumerOptions{}), b.consumer(ConsumerOptions{Delivery: Ordered}),
		b.consumer(ConsumerOptions{Delivery: Latest})}
	for id := uint64(1<<40 - 3); id < 1<<40+9; id++ {
		for _, c := range consumers {
			_, err := c.Next(0)
			require.ErrorIs(t, err, Timeout, "an empty entry is no message, also where its tag is that of the next one")
		}
		write(t, p, 1)
		for _, c := range consumers {
			assert.Equal(t, id, read(t, c).ID())
		}
	}
}

func TestTheEntriesDecideWhereTheStreamIsNotTheHint(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 4)
	p := b.producer(config)
	write(t, p, 3)
	*p.commitHint = 1 // as if the last stores were never seen
	c := b.consumer(ConsumerOptions{Delivery: Lossless})
	latest := b.consumer(ConsumerOptions{Delivery: Latest})
	assert.EqualValues(t, 2, read(t, latest).ID())
	p.die()
	p = b.producer(config)
	write(t, p, 1)
	assert.EqualValues(t, 3, read(t, c).ID())
}

func TestOnlyTheAwaitedReleaseWakesTheProducer(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	c := b.consumer(ConsumerOptions{Delivery: Lossless})
	pinning := b.consumer(ConsumerOptions{Delivery: Latest})
	write(t, p, 4)
	released := func(c *Consumer) uint32 {
		before := p.ctlWake.Load()
		read(t, c)
		return p.ctlWake.Load() - before
	}
	assert.Zero(t, released(c), "nobody waits")
	p.producerWaiting.Store(3)
	assert.Zero(t, released(c), "2 is not 3")
	assert.EqualValues(t, 1, released(c))
	assert.Zero(t, released(pinning), "it waits for a cursor, not for a pin")
	write(t, p, 1)
	p.producerWaiting.Store(layout.WaitAny)
	assert.EqualValues(t, 1, released(pinning))
}

func TestASuccessorForgetsWhatTheDeadWaitedFor(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 4)
	p := b.producer(config)
	p.producerWaiting.Store(layout.WaitAny)
	p.die()
	p = b.producer(config)
	assert.Zero(t, p.producerWaiting.Load())
}
