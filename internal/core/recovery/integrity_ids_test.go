package recovery

import (
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// few is a ring of few messages whose producer has died.
type few struct {
	*channel.Producer
	next uint64
}

func (f few) header(id uint64) *uint64 {
	return f.Data.Plain64(f.SlotHeader(layout.EntrySlot(f.Entry(id).Load())) + layout.SlotID)
}

// tag changes the message that an entry names, and not the slot.
func (f few) tag(id uint64) { f.Entry(id).Store(f.Entry(id).Load() ^ 5<<30) }

// scrap makes an entry garbage.
func (f few) scrap(id uint64) { f.Entry(id).Store(0x5a5a_5a5a_5a5a_5a58) }

// older makes an entry what it was when the message before was in its place. That message is still
// in a slot that has left the ring.
func (f few) older(id uint64) {
	id -= uint64(f.SlotCount)
	for slot := range f.Slots() {
		if *f.Data.Plain64(f.SlotHeader(slot) + layout.SlotID) == id {
			f.Entry(id).Store(layout.Entry(id, slot))
		}
	}
}

func TestTwoDamagedMessagesDoNotOutvoteTheRest(t *testing.T) {
	const high = 1 << 45 // a bit that the tag of an entry does not have
	for _, c := range []struct {
		what     string
		ring     uint32
		messages int
		damage   func(f few)
		lost     int
	}{
		{"the only header", 1, 6, func(f few) { *f.header(5) ^= high }, 0},
		{"the only header of the only message", 1, 1, func(f few) { *f.header(0) ^= high }, 0},
		{"commit, of one message", 1, 1, func(f few) { *f.CommitHint ^= high }, 0},
		{"commit, of none", 1, 0, func(f few) { *f.CommitHint ^= high }, 0},
		{"both headers alike", 2, 6, func(f few) { *f.header(4) ^= high; *f.header(5) ^= high }, 0},
		{"both headers of the first messages alike", 2, 2, func(f few) { *f.header(0) ^= high; *f.header(1) ^= high },
			0},
		{"both headers", 2, 6, func(f few) { *f.header(4) ^= 1 << 20; *f.header(5) ^= 1 << 33 }, 0},
		{"both tags", 2, 6, func(f few) { f.tag(4); f.tag(5) }, 0},
		{"both entries", 2, 6, func(f few) { f.scrap(4); f.scrap(5) }, 0},
		{"two of three headers alike", 3, 7, func(f few) { *f.header(4) ^= high; *f.header(5) ^= high }, 0},
		{"two of four headers alike", 4, 9, func(f few) { *f.header(6) ^= high; *f.header(8) ^= high }, 0},
		{"commit and a header alike", 2, 6, func(f few) { *f.CommitHint ^= high; *f.header(4) ^= high }, 0},
		{"commit and the newest tag", 2, 6, func(f few) { *f.CommitHint = 999; f.tag(5) }, 0},
		{"commit and the newest header", 2, 6, func(f few) { *f.CommitHint = 999; *f.header(5) ^= high }, 0},
		{"commit and the newest entry", 2, 6, func(f few) { *f.CommitHint = 999; f.scrap(5) }, 0},
		{"commit and the newest entry of four", 4, 9, func(f few) { *f.CommitHint = 999; f.scrap(8) }, 0},
		{"commit and the oldest header", 2, 6, func(f few) { *f.CommitHint = 999; *f.header(4) = 77 }, 0},
		{"commit and the only entry", 1, 6, func(f few) { *f.CommitHint = 2; f.scrap(5) }, 0},
		{"commit and the only tag", 1, 6, func(f few) { *f.CommitHint = 2; f.tag(5) }, 0},
		{"an entry that is older", 2, 6, func(f few) { f.older(5) }, 0},
		{"one word and another of a message", 2, 6, func(f few) { *f.header(4) = 77; f.scrap(4) }, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := newFixture(t)
			config := b.config(segment.Ring, c.ring)
			p := b.producer(config)
			write(t, p, c.messages)
			die(p.Attachment)
			c.damage(few{p, uint64(c.messages)})
			require.False(t, b.validate().Healthy())
			result, left := b.repair(false)
			require.Equal(t, RecoverySuccess, result, left.Message())
			q := b.producer(config)
			require.EqualValues(t, c.messages, q.NextID())
			o, lost := b.observer(), 0
			for id := q.OldestPossible(q.NextID()); id < q.NextID(); id++ {
				into := make([]byte, 8)
				_, err := o.ReadAt(id, into)
				if status.CodeOf(err) == status.Lost {
					lost++
					continue
				}
				require.NoError(t, err)
				assert.Equal(t, id, binary.LittleEndian.Uint64(into), "the message is the one with this id")
			}
			assert.Equal(t, c.lost, lost)
			write(t, q, 3)
		})
	}
}

// TestOldSlotsOutOfTheRingAreNoEvidence: few big slots are reused again and again, and slots that a
// hazard pointer named once keep their old message.
func TestOldSlotsOutOfTheRingAreNoEvidence(t *testing.T) {
	for held := 2; held <= layout.MaxPins; held++ {
		b := newFixture(t)
		config := b.config(segment.Ring, 1)
		config.SlotSize = 64 << 10 // the producer frees slots of this size one by one
		p := b.producer(config)
		c := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest, MaxPins: uint32(held)})
		var slots []channel.ReadSlot
		for range held {
			write(t, p, 1)
			s, err := c.Next(0)
			require.NoError(t, err)
			slots = append(slots, s)
		}
		for _, s := range slots {
			require.NoError(t, c.Release(s))
		}
		write(t, p, 100)
		die(p.Attachment)
		*p.CommitHint ^= 1 << 40
		result, left := b.repair(false)
		require.Equal(t, RecoverySuccess, result, left.Message())
		require.EqualValues(t, held+100, b.producer(config).NextID(), "%d slots were held", held)
	}
}

func TestRepairRefusesWhereTheIDsCannotBeTold(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	write(t, p, 6)
	die(p.Attachment)
	f := few{p, 6}
	f.older(4)
	f.older(5)
	before := b.bytesOfBothFiles()
	for _, force := range []bool{false, true} {
		result, left, err := Repair("x", b.dir, force)
		assert.Equal(t, RecoveryFailed, result)
		assert.ErrorContains(t, err, "which ids its messages have cannot be told: commit is 6, and as much speaks "+
			"for 4 or 5 or 6 as the next one")
		assert.ErrorContains(t, err, "remove "+filepath.Join(b.dir, "x")+" and start the producer again")
		assert.False(t, left.HeaderValid)
		assert.Empty(t, left.Repaired)
	}
	assert.Equal(t, before, b.bytesOfBothFiles(), "nothing was changed")
}

// allWords returns all words that say something about ids.
func allWords(w *idWords) (all []*uint64) {
	all = append(all, &w.commit)
	for i := range w.entries {
		all = append(all, &w.entries[i])
	}
	for i := range w.slots {
		all = append(all, &w.slots[i].id)
	}
	return all
}

// TestOneDamagedWordHidesNoID: each word that says something about ids, and each bit of it, in
// rings with few such words.
func TestOneDamagedWordHidesNoID(t *testing.T) {
	for ring := uint32(1); ring <= 4; ring++ {
		for _, messages := range []int{0, 1, 2, 3, 6, 17, 40} {
			b := newFixture(t)
			config := b.config(segment.Ring, ring)
			config.SpareSlots, config.ConsumerLimit = 2, 1
			p := b.producer(config)
			write(t, p, messages)
			x := inspection{Segment: p.Segment}
			w := x.idWords()
			for i, word := range allWords(w) {
				for bit := range 64 {
					was := *word
					*word ^= 1 << bit
					if got := w.best(0); len(got) != 1 || got[0] != uint64(messages) {
						t.Errorf("ring %d, %d messages, word %d bit %d: %v", ring, messages, i, bit, got)
					}
					*word = was
				}
			}
		}
	}
}

// TestGarbageInTheSlotsDoesNotOutvoteTheRing: the headers of all slots are garbage, also of the
// many slots outside the ring. Commit and the ring agree.
func TestGarbageInTheSlotsDoesNotOutvoteTheRing(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		b := newFixture(t)
		p := b.producer(b.config(segment.Ring, 8))
		write(t, p, 12)
		w := (&inspection{Segment: p.Segment}).idWords()
		for slot := range w.slots {
			w.slots[slot].id, w.slots[slot].claim = random.Uint64()>>1, random.Uint64()
			w.claims += layout.ClaimGeneration(w.slots[slot].claim)
		}
		assert.Equal(t, []uint64{12}, w.best(0), "seed %d", seed)
	}
}
