package core

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

func (b bench) repair(force bool) (RecoveryResult, *Integrity) {
	result, left, err := Repair("x", b.dir, force)
	if result == RecoverySuccess {
		require.NoError(b.t, err)
		require.True(b.t, b.validate().Healthy(), b.validate().Message())
	} else {
		require.Error(b.t, err)
	}
	return result, left
}

func TestRepairKeepsEveryGoodMessageAndEveryReader(t *testing.T) {
	ring := map[string]func(p *Producer){
		"tag":       func(p *Producer) { p.entries[1].Store(p.entries[1].Load() ^ 1<<30) },
		"slot":      func(p *Producer) { p.entries[1].Store(p.entries[1].Load() ^ 1<<3) },
		"wild slot": func(p *Producer) { p.entries[1].Store(p.entries[1].Load() | 1<<20) },
		"two alike": func(p *Producer) { p.entries[1].Store(p.entries[2].Load()) },
		"emptied":   func(p *Producer) { p.entries[1].Store(layout.EntryNone) },
		"id":        func(p *Producer) { *p.data.plain64(p.slotHeader(layout.EntrySlot(p.entries[1].Load()))) ^= 4 },
		"claim mark": func(p *Producer) {
			p.data[p.slotHeader(layout.EntrySlot(p.entries[1].Load()))+layout.SlotClaim+7] |= 0x80
		},
		"commit":  func(p *Producer) { *p.commitHint = 1 << 50 },
		"state":   func(p *Producer) { p.state.Store(99) },
		"control": func(p *Producer) { p.ctl[layout.CtlSize] ^= 1 },
		"header":  func(p *Producer) { p.data[layout.HdrSlotSize] ^= 1 },
	}
	for name, damage := range ring {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := b.producer(b.config(Ring, 4))
			reader := b.consumer(ConsumerOptions{Delivery: Lossless})
			latest := b.consumer(ConsumerOptions{Delivery: Latest})
			write(t, p, 3)
			assert.Equal(t, []uint64{0, 1, 2}, idsOf(t, reader, 3))
			write(t, p, 3)
			held, err := latest.Next(0)
			require.NoError(t, err)
			die(p.attachment)
			damage(p)
			require.False(t, b.validate().Healthy())
			result, _ := b.repair(false)
			require.Equal(t, RecoverySuccess, result)
			q := b.producer(b.config(Ring, 4))
			write(t, q, 1)
			assert.Equal(t, []uint64{3, 4, 5, 6}, idsOf(t, reader, 4), "every message, and none twice")
			require.NoError(t, latest.Release(held))
			assert.EqualValues(t, 6, read(t, latest).ID())
			result, _ = b.repair(false)
			assert.Equal(t, RecoveryNotStuck, result)
		})
	}
}

func TestWhatCannotBeRebuiltIsLost(t *testing.T) {
	damages := map[string]func(p *Producer){
		"payload": func(p *Producer) { p.data[p.payload(layout.EntrySlot(p.entries[1].Load()))] ^= 1 },
		"length": func(p *Producer) {
			*p.data.plain64(p.slotHeader(layout.EntrySlot(p.entries[1].Load())) + layout.SlotLength) = 1 << 60
		},
		"both": func(p *Producer) {
			*p.data.plain64(p.slotHeader(layout.EntrySlot(p.entries[1].Load()))) = 77
			p.entries[1].Store(p.entries[1].Load() | 1<<20)
		},
	}
	for name, damage := range damages {
		for _, living := range []bool{false, true} {
			if living && name == "both" {
				continue // a living producer has to end first
			}
			t.Run(name, func(t *testing.T) {
				b := newBench(t)
				config := b.config(Ring, 4)
				config.Checksum = ChecksumEnforced
				p := b.producer(config)
				reader := b.consumer(ConsumerOptions{Delivery: Lossless})
				write(t, p, 4)
				damage(p)
				if living {
					result, left := b.repair(false)
					require.Equal(t, RecoveryUnsafe, result)
					require.False(t, left.Healthy())
				} else {
					die(p.attachment)
				}
				result, _ := b.repair(living)
				require.Equal(t, RecoverySuccess, result)
				if !living {
					p = b.producer(config)
				}
				assert.EqualValues(t, 0, read(t, reader).ID())
				_, err := reader.Next(0)
				assert.ErrorIs(t, err, Lost)
				assert.Equal(t, []uint64{2, 3}, idsOf(t, reader, 2))
				write(t, p, 6-2)
				assert.Equal(t, []uint64{4, 5, 6, 7}, idsOf(t, reader, 4))
			})
		}
	}
}

func TestALivingProducersRingIsNotTouched(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	write(t, p, 4)
	p.entries[1].Store(p.entries[2].Load())
	before := b.contents()
	for _, force := range []bool{false, true} {
		result, _ := b.repair(force)
		assert.Equal(t, RecoveryUnsafe, result)
	}
	assert.True(t, reflect.DeepEqual(before, b.contents()))
}

func TestRowsOfTheLivingAreCorrectedAndOthersCleaned(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	reader := b.consumer(ConsumerOptions{Delivery: Lossless, Name: "l"})
	ordered := b.consumer(ConsumerOptions{Delivery: Ordered, Name: "o", MaxPins: 3})
	durable, err := b.openConsumer(ConsumerOptions{Delivery: Lossless, Name: "d", Durable: true})
	require.NoError(t, err)
	write(t, p, 2)
	held, err := ordered.Next(0)
	require.NoError(t, err)
	die(durable.attachment)
	actions := 0
	row := func(c *Consumer) uint64 { return p.header.row(c.row) }
	for name, damage := range map[string]func(){
		"masks":   func() { p.maskClear(p.active, ordered.row); p.maskClear(p.lossless, reader.row) },
		"noise":   func() { p.maskSet(p.active, 200); p.maskSet(p.lossless, 0); p.maskSet(p.active, 9) },
		"cursors": func() { p.cursor(reader.row).Store(1 << 50); p.cursor(durable.row).Store(1 << 50) },
		"pins":    func() { p.pin(ordered.row, 1).Store(1 << 40) },
		"state":   func() { p.ctl.u32(row(reader) + layout.RowStatus).Store(77) },
		"name":    func() { p.ctl.u32(row(reader) + layout.RowNameLen).Store(1 << 31) },
		"kind":    func() { p.ctl[row(ordered)+layout.RowRole] = 200; p.ctl[row(reader)+layout.RowDelivery] = 77 },
		"dead": func() {
			p.ctl.u32(p.header.row(8) + layout.RowStatus).Store(99)
			p.ctl[row(durable)+layout.RowMaxPins] = 99
		},
	} {
		damage()
		require.False(t, b.validate().Healthy(), name)
		result, after := b.repair(false)
		require.Equal(t, RecoverySuccess, result, name)
		actions += len(after.Repaired)
	}
	require.NoError(t, ordered.Release(held))
	assert.Equal(t, []uint64{0, 1}, idsOf(t, reader, 2))
	back := b.consumer(ConsumerOptions{Delivery: Lossless, Name: "d", Durable: true})
	assert.Equal(t, []uint64{0, 1}, idsOf(t, back, 2), "it continues, at least once")
	write(t, p, 2)
	assert.Equal(t, []uint64{1, 2, 3}, idsOf(t, ordered, 3))
	assert.EqualValues(t, actions, p.ctl.u64(p.logOffset+layout.LogNext).Load(), "every action is in the log")
}

func TestRepairingWhileItIsUsedDisturbsNobody(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 4))
	c := b.consumer(ConsumerOptions{Delivery: Lossless})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for range 50 {
			p.ctl[layout.CtlSize+3] ^= 8
			p.maskSet(p.active, 100)
			result, left, err := Repair("x", b.dir, false)
			assert.Equal(t, RecoverySuccess, result, "%v %v", err, left)
		}
	}()
	for id := range uint64(20000) {
		s, err := p.Claim(time.Second)
		require.NoError(t, err)
		require.NoError(t, p.Commit(s, 8))
		m, err := c.Next(time.Second)
		require.NoError(t, err)
		require.Equal(t, id, m.ID())
		require.NoError(t, c.Release(m))
	}
	wg.Wait()
}
