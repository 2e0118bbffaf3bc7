package channel

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSlotSizesFromOneByteTo64MB(t *testing.T) {
	for _, size := range []uint64{1, 63, 64, 65, 4095, 4096, 1 << 16, 1<<20 + 1, 64 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			b := newFixture(t)
			config := b.config(segment.Ring, 2)
			config.SlotSize, config.ConsumerLimit = size, 1
			p := b.producer(config)
			c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
			for id := range byte(5) {
				s, err := p.Claim(0)
				require.NoError(t, err)
				require.EqualValues(t, size, len(s.Data()))
				s.Data()[0], s.Data()[size-1] = id, id
				require.NoError(t, p.Commit(s, int(size)))
				r, err := c.Next(0)
				require.NoError(t, err)
				require.EqualValues(t, size, len(r.Data()))
				assert.Equal(t, []byte{id, id}, []byte{r.Data()[0], r.Data()[size-1]})
				require.NoError(t, c.Release(r))
			}
		})
	}
}

func TestRingsOfOneToAMillionSlots(t *testing.T) {
	for _, n := range []uint32{1, 2, 3, 1000, 1 << 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := newFixture(t)
			config := b.config(segment.Ring, n)
			config.SlotSize = 8
			p := b.producer(config)
			c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
			for id := range uint64(n) { // a million calls of testify would take longer than everything else
				if s, err := p.Claim(0); err != nil || s.ID() != id || p.Commit(s, 0) != nil {
					t.Fatalf("message %d: %v", id, err)
				}
			}
			_, err := p.Claim(0)
			require.ErrorIs(t, err, status.Timeout, "the ring is full")
			for id := range uint64(n) {
				if s, err := c.Next(0); err != nil || s.ID() != id || c.Release(s) != nil {
					t.Fatalf("message %d: %v", id, err)
				}
			}
			write(t, p, 1)
			assert.EqualValues(t, n, read(t, c).ID())
			assert.EqualValues(t, n+1, b.reopened(p, config).next)
		})
	}
}

// reopened returns the producer that continues the block.
func (b fixture) reopened(p *Producer, config segment.Config) *Producer {
	require.NoError(b.t, p.Close())
	return b.producer(config)
}

func TestTwoHundredConsumers(t *testing.T) {
	const many = 200
	b := newFixture(t)
	config := b.config(segment.Ring, 8)
	config.ConsumerLimit = many
	p := b.producer(config)
	var readers []*Consumer
	for i := range many {
		readers = append(readers, b.consumer(segment.ConsumerOptions{Delivery: segment.Delivery(1 + i%3)}))
	}
	_, err := b.openConsumer(segment.ConsumerOptions{})
	require.ErrorIs(t, err, status.Full)
	for id := range uint64(20) {
		write(t, p, 1)
		for _, c := range readers {
			require.Equal(t, id, read(t, c).ID())
		}
	}
	write(t, p, 8)
	_, err = p.Claim(0)
	require.ErrorIs(t, err, status.Timeout)
	for i, c := range readers { // the last LOSSLESS one lets the producer continue
		if c.delivery == segment.Lossless {
			_, err = p.Claim(0)
			require.ErrorIs(t, err, status.Timeout, "reader %d has not read yet", i)
			read(t, c)
		}
	}
	write(t, p, 1)
}

// Consumers that hold as much as they may, and never release, do not hold the producer up.
func TestAProducerIsNeverHeldUpByLatestOrOrderedReaders(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.ConsumerLimit, config.SpareSlots = 6, 1+6*8
	p := b.producer(config)
	var holders []*Consumer
	for i := range 6 {
		holders = append(holders, b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered + segment.Delivery(i%2),
			MaxPins: 8}))
	}
	held := map[*Consumer][]ReadSlot{}
	for range 100 {
		s, err := p.Claim(0)
		require.NoError(t, err)
		binary.LittleEndian.PutUint64(s.Data(), s.ID())
		require.NoError(t, p.Commit(s, 8))
		for _, c := range holders {
			if len(held[c]) < 8 {
				r, err := c.Next(time.Second)
				require.NoError(t, err)
				held[c] = append(held[c], r)
			}
		}
	}
	for _, c := range holders {
		for _, r := range held[c] {
			require.Equal(t, r.ID(), binary.LittleEndian.Uint64(r.Data()), "unharmed")
			require.NoError(t, c.Release(r))
		}
	}
}

func TestAfterManyAbortsIDsHaveNoGaps(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 8))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	write(t, p, 3)
	for range 2 * 8 {
		s, err := p.Claim(0)
		require.NoError(t, err)
		require.EqualValues(t, 3, s.ID())
		clear(s.Data())
		require.NoError(t, p.Abort(s))
	}
	assert.EqualValues(t, 2, read(t, c).ID(), "the latest message is still there")
	write(t, p, 1)
	assert.EqualValues(t, 3, read(t, c).ID())
}
