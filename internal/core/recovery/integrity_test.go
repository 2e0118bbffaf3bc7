package recovery

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/core/coretest"
	"datablock/internal/layout"
)

func (b fixture) validate() *Integrity {
	i, err := ValidateIntegrity("x", b.dir)
	require.NoError(b.t, err)
	return i
}

// contents are the bytes of both files.
func (b fixture) contents() map[string]string {
	all := map[string]string{}
	files, err := os.ReadDir(b.dir)
	require.NoError(b.t, err)
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(b.dir, f.Name()))
		require.NoError(b.t, err)
		all[f.Name()] = string(content)
	}
	return all
}

// open opens one of a block's files for a test that damages it.
func (b fixture) open(control bool) *os.File {
	paths, err := filepath.Glob(filepath.Join(b.dir, "x"))
	if control {
		paths, err = filepath.Glob(filepath.Join(b.dir, "x.*.ctl"))
	}
	require.NoError(b.t, err)
	require.Len(b.t, paths, 1)
	f, err := os.OpenFile(paths[0], os.O_RDWR, 0)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = f.Close() })
	return f
}

func flip(t testing.TB, f *os.File, at int64, mask byte) {
	one := make([]byte, 1)
	_, err := f.ReadAt(one, at)
	require.NoError(t, err)
	one[0] ^= mask
	_, err = f.WriteAt(one, at)
	require.NoError(t, err)
}

func TestABlockInUseIsHealthy(t *testing.T) {
	for _, policy := range []segment.Policy{segment.Single, segment.DoubleBuffer, segment.Ring} {
		t.Run(policy.String(), func(t *testing.T) {
			b := newFixture(t)
			config := b.config(policy, 0)
			config.Checksum, config.Flags = segment.ChecksumEnforced, segment.AllowLossless
			p := b.producer(config)
			assert.True(t, b.validate().Healthy(), "nothing written: %s", b.validate().Message())
			c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, MaxPins: 2})
			for range 20 {
				write(t, p, 1)
				s, err := p.Claim(0)
				require.NoError(t, err)
				_, _ = c.Next(0)
				assert.True(t, b.validate().Healthy(), b.validate().Message())
				require.NoError(t, p.Abort(s))
			}
			before := b.contents()
			assert.True(t, b.validate().Healthy())
			assert.True(t, reflect.DeepEqual(before, b.contents()), "validation changes nothing")
		})
	}
}

func TestAFlippedBitInAnyHeaderByteIsFoundAndMended(t *testing.T) {
	for _, checksum := range []segment.ChecksumPolicy{segment.ChecksumNone, segment.ChecksumManual} {
		t.Run(checksum.String(), func(t *testing.T) { flipEveryHeaderByte(t, checksum) })
	}
}

// flipEveryHeaderByte: without checksums the block has version 1, with them it has a feature.
func flipEveryHeaderByte(t *testing.T, checksum segment.ChecksumPolicy) {
	t.Helper()
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Secret, config.Checksum = []byte("secret"), checksum
	p := b.producer(config)
	write(t, p, 6)
	require.True(t, b.validate().Healthy())
	for _, file := range []struct {
		control bool
		bytes   int
	}{{false, layout.Page}, {true, layout.ControlHeaderLen}} {
		f := b.open(file.control)
		for at := range file.bytes {
			flip(t, f, int64(at), 1<<(at%8))
			i := b.validate()
			require.False(t, i.HeaderValid, "byte %d, control %t", at, file.control)
			require.NotEmpty(t, i.Message())
			require.True(t, i.SlotStatesValid && i.ChecksumValid, "byte %d, control %t: %s", at, file.control,
				i.Message())
			if at < layout.ImmutableLen {
				result, _, err := Repair("x", b.dir, false)
				require.Equal(t, RecoverySuccess, result, "byte %d, control %t: %v", at, file.control, err)
				require.True(t, b.validate().Healthy(), "byte %d", at)
			} else {
				flip(t, f, int64(at), 1<<(at%8))
			}
		}
	}
	write(t, p, 1) // no attached participant has noticed
	require.True(t, b.validate().Healthy())
}

func TestAFlippedPayloadByteIsFound(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm.String(), func(t *testing.T) { flipPayloadBytes(t, algorithm) })
	}
}

var algorithms = []segment.ChecksumAlgorithm{segment.AlgorithmCRC32C, segment.AlgorithmBLAKE2b}

func flipPayloadBytes(t *testing.T, algorithm segment.ChecksumAlgorithm) {
	t.Helper()
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Checksum, config.Algorithm = segment.ChecksumEnforced, algorithm
	p := b.producer(config)
	write(t, p, 6)
	f := b.open(false)
	for place := range p.SlotCount {
		slot := layout.EntrySlot(p.Entries[place].Load())
		for at := range uint64(8) {
			flip(t, f, int64(p.Payload(slot)+at), 1<<at)
			i := b.validate()
			require.False(t, i.ChecksumValid)
			require.True(t, i.HeaderValid && i.SlotStatesValid)
			require.EqualValues(t, 1, i.CorruptedSlots)
			require.Contains(t, i.Message(), fmt.Sprintf("slot %d", slot))
			flip(t, f, int64(p.Payload(slot)+at), 1<<at)
		}
	}
	assert.True(t, b.validate().Healthy())
}

// TestImpossibleStatesAreFound damages one word after the other. Every bit of an entry but LOST and
// FENCE counts.
func TestImpossibleStatesAreFound(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	var lossless *channel.Consumer
	for i, d := range []segment.Delivery{segment.Lossless, segment.Ordered, segment.Latest} {
		c := b.consumer(segment.ConsumerOptions{Delivery: d, Name: d.String(), Durable: i == 0})
		write(t, p, 1)
		if d == segment.Lossless {
			lossless = c
			continue
		}
		_, err := c.Next(0)
		require.NoError(t, err)
	}
	require.True(t, b.validate().Healthy(), b.validate().Message())
	found := func(what string, part Part, damage, mend func()) {
		t.Helper()
		damage()
		i := b.validate()
		require.False(t, i.Healthy(), what)
		assert.Equal(t, part, i.Findings[0].Part, "%s: %s", what, i.Message())
		mend()
		require.True(t, b.validate().Healthy(), "%s: %s", what, b.validate().Message())
	}
	word := func(what string, part Part, w *uint64, value uint64) {
		t.Helper()
		was := *w
		found(what, part, func() { *w = value }, func() { *w = was })
	}
	short := func(what string, part Part, w *atomic.Uint32, value uint32) {
		t.Helper()
		was := w.Load()
		found(what, part, func() { w.Store(value) }, func() { w.Store(was) })
	}
	one := func(what string, at uint64, value byte) {
		t.Helper()
		was := p.Ctl[at]
		found(what, PartRow, func() { p.Ctl[at] = value }, func() { p.Ctl[at] = was })
	}
	for place := range p.SlotCount {
		was := p.Entries[place].Load()
		for bit := 2; bit < 64; bit++ {
			i := &p.Entries[place]
			i.Store(was ^ 1<<bit)
			require.False(t, b.validate().SlotStatesValid, "bit %d of entry %d", bit, place)
			i.Store(was)
		}
	}
	for place := range p.SlotCount - 1 {
		header := p.SlotHeader(layout.EntrySlot(p.Entries[place].Load()))
		for bit := range 64 {
			word(fmt.Sprint("id bit ", bit), PartSlot, p.Data.Plain64(header+layout.SlotID),
				*p.Data.Plain64(header + layout.SlotID)^1<<bit)
		}
		word("length", PartSlot, p.Data.Plain64(header+layout.SlotLength), p.SlotBytes+1)
		word("claimed", PartSlot, p.Data.Plain64(header+layout.SlotClaim),
			*p.Data.Plain64(header + layout.SlotClaim)|layout.ClaimOpen)
		word("epoch of a claim", PartSlot, p.Data.Plain64(header+layout.SlotClaim),
			layout.Claim(7, 1)&^layout.ClaimOpen)
		word("never claimed", PartSlot, p.Data.Plain64(header+layout.SlotClaim), 0)
	}
	short("state", PartHeader, p.StateWord, 9)
	word("epoch", PartHeader, p.Data.Plain64(layout.Epoch), 0)
	word("commit ahead", PartHeader, p.CommitHint, 1000)
	word("commit behind", PartHeader, p.CommitHint, 0)
	word("claim", PartHeader, p.Data.Plain64(layout.ClaimID), 2)
	word("awaited cursor", PartHeader, p.Data.Plain64(layout.ProducerWaiting), 1<<40)
	word("join ack", PartHeader, p.Data.Plain64(layout.JoinAck), 5)
	word("log record", PartLog, p.Ctl.Plain64(p.LogRecord(3)+layout.RecSeq), 9)
	for row := range uint32(4) {
		at := p.Header.RowOffset(row)
		short("status", PartRow, p.Ctl.U32(at+layout.RowStatus), 7)
		short("name", PartRow, p.Ctl.U32(at+layout.RowNameLen), 64)
		one("role", at+layout.RowRole, 9)
		one("delivery", at+layout.RowDelivery, 9)
		one("durable", at+layout.RowDurable, 2)
		one("pins allowed", at+layout.RowMaxPins, 9)
		if row == 0 {
			short("dead producer row", PartRow, p.Ctl.U32(at+layout.RowStatus), layout.RowDead)
			continue
		}
		word("cursor ahead", PartRow, p.Ctl.Plain64(at+layout.RowCursor), 4)
		word("join", PartRow, p.Ctl.Plain64(at+layout.RowJoin), 4)
		word("pin of no slot", PartRow, p.Ctl.Plain64(at+layout.RowPins), uint64(p.Slots())+1)
		word("pin too many", PartRow, p.Ctl.Plain64(at+layout.RowPins+8), 1)
		found("active bit", PartRow, func() { p.MaskClear(p.Active, row) }, func() { p.MaskSet(p.Active, row) })
		if row == 1 {
			found("lossless bit", PartRow, func() { p.MaskClear(p.Lossless, row) },
				func() { p.MaskSet(p.Lossless, row) })
		} else {
			found("lossless bit", PartRow, func() { p.MaskSet(p.Lossless, row) },
				func() { p.MaskClear(p.Lossless, row) })
		}
	}
	for _, mask := range [][]atomic.Uint64{p.Active, p.Lossless} {
		for _, row := range []uint32{0, 4, 16, 17, 63, 64, 255} {
			found("bit", PartRow, func() { p.MaskSet(mask, row) }, func() { p.MaskClear(mask, row) })
		}
	}
	idsOf(t, lossless, 3)
	write(t, p, 3)
	word("lossless cursor behind", PartRow, p.Ctl.Plain64(p.Header.RowOffset(1)+layout.RowCursor), 0)
}

// TestNoFalseAlarm: a million messages at full speed to consumers of all deliveries, which attach
// and leave. Nothing is ever reported as damaged. In a short ring without backpressure the slots
// are reused at once.
func TestNoFalseAlarm(t *testing.T) {
	messages := 500_000
	if testing.Short() || coretest.RaceEnabled {
		messages /= 20
	}
	for name, c := range map[string]struct {
		ring    uint32
		readers []segment.ConsumerOptions
	}{
		"lossless": {256, []segment.ConsumerOptions{
			{Delivery: segment.Lossless, Name: "l"}, {Delivery: segment.Ordered, Name: "o", MaxPins: 3},
			{Delivery: segment.Latest, Name: "n"},
			{Delivery: segment.Lossless, Start: segment.StartOldest, Name: "d", Durable: true},
		}},
		"overtaken": {2, []segment.ConsumerOptions{{Delivery: segment.Ordered, Name: "o", MaxPins: 3},
			{Delivery: segment.Latest, Name: "n"},
			{Delivery: segment.Ordered, Name: "d", Durable: true}}},
	} {
		t.Run(name, func(t *testing.T) { noFalseAlarm(t, c.ring, messages, c.readers) })
	}
}

func noFalseAlarm(t *testing.T, ring uint32, messages int, readers []segment.ConsumerOptions) {
	b := newFixture(t)
	config := b.config(segment.Ring, ring)
	config.Checksum, config.SpareSlots = segment.ChecksumEnforced, 8
	p := b.producer(config)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	over := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	for i, o := range readers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !over() {
				c, err := b.openConsumer(o)
				if !assert.NoError(t, err) {
					return
				}
				for n := 0; !over() && (i == 0 || n < 500); n++ {
					if s, err := c.Next(time.Millisecond); err == nil {
						assert.NoError(t, c.Release(s))
					}
				}
				assert.NoError(t, c.Close())
			}
		}()
	}
	var looks atomic.Int64
	alarms := 0
	wg.Add(1)
	go func() {
		defer wg.Done()
		for !over() && alarms < 5 {
			looks.Add(1)
			i, err := ValidateIntegrity("x", b.dir)
			if assert.NoError(t, err) && !i.Healthy() {
				alarms++
				t.Error(i.Message())
			}
		}
	}()
	for n := 0; n < messages || looks.Load() < 20 && !t.Failed(); n++ {
		s, err := p.Claim(5 * time.Second)
		if err != nil || p.Commit(s, 8) != nil {
			t.Error("cannot write", err)
			break
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d looks", looks.Load())
}
