package core

import (
	"sync"
	"testing"
	"time"

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
	b := newBench(t)
	p := b.full(slots)
	for place := range uint64(7000) {
		p.entries[2*place].Store(p.entries[2*place].Load() ^ 0xff<<32)
	}
	p.maskSet(p.active, 200)
	p.ctl.u64(p.logRecord(3) + layout.RecSeq).Store(1 << 50)
	p.data[layout.HdrSlotSize+3] ^= 4
	result, after := b.repair(false)
	require.Equal(t, RecoverySuccess, result)
	assert.GreaterOrEqual(t, after.Mended, 7003)
	assert.Len(t, after.Repaired, maxFindings, "no more texts than a person reads")
	for place := range uint64(slots) {
		require.Zero(t, p.entries[place].Load()&layout.EntryLost, "every message is kept")
	}
}

// TestARepairOfAMillionSlots: the time for each slot is the same whatever the length of the ring.
// Half of the entries name no slot any more: the repair finds the slots by their headers.
func TestARepairOfAMillionSlots(t *testing.T) {
	slots := uint32(layout.MaxSlotCount)
	if testing.Short() || coretest.RaceEnabled {
		slots /= 16
	}
	b := newBench(t)
	p := b.full(slots)
	for place := range slots / 2 {
		p.entries[2*place].Store(0)
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
	b := newBench(t)
	config := b.config(Ring, 64)
	p := b.producer(config)
	write(t, p, 70)
	die(p.attachment)
	damages := []func(){
		func() { p.data[layout.HdrSlotSize+5] ^= 1 },
		func() { p.ctl[layout.CtlSize+3] ^= 8 },
		func() { p.entries[3].Store(p.entries[4].Load()) },
		func() { p.maskSet(p.active, 200) },
		func() { p.ctl.u64(p.logRecord(7) + layout.RecSeq).Store(1 << 50) },
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
	b := newBench(t)
	p := b.full(64)
	p.entries[3].Store(p.entries[4].Load())
	other, err := openRepairer("x", b.dir, produce)
	require.NoError(t, err)
	defer other.close()
	repaired := make(chan RecoveryResult, 1)
	require.True(t, withDeadRow(other.ask, layout.ProducerRow, func() {
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
	for name, damage := range map[string]func(p *Producer){
		"slot":  func(p *Producer) { p.entries[1].Store(p.entries[1].Load() | 1<<20) },
		"empty": func(p *Producer) { p.entries[1].Store(layout.EntryNone) },
		"twice": func(p *Producer) { p.entries[1].Store(p.entries[2].Load()) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := b.producer(b.config(Ring, 4))
			write(t, p, 6)
			damage(p)
			_, _, err := Repair("x", b.dir, false)
			require.ErrorIs(t, err, ProducerActive)
			assert.ErrorContains(t, err, "stop it, then repair")
			assert.NotContains(t, err.Error(), "with force")
			result, _, err := Repair("x", b.dir, true)
			assert.Equal(t, RecoveryUnsafe, result)
			assert.ErrorContains(t, err, "force does not help: stop it, then repair")
		})
	}
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	write(t, p, 6)
	*p.data.plain64(p.slotHeader(layout.EntrySlot(p.entries[1].Load())) + layout.SlotLength) = 1 << 60
	_, _, err := Repair("x", b.dir, false)
	assert.ErrorContains(t, err, "or repair with force, which discards the damaged messages")
	result, _ := b.repair(true)
	assert.Equal(t, RecoverySuccess, result)
}

// TestTheSlotOfALaterMessageIsNotGivenAway to an earlier message that has lost its own slot.
func TestTheSlotOfALaterMessageIsNotGivenAway(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 8)
	config.ConsumerLimit, config.SpareSlots = 1, 2
	p := b.producer(config)
	reader := b.consumer(ConsumerOptions{Delivery: Lossless})
	place := uint64(0)
	for layout.EntrySlot(p.entries[place].Load()) != 0 || place == 0 { // the first slot that is tried
		write(t, p, 1)
		read(t, reader)
		place = (p.NextID() - 1) % 8
	}
	write(t, p, 7)
	die(p.attachment)
	*p.data.plain64(p.slotHeader(layout.EntrySlot(p.entries[0].Load()))) = 999
	p.entries[0].Store(layout.EntryNone)
	p.entries[place].Store(layout.EntryNone)
	result, _ := b.repair(false)
	require.Equal(t, RecoverySuccess, result)
	require.Zero(t, p.entries[place].Load()&layout.EntryLost, "its header says which message it has")
	require.NotZero(t, p.entries[0].Load()&layout.EntryLost)
}
