package recovery

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

func (b fixture) reset(slot uint32, force bool) RecoveryResult {
	result, err := ForceResetSlot("x", b.dir, slot, force)
	if result != RecoverySuccess {
		require.Error(b.t, err)
	}
	return result
}

func (b fixture) actions() (names []string) {
	records, err := RecoveryLog("x", b.dir)
	require.NoError(b.t, err)
	for _, r := range records {
		names = append(names, r.ActionName())
	}
	return names
}

func TestAHealthySlotIsNotReset(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	write(t, p, 2)
	for slot := range p.Slots() {
		assert.Equal(t, RecoveryNotStuck, b.reset(slot, false))
	}
	result, _ := ForceResetSlot("x", b.dir, p.Slots(), false)
	assert.Equal(t, RecoveryInvalidSlot, result)
	result, _ = ForceResetAllSlots("x", b.dir, false)
	assert.Equal(t, RecoveryNotStuck, result)
	assert.Empty(t, b.actions())
}

func TestALivingProducersClaimIsFencedByForceOnly(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 6-2)
	idsOf(t, c, 4)
	s, err := p.Claim(0)
	require.NoError(t, err)
	assert.Equal(t, RecoveryUnsafe, b.reset(s.Index(), false))
	assert.Equal(t, RecoverySuccess, b.reset(s.Index(), true))
	assert.ErrorIs(t, p.Commit(s, 8), status.Fenced, "the late commit publishes nothing")
	_, err = c.Next(0)
	assert.ErrorIs(t, err, status.Timeout)
	write(t, p, 1)
	assert.EqualValues(t, 4, read(t, c).ID(), "the next one has the same id")
	assert.Equal(t, []string{"fence"}, b.actions())
}

func TestAFenceForAClaimThatHasEndedHarmsNobody(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	s, err := p.Claim(0)
	require.NoError(t, err)
	assert.Equal(t, RecoverySuccess, b.reset(s.Index(), true))
	require.NoError(t, p.Abort(s))
	write(t, p, 5)
	assert.EqualValues(t, 5, p.NextID())
}

func TestADeadProducersClaimIsReset(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Start: segment.StartOldest})
	write(t, p, 2)
	s, err := p.Claim(0)
	require.NoError(t, err)
	die(p.Attachment)
	assert.Equal(t, RecoverySuccess, b.reset(s.Index(), false))
	assert.Empty(t, b.slotsIn(SlotWriting))
	assert.Equal(t, []uint64{0, 1}, idsOf(t, c, 2), "readers are not affected")
	write(t, b.producer(b.config(segment.Ring, 4)), 1)
	assert.EqualValues(t, 2, read(t, c).ID())
	assert.Equal(t, []string{"release-writer"}, b.actions())
}

func TestAMessageThatIsResetByForceIsLost(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 3)
	held, err := c.Next(0)
	require.NoError(t, err)
	assert.Equal(t, RecoveryUnsafe, b.reset(held.Index(), false), "somebody reads it")
	slot := layout.EntrySlot(p.Entries[1].Load())
	assert.Equal(t, RecoverySuccess, b.reset(slot, true))
	assert.Equal(t, RecoveryNotStuck, b.reset(slot, true), "once is enough")
	require.NoError(t, c.Release(held))
	_, err = c.Next(0)
	require.ErrorIs(t, err, status.Lost)
	assert.EqualValues(t, 2, read(t, c).ID())
	write(t, p, 4)
	assert.Equal(t, []string{"discard"}, b.actions())
}

func TestADeadReaderAmongLivingOnes(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	dead, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	require.NoError(t, err)
	living := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 1)
	_, err = dead.Next(0)
	require.NoError(t, err)
	held, err := living.Next(0)
	require.NoError(t, err)
	die(dead.Attachment)
	assert.Equal(t, RecoveryUnsafe, b.reset(held.Index(), false), "the living one still holds it")
	assert.Equal(t, []string{"release-reader"}, b.actions(), "and the dead one has gone")
	require.NoError(t, living.Release(held))
}

func TestAPinOutsideTheRingIsTakenByForce(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 1)
	held, err := c.Next(0)
	require.NoError(t, err)
	write(t, p, 2)
	require.Len(t, b.slotsIn(SlotDraining), 1)
	assert.Equal(t, RecoveryUnsafe, b.reset(held.Index(), false))
	assert.Equal(t, RecoverySuccess, b.reset(held.Index(), true))
	assert.Empty(t, b.slotsIn(SlotDraining))
	assert.ErrorIs(t, c.Release(held), status.Fenced)
	_, err = c.Next(0)
	assert.ErrorIs(t, err, status.Fenced)
	assert.Equal(t, []string{"evict"}, b.actions())
}

func TestAHungReaderIsEvicted(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Name: "hung"})
	write(t, p, 2)
	evict := func(row uint32, force bool) RecoveryResult {
		result, _ := EvictConsumer("x", b.dir, row, force)
		return result
	}
	assert.Equal(t, RecoveryUnsafe, evict(c.Row, false))
	assert.Equal(t, RecoveryInvalidSlot, evict(0, true))
	assert.Equal(t, RecoveryInvalidSlot, evict(99, true))
	assert.Equal(t, RecoveryNotStuck, evict(c.Row+1, true))
	claimed := make(chan error, 1)
	go func() {
		s, err := p.Claim(10 * time.Second)
		if err == nil {
			err = p.Commit(s, 0)
		}
		claimed <- err
	}()
	assert.Equal(t, RecoverySuccess, evict(c.Row, true))
	require.NoError(t, <-claimed, "the producer goes on")
	_, err := c.Next(segment.Forever)
	assert.ErrorIs(t, err, status.Fenced)
	again := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	assert.NotEqual(t, c.Row, again.Row, "the row is its owner's until it closes")
	require.NoError(t, c.Close())
	assert.Equal(t, []string{"evict"}, b.actions())
}

func TestASleeperThatIsEvictedIsTold(t *testing.T) {
	b := newFixture(t)
	b.producer(b.config(segment.Ring, 2))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	told := make(chan error, 1)
	go func() {
		_, err := c.Next(segment.Forever)
		told <- err
	}()
	result, err := EvictConsumer("x", b.dir, c.Row, true)
	require.NoError(t, err)
	assert.Equal(t, RecoverySuccess, result)
	assert.ErrorIs(t, <-told, status.Fenced)
}

func TestDeadDurableConsumersAreEvictedWhateverTheirAge(t *testing.T) {
	b := newFixture(t)
	b.producer(b.config(segment.Ring, 2))
	c, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Lossless, Durable: true, Name: "d"})
	require.NoError(t, err)
	die(c.Attachment)
	result, err := EvictConsumer("x", b.dir, c.Row, false)
	require.NoError(t, err)
	assert.Equal(t, RecoverySuccess, result)
	assert.Empty(t, b.diagnose().Rows[1:])
}

// TestARowThatIsBeingCleanedIsEvictedAfterwards: a producer that waits for a dead durable consumer
// has its row for moments. The consumer is dead meanwhile, too.
func TestARowThatIsBeingCleanedIsEvictedAfterwards(t *testing.T) {
	b := newFixture(t)
	b.producer(b.config(segment.Ring, 2))
	c, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Lossless, Durable: true, Name: "d"})
	require.NoError(t, err)
	die(c.Attachment)
	cleaner, err := platform.OpenLocks(c.ControlPath(c.ID), true)
	require.NoError(t, err)
	defer cleaner.Close()
	done := make(chan error, 1)
	require.True(t, segment.WithDeadRow(cleaner, c.Row, func() {
		result, err := EvictConsumer("x", b.dir, c.Row, false)
		assert.Equal(t, RecoveryFailed, result)
		assert.ErrorContains(t, err, "is being cleaned or attached: look again")
		go func() {
			_, err := EvictConsumer("x", b.dir, c.Row, false)
			done <- err
		}()
		select {
		case err := <-done:
			assert.Fail(t, "it did not wait for the cleaner", "%v", err)
			done <- err
		case <-time.After(20 * time.Millisecond):
		}
	}))
	assert.NoError(t, <-done)
	assert.Empty(t, b.diagnose().Rows[1:])
}

func TestOfTwoRecoverersOneActs(t *testing.T) {
	for range 50 {
		b := newFixture(t)
		p := b.producer(b.config(segment.Ring, 4))
		write(t, p, 1)
		s, err := p.Claim(0)
		require.NoError(t, err)
		die(p.Attachment)
		var both sync.WaitGroup
		results := make(chan RecoveryResult, 2)
		for range 2 {
			both.Go(func() {
				result, _ := ForceResetSlot("x", b.dir, s.Index(), false)
				results <- result
			})
		}
		both.Wait()
		one, other := <-results, <-results
		assert.True(t, one == RecoverySuccess || other == RecoverySuccess)
		assert.Equal(t, []string{"release-writer"}, b.actions())
	}
}

func TestAllSlotsAtOnce(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 3)
	s, err := p.Claim(0)
	require.NoError(t, err)
	result, err := ForceResetAllSlots("x", b.dir, false)
	assert.Equal(t, RecoveryUnsafe, result)
	assert.Error(t, err)
	result, err = ForceResetAllSlots("x", b.dir, true)
	require.NoError(t, err)
	assert.Equal(t, RecoverySuccess, result)
	assert.ErrorIs(t, p.Commit(s, 0), status.Fenced)
	for range 3 {
		_, err = c.Next(0)
		assert.ErrorIs(t, err, status.Lost)
	}
	write(t, p, 1)
	assert.EqualValues(t, 3, read(t, c).ID())
}

// TestAResetLooksAgainWhereTheSlotWas: the reset finds all slots in one pass, and the producer
// continues while they are reset one after the other.
func TestAResetLooksAgainWhereTheSlotWas(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	r, err := openSession("x", b.dir, segment.Produce)
	require.NoError(t, err)
	defer r.close()
	before := r.ringIndices()
	write(t, p, 1)
	held, err := c.Next(0)
	require.NoError(t, err)
	require.Equal(t, noPlace, before[held.Index()])
	result, err := r.reset(held.Index(), before[held.Index()], true)
	assert.Equal(t, RecoveryNotStuck, result, "it came into the ring after the pass, and who reads it there is not "+
		"evicted: %v", err)
	require.NoError(t, c.Release(held))

	old := layout.EntrySlot(p.Entries[0].Load())
	place := r.ringIndices()[old]
	require.Zero(t, place)
	write(t, p, 2)
	result, _ = r.reset(old, place, true)
	assert.Equal(t, RecoveryNotStuck, result, "it has left the ring since, and so has its message")
	assert.Equal(t, []uint64{1, 2}, idsOf(t, c, 2), "and the one in its place stays")
	assert.Empty(t, b.actions())
}

// BenchmarkResettingAllSlots: the time for each slot is the same whatever the length of the ring.
func BenchmarkResettingAllSlots(b *testing.B) {
	for _, slots := range []uint32{2_000, 20_000, 200_000} {
		b.Run(strconv.Itoa(int(slots)), func(b *testing.B) {
			block := newFixture(b)
			p := block.producer(block.config(segment.Ring, slots))
			write(b, p, int(slots))
			for b.Loop() {
				b.StopTimer()
				for i := range p.Entries {
					p.Entries[i].And(^uint64(layout.EntryLost))
				}
				b.StartTimer()
				result, err := ForceResetAllSlots("x", block.dir, true)
				require.NoError(b, err)
				require.Equal(b, RecoverySuccess, result)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(slots), "ns/slot")
		})
	}
}

func TestTheLogKeepsTheNewestRecords(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	many := uint64(p.LogRecords) + 5
	for i := range many {
		appendLog(p.Segment, actionEvict, i, [4]uint64{i})
	}
	// Its writer died.
	p.Ctl.U64(p.LogOffset + layout.LogHeaderSize + 7*layout.LogRecordSize + layout.RecSeq).Store(0)
	records, err := RecoveryLog("x", b.dir)
	require.NoError(t, err)
	require.Len(t, records, int(p.LogRecords)-1)
	for i, r := range records {
		assert.Equal(t, r.Number, r.Target)
		assert.True(t, i == 0 || records[i-1].Number < r.Number)
	}
	assert.Equal(t, many-1, records[len(records)-1].Number)
}
