package channel

import (
	"testing"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// told collects what a loop receives, for at most limit iterations, and calls turn in each.
func told(c *Consumer, limit int, turn func(ReadSlot)) (ids []uint64, codes []status.Code) {
	for s, err := range c.Messages(0) {
		if err == nil {
			ids = append(ids, s.ID())
		} else {
			codes = append(codes, status.CodeOf(err))
		}
		turn(s)
		if limit--; limit == 0 {
			break
		}
	}
	return ids, codes
}

func TestMessagesGoesOnWithTheNextProducer(t *testing.T) {
	b := newFixture(t)
	p, err := OpenProducer("x", b.config(segment.Ring, 4))
	require.NoError(t, err)
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 1)
	die(p.Attachment)
	turn := 0
	ids, codes := told(c, 4, func(ReadSlot) {
		switch turn++; turn {
		case 1:
			c.producerProbed = 0 // probe at once
		case 2:
			write(t, b.producer(b.config(segment.Ring, 4)), 1)
			c.producerProbed = 0
		}
	})
	assert.Equal(t, []uint64{0, 1}, ids)
	assert.Equal(t, []status.Code{status.NoProducer, status.Timeout}, codes)
}

func TestMessagesGoesOnAfterASpoiltMessage(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Checksum = segment.ChecksumEnforced
	p := b.producer(config)
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 4)
	p.Data[p.Payload(layout.EntrySlot(p.Entry(1).Load()))] ^= 1
	ids, codes := told(c, 5, func(s ReadSlot) {
		if s.Data() != nil && s.ID() == 2 {
			*p.Data.Plain64(p.SlotHeader(s.Index()) + layout.SlotID) = 99 // as if the slot were used again
		}
	})
	assert.Equal(t, []uint64{0, 2, 3}, ids)
	assert.Equal(t, []status.Code{status.Checksum, status.Overrun}, codes)
}

func TestMessagesEndsForAnEvictedConsumer(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 4)
	ids, codes := told(c, 9, func(s ReadSlot) {
		c.Ctl.U32(c.Header.RowOffset(c.Row) + layout.RowStatus).Store(layout.RowFree)
	})
	assert.Equal(t, []uint64{0}, ids)
	assert.Equal(t, []status.Code{status.Fenced}, codes)
}
