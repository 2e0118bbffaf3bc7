package recovery

import (
	"encoding/binary"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/layout"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func reclaiming(b fixture) segment.Config {
	c := b.config(segment.Ring, 4)
	c.Flags |= segment.Reclaim
	c.SlotSize = layout.BigSlot
	return c
}

// reclaimed makes a block of n messages that has no participant any more. The ring has the last two
// of the messages.
func reclaimed(b fixture, n int) {
	p, err := channel.OpenProducer("x", reclaiming(b))
	require.NoError(b.t, err)
	in, err := b.openConsumer(segment.ConsumerOptions{Durable: true, Name: "log"})
	require.NoError(b.t, err)
	for range n {
		write(b.t, p, 1)
		read(b.t, in)
	}
	require.NoError(b.t, in.Close())
	require.NoError(b.t, p.Close())
}

func TestAReclaimingBlockIsSound(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 50} {
		b := newFixture(t)
		reclaimed(b, n)
		assert.Empty(t, b.validate().Findings, "%d messages", n)
	}
}

// Each damaged word is found and mended, and the next producer continues the ids.
func TestDamageOfAReclaimingBlockIsMended(t *testing.T) {
	entry := func(h *segment.Header, id uint64) int64 { return int64(h.RingOffset + 8*(id%4)) }
	for name, damage := range map[string]func(h *segment.Header) (at int64, word uint64){
		"the newest message is called reclaimed": func(h *segment.Header) (int64, uint64) {
			return entry(h, 9), layout.Entry(9, layout.SlotReclaimed)
		},
		"the tag of a reclaimed message": func(h *segment.Header) (int64, uint64) {
			return entry(h, 7), layout.Entry(1000, layout.SlotReclaimed)
		},
		"the slot of a reclaimed message": func(h *segment.Header) (int64, uint64) {
			return entry(h, 7), layout.Entry(7, layout.SlotReclaimed-1)
		},
		"commit": func(*segment.Header) (int64, uint64) { return layout.Commit, 1 << 50 },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			reclaimed(b, 10)
			o := b.observer()
			require.True(t, o.IsReclaimed(o.Entry(7).Load()))
			at, word := damage(o.Header)
			require.NoError(t, o.Close())
			_, err := b.open(false).WriteAt(binary.LittleEndian.AppendUint64(nil, word), at)
			require.NoError(t, err)
			require.NotEmpty(t, b.validate().Findings)
			b.repair(false)
			assert.Empty(t, b.validate().Findings)
			p := b.producer(reclaiming(b))
			assert.Equal(t, uint64(10), p.NextID())
			write(t, p, 4)
		})
	}
}
