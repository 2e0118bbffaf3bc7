package recovery

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

func (b fixture) repair(force bool) (RecoveryResult, *Integrity) {
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
	ring := map[string]func(p *channel.Producer){
		"tag":       func(p *channel.Producer) { p.Entries[1].Store(p.Entries[1].Load() ^ 1<<30) },
		"slot":      func(p *channel.Producer) { p.Entries[1].Store(p.Entries[1].Load() ^ 1<<3) },
		"wild slot": func(p *channel.Producer) { p.Entries[1].Store(p.Entries[1].Load() | 1<<20) },
		"two alike": func(p *channel.Producer) { p.Entries[1].Store(p.Entries[2].Load()) },
		"emptied":   func(p *channel.Producer) { p.Entries[1].Store(layout.EntryNone) },
		"id": func(p *channel.Producer) {
			*p.Data.Plain64(p.SlotHeader(layout.EntrySlot(
				p.Entries[1].Load()))) ^= 4
		},
		"claim mark": func(p *channel.Producer) {
			p.Data[p.SlotHeader(layout.EntrySlot(p.Entries[1].Load()))+layout.SlotClaim+7] |= 0x80
		},
		"commit":  func(p *channel.Producer) { *p.CommitHint = 1 << 50 },
		"state":   func(p *channel.Producer) { p.StateWord.Store(99) },
		"control": func(p *channel.Producer) { p.Ctl[layout.CtlSize] ^= 1 },
		"header":  func(p *channel.Producer) { p.Data[layout.HdrSlotSize] ^= 1 },
	}
	checked := fixture{}.config(segment.Ring, 4)
	checked.Checksum = segment.ChecksumEnforced
	blake := checked
	blake.Algorithm = segment.AlgorithmBLAKE2b
	for what, config := range map[string]segment.Config{"": fixture{}.config(segment.Ring, 4), "crc32c ": checked,
		"blake2b ": blake} {
		for name, damage := range ring {
			t.Run(what+name, func(t *testing.T) { keepEveryMessage(t, config, damage) })
		}
	}
}

func keepEveryMessage(t *testing.T, config segment.Config, damage func(p *channel.Producer)) {
	t.Helper()
	b := newFixture(t)
	config.Directory = b.dir
	p := b.producer(config)
	reader := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	latest := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	write(t, p, 3)
	assert.Equal(t, []uint64{0, 1, 2}, idsOf(t, reader, 3))
	write(t, p, 3)
	held, err := latest.Next(0)
	require.NoError(t, err)
	die(p.Attachment)
	damage(p)
	require.False(t, b.validate().Healthy())
	result, _ := b.repair(false)
	require.Equal(t, RecoverySuccess, result)
	q := b.producer(config)
	write(t, q, 1)
	assert.Equal(t, []uint64{3, 4, 5, 6}, idsOf(t, reader, 4), "every message, and none twice")
	require.NoError(t, latest.Release(held))
	assert.EqualValues(t, 6, read(t, latest).ID())
	result, _ = b.repair(false)
	assert.Equal(t, RecoveryNotStuck, result)
}

func TestWhatCannotBeRebuiltIsLost(t *testing.T) {
	damages := map[string]func(p *channel.Producer){
		"payload": func(p *channel.Producer) { p.Data[p.Payload(layout.EntrySlot(p.Entries[1].Load()))] ^= 1 },
		"length": func(p *channel.Producer) {
			*p.Data.Plain64(p.SlotHeader(layout.EntrySlot(p.Entries[1].Load())) + layout.SlotLength) = 1 << 60
		},
		"both": func(p *channel.Producer) {
			*p.Data.Plain64(p.SlotHeader(layout.EntrySlot(p.Entries[1].Load()))) = 77
			p.Entries[1].Store(p.Entries[1].Load() | 1<<20)
		},
	}
	for name, damage := range damages {
		for i, living := range []bool{false, false, true, true} {
			if living && name == "both" {
				continue // a living producer has to end first
			}
			t.Run(name, func(t *testing.T) {
				b := newFixture(t)
				config := b.config(segment.Ring, 4)
				config.Checksum, config.Algorithm = segment.ChecksumEnforced, algorithms[i%2]
				p := b.producer(config)
				reader := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
				write(t, p, 4)
				damage(p)
				if living {
					result, left := b.repair(false)
					require.Equal(t, RecoveryUnsafe, result)
					require.False(t, left.Healthy())
				} else {
					die(p.Attachment)
				}
				result, _ := b.repair(living)
				require.Equal(t, RecoverySuccess, result)
				if !living {
					p = b.producer(config)
				}
				assert.EqualValues(t, 0, read(t, reader).ID())
				_, err := reader.Next(0)
				assert.ErrorIs(t, err, status.Lost)
				assert.Equal(t, []uint64{2, 3}, idsOf(t, reader, 2))
				write(t, p, 6-2)
				assert.Equal(t, []uint64{4, 5, 6, 7}, idsOf(t, reader, 4))
			})
		}
	}
}

func TestALivingProducersRingIsNotTouched(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	write(t, p, 4)
	p.Entries[1].Store(p.Entries[2].Load())
	before := b.contents()
	for _, force := range []bool{false, true} {
		result, _ := b.repair(force)
		assert.Equal(t, RecoveryUnsafe, result)
	}
	assert.True(t, reflect.DeepEqual(before, b.contents()))
}

func TestRowsOfTheLivingAreCorrectedAndOthersCleaned(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	reader := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Name: "l"})
	ordered := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, Name: "o", MaxPins: 3})
	durable, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Lossless, Name: "d", Durable: true})
	require.NoError(t, err)
	write(t, p, 2)
	held, err := ordered.Next(0)
	require.NoError(t, err)
	die(durable.Attachment)
	actions := 0
	row := func(c *channel.Consumer) uint64 { return p.Header.RowOffset(c.Row) }
	for name, damage := range map[string]func(){
		"masks":   func() { p.MaskClear(p.Active, ordered.Row); p.MaskClear(p.Lossless, reader.Row) },
		"noise":   func() { p.MaskSet(p.Active, 200); p.MaskSet(p.Lossless, 0); p.MaskSet(p.Active, 9) },
		"cursors": func() { p.Cursor(reader.Row).Store(1 << 50); p.Cursor(durable.Row).Store(1 << 50) },
		"pins":    func() { p.Pin(ordered.Row, 1).Store(1 << 40) },
		"state":   func() { p.Ctl.U32(row(reader) + layout.RowStatus).Store(77) },
		"name":    func() { p.Ctl.U32(row(reader) + layout.RowNameLen).Store(1 << 31) },
		"kind":    func() { p.Ctl[row(ordered)+layout.RowRole] = 200; p.Ctl[row(reader)+layout.RowDelivery] = 77 },
		"dead": func() {
			p.Ctl.U32(p.Header.RowOffset(8) + layout.RowStatus).Store(99)
			p.Ctl[row(durable)+layout.RowMaxPins] = 99
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
	back := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Name: "d", Durable: true})
	assert.Equal(t, []uint64{0, 1}, idsOf(t, back, 2), "it continues, at least once")
	write(t, p, 2)
	assert.Equal(t, []uint64{1, 2, 3}, idsOf(t, ordered, 3))
	assert.EqualValues(t, actions, p.Ctl.U64(p.LogOffset+layout.LogNext).Load(), "every action is in the log")
}

func TestRepairingWhileItIsUsedDisturbsNobody(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for range 50 {
			p.Ctl[layout.CtlSize+3] ^= 8
			p.MaskSet(p.Active, 100)
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
