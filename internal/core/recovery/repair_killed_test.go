//go:build crashpoints

package recovery

import (
	"fmt"
	"os"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/core/coretest"
	"datablock/internal/crash"
	"datablock/internal/layout"
)

// ringDamages are damages of one message each, in the slot that the ring entry of message 1 names.
func ringDamages(p *channel.Producer) map[string]func() {
	slot := layout.EntrySlot(p.Entries[1].Load())
	at := p.SlotHeader(slot)
	return map[string]func(){
		"length": func() { *p.Data.Plain64(at + layout.SlotLength) = 1 << 50 },
		"length and id": func() {
			*p.Data.Plain64(at + layout.SlotLength) = 1 << 50
			*p.Data.Plain64(at + layout.SlotID) = 77
		},
		"length and claim": func() {
			*p.Data.Plain64(at + layout.SlotLength) = 1 << 50
			*p.Data.Plain64(at + layout.SlotClaim) = 0
		},
		"length and entry": func() {
			*p.Data.Plain64(at + layout.SlotLength) = 1 << 50
			p.Entries[1].Store(p.Entries[1].Load() ^ 1<<30)
		},
		"entry and id": func() {
			*p.Data.Plain64(at + layout.SlotID) = 77
			p.Entries[1].Store(p.Entries[1].Load() | 1<<20)
		},
	}
}

// messagesOf returns what a consumer gets for each message of a full ring.
func messagesOf(b fixture) (got []string) {
	c, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Ordered, Start: segment.StartOldest})
	require.NoError(b.t, err)
	defer func() { _ = c.Close() }()
	for range c.SlotCount {
		s, err := c.Next(0)
		if err != nil {
			got = append(got, fmt.Sprint(status.CodeOf(err)))
			continue
		}
		got = append(got, fmt.Sprintf("%d: %d bytes", s.ID(), s.Size()))
		require.NoError(b.t, c.Release(s))
	}
	return got
}

// TestARepairKilledAtAnyPointInventsNoMessage: a damaged message without a checksum is LOST, also
// after a repair that died and a repair that follows. Before the second repair the block is either
// damaged, or as it will be.
func TestARepairKilledAtAnyPointInventsNoMessage(t *testing.T) {
	for _, checksum := range []segment.ChecksumPolicy{segment.ChecksumNone, segment.ChecksumEnforced} {
		b := newFixture(t)
		config := b.config(segment.Ring, 4)
		config.Checksum = checksum
		p := b.producer(config)
		write(t, p, 4)
		die(p.Attachment)
		sound := coretest.Files(b.t, b.dir)
		for name, damage := range ringDamages(p) {
			b.restoreInPlace(sound)
			damage()
			damaged := coretest.Files(b.t, b.dir)
			points := everyPoint(func() { b.repair(false) })
			want := messagesOf(b)
			require.Equal(t, []string{"0: 8 bytes", fmt.Sprint(status.Lost), "2: 8 bytes", "3: 8 bytes"}, want, name)
			for n, point := range points {
				b.restoreInPlace(damaged)
				killedAtNumber(t, n, func() { b.repair(false) })
				if b.validate().Healthy() {
					require.Equal(t, want, messagesOf(b), "%s: after the kill at %s, number %d", name, point, n)
					continue
				}
				b.repair(false)
				assert.Equal(t, want, messagesOf(b), "%s: repaired after the kill at %s, number %d", name, point, n)
			}
		}
	}
}

// TestAKilledRepairOfARowTellsTheProducer: wherever a repair dies that gives a LOSSLESS consumer
// its hold back, the producer looks at the cursors again.
func TestAKilledRepairOfARowTellsTheProducer(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 2)
	for name, damage := range map[string]func(){
		"bit":    func() { p.MaskClear(p.Lossless, c.Row) },
		"cursor": func() { c.Cursor(c.Row).Store(1 << 50) },
	} {
		damage()
		damaged := coretest.Files(b.t, b.dir)
		points := everyPoint(func() { b.repair(false) })
		for n, point := range points {
			b.restoreInPlace(damaged)
			before := p.JoinEpoch.Load()
			killedAtNumber(t, n, func() { b.repair(false) })
			if p.MaskHas(p.Lossless, c.Row) && c.Cursor(c.Row).Load() <= p.NextID() {
				assert.Greater(t, p.JoinEpoch.Load(), before, "%s: killed at %s, number %d", name, point, n)
			}
		}
		b.restoreInPlace(damaged)
		b.repair(false)
	}
}

// everyPoint returns the crash points that f reaches, in order, with repetitions.
func everyPoint(f func()) (points []string) {
	hook := func(p string) { points = append(points, p) }
	crash.Hook.Store(&hook)
	f()
	crash.Hook.Store(nil)
	return points
}

// killedAtNumber runs f and abandons it at its n-th crash point, counted from 0.
func killedAtNumber(t *testing.T, n int, f func()) {
	hook := func(string) {
		if n--; n < 0 {
			panic("killed")
		}
	}
	crash.Hook.Store(&hook)
	defer crash.Hook.Store(nil)
	assert.PanicsWithValue(t, "killed", f)
}

// restoreInPlace writes the bytes back into the same files.
func (b fixture) restoreInPlace(files map[string][]byte) {
	for path, content := range files {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		require.NoError(b.t, err)
		_, err = f.WriteAt(content, 0)
		require.NoError(b.t, err)
		require.NoError(b.t, f.Close())
	}
}
