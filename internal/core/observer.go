package core

import (
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/layout"
	"datablock/internal/platform"
	"datablock/internal/schema"
)

// Observer copies messages out of a block without being part of it: it has no row and no pin, holds nobody up, is seen by nobody, and needs no permission but to read the data file. One goroutine at a time.
//
// What it copies may be overwritten meanwhile; it looks before and after, and hands out nothing that changed in between.
type Observer struct {
	*block
	lookedUp uint64         // Monotonic of the last look whether the name still leads here
	fence    atomic.Uint64  // its own; see copyOut
	between  func(step int) // tests: what happens between the steps of a copy
}

// ObserverOptions is what an observer asks for; zero means the default in every field.
type ObserverOptions struct {
	Directory  string
	Secret     []byte
	Schema     *schema.Schema // what it expects a message to be; nil: what Registered means, or anything
	SchemaMode schema.Mode
	Registered string // as in Config
	Registry   string
}

// Observation says of what message a copy is.
type Observation struct {
	ID        uint64
	Length    uint64 // of the message, bytes; it was copied as far as there was room
	Timestamp uint64 // CLOCK_REALTIME ns at commit, 0: the block has none
	NextID    uint64 // of the message that will be the next: the newest present is the one before
	Index     uint32 // slot
}

const (
	observerTries     = 100                       // copies of the newest message, each overtaken by the producer
	observerNameCheck = 100 * 1000 * 1000         // ns
	storesInOrder     = runtime.GOARCH == "amd64" // others see a processor's stores in the order in which it made them
)

// OpenObserver looks at an existing block, with or without a producer. It does not wait. Errors: Invalid, NotFound, Access, Secret, Schema, Corrupt, Version, System.
func OpenObserver(name string, o ObserverOptions) (*Observer, error) {
	l, err := locate(name, o.Directory)
	if err != nil {
		return nil, err
	}
	wanted, err := registered(o.Schema, o.Registered, o.Registry)
	if err != nil {
		return nil, err
	}
	b, err := openData(l, l.data(), observe, func(b *block) error {
		if err := b.checkSecret(o.Secret); err != nil {
			return err
		}
		b.resolveDataWords()
		return b.checkSchema(&b.messageSchema, wanted, o.SchemaMode)
	})
	if err != nil {
		return nil, err
	}
	return &Observer{block: b}, nil
}

// Name is the block's name.
func (o *Observer) Name() string { return o.name() }

// SlotSize is what a message may have at most, bytes.
func (o *Observer) SlotSize() uint64 { return o.slotSize }

// ReadNewest copies the newest message that nobody discarded, as far as there is room. It does not wait. Errors: NotFound (there is none), Overrun (the producer was faster at every attempt), Checksum,
// Superseded (another block has the name), Corrupt, Closed (it is closed).
func (o *Observer) ReadNewest(into []byte) (Observation, error) {
	if err := o.usable(); err != nil {
		return Observation{}, err
	}
	var id uint64
	for range observerTries {
		next := o.block.next()
		v, at, ok := o.newestBefore(next)
		if !ok {
			return Observation{}, fail(NotFound, "block %q has no message yet", o.name())
		}
		id = at
		if seen, stable, err := o.copyOut(id, v, into); stable || err != nil {
			return seen, err
		}
	}
	return Observation{}, fail(Overrun, "block %q: message %d and those before it were overwritten while they were copied, %d times: the producer is faster than the copy; attach a consumer, which holds a message in place", o.name(), id, observerTries)
}

// ReadAt copies message id, as far as there is room. It does not wait. Errors: NotFound (not written yet), Overrun (overwritten) and Lost (discarded), perhaps while it was copied; and as ReadNewest.
func (o *Observer) ReadAt(id uint64, into []byte) (Observation, error) {
	if err := o.usable(); err != nil {
		return Observation{}, err
	}
	next := o.block.next()
	v := o.entry(id).Load()
	switch {
	case id >= next || layout.EntryEmpty(v):
		return Observation{}, o.notYet(id, next)
	case id < o.oldest(next):
		return Observation{}, o.overwritten(id)
	case layout.EntryAhead(v, id) < 0: // as Consumer.lookAt
		return Observation{}, o.notYet(id, next)
	case layout.EntryAhead(v, id) > 0:
		return Observation{}, o.overwritten(id)
	case v&layout.EntryLost != 0:
		return Observation{}, o.discarded(id)
	}
	seen, stable, err := o.copyOut(id, v, into)
	if err == nil && !stable {
		err = o.overwritten(id)
		if now := o.entry(id).Load(); now&layout.EntryLost != 0 && (now^v)&^entryMarks == 0 {
			err = o.discarded(id) // while it was copied
		}
	}
	return seen, err
}

func (o *Observer) notYet(id, next uint64) error {
	return fail(NotFound, "block %q: message %d is not written yet, the next one is %d", o.name(), id, min(id, next))
}

func (o *Observer) discarded(id uint64) error {
	return fail(Lost, "block %q: message %d was discarded by an operator", o.name(), id)
}

func (o *Observer) overwritten(id uint64) error {
	return fail(Overrun, "block %q: message %d was overwritten, the oldest present is %d", o.name(), id, o.oldest(o.block.next()))
}

// newestBefore finds the newest entry that is not LOST.
func (o *Observer) newestBefore(next uint64) (v, id uint64, ok bool) {
	for id = next; id > o.oldest(next); {
		id--
		v = o.entry(id).Load()
		if !layout.EntryEmpty(v) && layout.EntryID(v, id) >= id && v&layout.EntryLost == 0 {
			return v, layout.EntryID(v, id), true
		}
	}
	return 0, 0, false
}

// copyOut copies the message that entry value v names. Not stable: the slot was perhaps used again meanwhile, and what was copied means nothing.
//
// A slot is used again only after another message has taken its place in the ring, and then its claim mark changes before its payload does. So the mark is looked at first, then the entry: if that still stands,
// the mark is the message's. At the end, where stores are seen in order, the mark alone decides, and a message may leave the ring while it is copied; elsewhere the entry has to stand. (A program that fills
// its slot with non-temporal stores has them seen late, not early: they come after the mark, too.) The read-modify-write in
// between is a barrier: no load of the copy comes after those of the last look.
func (o *Observer) copyOut(id, v uint64, into []byte) (seen Observation, stable bool, err error) {
	slot := layout.EntrySlot(v)
	if slot >= o.slots() {
		return seen, false, fail(Corrupt, "block %q: the ring says that message %d is in slot %d, and the last one is %d: the data file is damaged; %s", o.name(), id, slot, o.slots()-1, lookFirst(o.name()))
	}
	o.step(0)
	at := o.slotHeader(slot)
	stands := func() bool { return o.entry(id).Load()&^layout.EntryFence == v&^layout.EntryFence }
	mark := o.data.u64(at + layout.SlotClaim).Load()
	if !stands() {
		return seen, false, nil
	}
	seen = Observation{
		ID: o.data.u64(at + layout.SlotID).Load(), Length: o.data.u64(at + layout.SlotLength).Load(), Timestamp: o.data.u64(at + layout.SlotTimestamp).Load(), Index: slot,
	}
	good := seen.ID == id && seen.Length <= o.slotSize
	var sum [layout.HashLen]byte
	o.step(1)
	if good {
		p := o.payload(slot)
		copy(into, o.data[p:p+seen.Length])
		copy(sum[:], o.slotChecksum(slot))
	}
	o.step(2)
	o.fence.Add(1)
	if o.data.u64(at+layout.SlotClaim).Load() != mark || !(storesInOrder && good) && !stands() {
		return Observation{}, false, nil
	}
	if !good {
		return Observation{}, false, fail(Corrupt, "block %q: the header of slot %d says message %d with %d bytes, the ring says message %d: the data file is damaged; %s", o.name(), slot, seen.ID, seen.Length, id, lookFirst(o.name()))
	}
	if o.checksum == ChecksumEnforced && seen.Length <= uint64(len(into)) && blake2b.Sum256(into[:seen.Length]) != sum {
		return Observation{}, false, fail(Checksum, "block %q: the %d bytes of message %d do not match their checksum: they were changed after the commit, discard them", o.name(), seen.Length, id)
	}
	seen.NextID = o.block.next()
	return seen, true, nil
}

func (o *Observer) step(n int) {
	if o.between != nil {
		o.between(n)
	}
}

// usable reports why nothing can be read, nil if something can.
func (o *Observer) usable() error {
	if o.data == nil {
		return fail(Closed, "block %q: this observer is closed already", o.name())
	}
	now := platform.Monotonic()
	if now-o.lookedUp < observerNameCheck {
		return nil
	}
	if o.block.lostName() {
		return fail(Superseded, "block %q was replaced or removed: open it again", o.name())
	}
	o.lookedUp = now // only while it is there: what is gone stays gone
	return o.dataTruncated()
}

// Schema is what the block's messages are; nil: its producer said nothing. Errors: Corrupt, Closed.
func (o *Observer) Schema() (*schema.Schema, error) {
	if o.data == nil {
		return nil, o.usable()
	}
	return o.block.schema(&o.messageSchema)
}

// Close unmaps the block. No call may be under way. Errors: Closed (it is closed already).
func (o *Observer) Close() error {
	if o.data == nil {
		return o.usable()
	}
	o.unmap()
	return nil
}
