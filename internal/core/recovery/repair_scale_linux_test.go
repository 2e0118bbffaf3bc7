package recovery

import (
	"sync"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"datablock/internal/core/coretest"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// processorTime returns the processor time that this process has used. The elapsed time would
// depend on what else runs.
func processorTime(t *testing.T) time.Duration {
	var used unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// TestOneRepairMendsEverything: much more damage than is shown, in all parts at once.
func TestOneRepairMendsEverything(t *testing.T) {
	const slots = 20_000
	b := newFixture(t)
	p := b.full(slots)
	for place := range uint64(7000) {
		p.Entries[2*place].Store(p.Entries[2*place].Load() ^ 0xff<<32)
	}
	p.MaskSet(p.Active, 200)
	p.Ctl.U64(p.LogRecord(3) + layout.RecSeq).Store(1 << 50)
	p.Data[layout.HdrSlotSize+3] ^= 4
	result, after := b.repair(false)
	require.Equal(t, RecoverySuccess, result)
	assert.GreaterOrEqual(t, after.Mended, 7003)
	assert.Len(t, after.Repaired, maxFindings, "no more texts than a person reads")
	for place := range uint64(slots) {
		require.Zero(t, p.Entries[place].Load()&layout.EntryLost, "every message is kept")
	}
}

// TestARepairOfAMillionSlots: the time for each slot is the same whatever the length of the ring.
// Half of the entries name no slot any more: the repair finds the slots by their headers.
func TestARepairOfAMillionSlots(t *testing.T) {
	slots := uint32(layout.MaxSlotCount)
	if testing.Short() || coretest.RaceEnabled {
		slots /= 16
	}
	b := newFixture(t)
	p := b.full(slots)
	for place := range slots / 2 {
		p.Entries[2*place].Store(0)
	}
	began := processorTime(t)
	result, after, err := Repair("x", b.dir, false)
	took := processorTime(t) - began
	require.NoError(t, err)
	require.Equal(t, RecoverySuccess, result)
	assert.Less(t, took, 5*time.Second)
	assert.EqualValues(t, slots/2, after.Mended)
	t.Logf("%d slots, half of them damaged: %v", slots, took)
}

// TestTwoRepairsAtOnceBothSucceed: of header, ring, rows and log. Each of them finds damage that
// the other is repairing, or has repaired.
func TestTwoRepairsAtOnceBothSucceed(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 64)
	p := b.producer(config)
	write(t, p, 70)
	die(p.Attachment)
	damages := []func(){
		func() { p.Data[layout.HdrSlotSize+5] ^= 1 },
		func() { p.Ctl[layout.CtlSize+3] ^= 8 },
		func() { p.Entries[3].Store(p.Entries[4].Load()) },
		func() { p.MaskSet(p.Active, 200) },
		func() { p.Ctl.U64(p.LogRecord(7) + layout.RecSeq).Store(1 << 50) },
	}
	for round := range 20 * len(damages) {
		damages[round%len(damages)]()
		var both sync.WaitGroup
		for i := range 2 {
			both.Go(func() {
				if (round+i)%2 == 0 {
					_, err := AutoRecover("x", b.dir, false, func(s RecoveryStep) { assert.True(t, s.Done, s.Text) })
					assert.NoError(t, err)
					return
				}
				result, _, err := Repair("x", b.dir, false)
				if result != RecoveryNotStuck { // it came after the other one
					assert.Equal(t, RecoverySuccess, result, "%v", err)
				}
			})
		}
		both.Wait()
		require.True(t, b.validate().Healthy(), "round %d: %s", round, b.validate().Message())
	}
	write(t, b.producer(config), 1)
}

// TestARepairWaitsForAnotherOne that has locked what it has to repair.
func TestARepairWaitsForAnotherOne(t *testing.T) {
	b := newFixture(t)
	p := b.full(64)
	p.Entries[3].Store(p.Entries[4].Load())
	other, err := openSession("x", b.dir, segment.Produce)
	require.NoError(t, err)
	defer other.close()
	repaired := make(chan RecoveryResult, 1)
	require.True(t, segment.WithDeadRow(other.ask, layout.ProducerRow, func() {
		go func() {
			result, _, err := Repair("x", b.dir, false)
			assert.NoError(t, err)
			repaired <- result
		}()
		platform.Nap(100 * time.Millisecond) // several looks
		assert.Empty(t, repaired, "it does not say that the ring cannot be repaired")
	}))
	assert.Equal(t, RecoverySuccess, <-repaired)
}

// TestWhatForceCannotMendIsNotAdvised: an entry whose slot is damaged, or that is empty, is not
// discarded while a producer lives.
func TestWhatForceCannotMendIsNotAdvised(t *testing.T) {
	for name, damage := range map[string]func(p *channel.Producer){
		"slot":  func(p *channel.Producer) { p.Entries[1].Store(p.Entries[1].Load() | 1<<20) },
		"empty": func(p *channel.Producer) { p.Entries[1].Store(layout.EntryNone) },
		"twice": func(p *channel.Producer) { p.Entries[1].Store(p.Entries[2].Load()) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 4))
			write(t, p, 6)
			damage(p)
			_, _, err := Repair("x", b.dir, false)
			require.ErrorIs(t, err, status.ProducerActive)
			assert.ErrorContains(t, err, "stop it, then repair")
			assert.NotContains(t, err.Error(), "with force")
			result, _, err := Repair("x", b.dir, true)
			assert.Equal(t, RecoveryUnsafe, result)
			assert.ErrorContains(t, err, "force does not help: stop it, then repair")
		})
	}
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	write(t, p, 6)
	*p.Data.Plain64(p.SlotHeader(layout.EntrySlot(p.Entries[1].Load())) + layout.SlotLength) = 1 << 60
	_, _, err := Repair("x", b.dir, false)
	assert.ErrorContains(t, err, "or repair with force, which discards the damaged messages")
	result, _ := b.repair(true)
	assert.Equal(t, RecoverySuccess, result)
}

// TestTheSlotOfALaterMessageIsNotGivenAway to an earlier message that has lost its own slot.
func TestTheSlotOfALaterMessageIsNotGivenAway(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 8)
	config.ConsumerLimit, config.SpareSlots = 1, 2
	p := b.producer(config)
	reader := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	place := uint64(0)
	for layout.EntrySlot(p.Entries[place].Load()) != 0 || place == 0 { // the first slot that is tried
		write(t, p, 1)
		read(t, reader)
		place = (p.NextID() - 1) % 8
	}
	write(t, p, 7)
	die(p.Attachment)
	*p.Data.Plain64(p.SlotHeader(layout.EntrySlot(p.Entries[0].Load()))) = 999
	p.Entries[0].Store(layout.EntryNone)
	p.Entries[place].Store(layout.EntryNone)
	result, _ := b.repair(false)
	require.Equal(t, RecoverySuccess, result)
	require.Zero(t, p.Entries[place].Load()&layout.EntryLost, "its header says which message it has")
	require.NotZero(t, p.Entries[0].Load()&layout.EntryLost)
}
