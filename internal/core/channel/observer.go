package channel

import (
	"runtime"
	"sync/atomic"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/layout"
	"datablock/internal/platform"
	"datablock/schema"
)

// Observer copies messages out of a block without being a participant. It has no row and no hazard
// pointer, never holds the producer up, and is visible to no process. It needs permission only to
// read the data file. One goroutine at a time uses an Observer.
//
// The producer may overwrite what the observer is copying. The observer checks the message before
// and after the copy, and returns nothing that changed in between.
type Observer struct {
	*segment.Segment
	lookedUp uint64         // Monotonic of the last check that the name still leads to this block
	fence    atomic.Uint64  // private; see copyOut
	between  func(step int) // tests: runs between the steps of a copy
}

// ObserverOptions is what an observer asks for. Zero means the default in every field.
type ObserverOptions struct {
	Directory  string
	Secret     []byte
	Schema     *schema.Schema // what a message has to be; nil: as Registered says, or any
	SchemaMode schema.Mode
	Registered string // as in Config
	Registry   string
}

// Observation says which message a copy is of.
type Observation struct {
	ID        uint64
	Length    uint64 // of the message, bytes; the copy ends where the buffer does
	Timestamp uint64 // CLOCK_REALTIME ns at commit, 0: the block has none
	NextID    uint64 // of the next message to come: the newest one present is the one before
	Index     uint32 // slot
}

const (
	observerTries     = 100                       // copies of the newest message, each overtaken by the producer
	observerNameCheck = 100 * 1000 * 1000         // ns
	storesInOrder     = runtime.GOARCH == "amd64" // other processors see a processor's stores in program order
)

// OpenObserver opens an existing block, with or without a producer. It does not wait. Errors:
// Invalid, NotFound, Access, Secret, Schema, Corrupt, Version, System.
func OpenObserver(name string, o ObserverOptions) (*Observer, error) {
	l, err := segment.Locate(name, o.Directory)
	if err != nil {
		return nil, err
	}
	wanted, err := segment.Registered(o.Schema, o.Registered, o.Registry)
	if err != nil {
		return nil, err
	}
	b, err := segment.OpenData(l, l.DataPath(), segment.Observe, func(b *segment.Segment) error {
		if err := b.CheckSecret(o.Secret); err != nil {
			return err
		}
		b.ResolveDataWords()
		return b.CheckSchema(&b.MessageSchemaText, wanted, o.SchemaMode)
	})
	if err != nil {
		return nil, l.Sought(err)
	}
	return &Observer{Segment: b}, nil
}

// Name returns the block's name.
func (o *Observer) Name() string { return o.BlockName() }

// SlotSize returns the largest size of a message, in bytes.
func (o *Observer) SlotSize() uint64 { return o.SlotBytes }

// ReadNewest copies the newest message that was not discarded, as far as the buffer reaches. It
// does not wait. Errors: NotFound (there is none), Overrun (the producer overtook every attempt),
// Checksum, Superseded (another block has the name), Corrupt, Closed (it is closed).
func (o *Observer) ReadNewest(into []byte) (Observation, error) {
	if err := o.usable(); err != nil {
		return Observation{}, err
	}
	var id uint64
	for range observerTries {
		next := o.Segment.End()
		v, at, ok := o.newestBefore(next)
		if !ok {
			return Observation{}, status.Errorf(status.NotFound, "block %q has no message yet", o.BlockName())
		}
		id = at
		if seen, stable, err := o.copyOut(id, v, into); stable || err != nil {
			return seen, err
		}
	}
	return Observation{}, status.Errorf(status.Overrun, "block %q: message %d and those before it were overwritten "+
		"while they were copied, %d times: the producer is faster than the copy; attach a consumer, which holds a "+
		"message in place",
		o.BlockName(), id, observerTries)
}

// Present returns the ids of the messages that are present: from oldest up to the one before next,
// except discarded ones. Both are equal if there is none. Errors: Superseded, Corrupt, Closed.
func (o *Observer) Present() (oldest, next uint64, err error) {
	if err := o.usable(); err != nil {
		return 0, 0, err
	}
	next = o.Segment.End()
	return o.OldestFrom(0, next), next, nil
}

// ReadAt copies message id, as far as the buffer reaches. It does not wait. Errors: NotFound (not
// written yet), Overrun (overwritten) and Lost (discarded), perhaps during the copy; and as
// ReadNewest.
func (o *Observer) ReadAt(id uint64, into []byte) (Observation, error) {
	if err := o.usable(); err != nil {
		return Observation{}, err
	}
	next := o.Segment.End()
	v := o.Entry(id).Load()
	switch {
	case id >= next || layout.EntryEmpty(v):
		return Observation{}, o.notYet(id, next)
	case id < o.OldestPossible(next):
		return Observation{}, o.overwritten(id)
	case layout.EntryAhead(v, id) < 0: // as Consumer.lookAt
		return Observation{}, o.notYet(id, next)
	case layout.EntryAhead(v, id) > 0 || o.IsReclaimed(v):
		return Observation{}, o.overwritten(id)
	case v&layout.EntryLost != 0:
		return Observation{}, o.discarded(id)
	}
	seen, stable, err := o.copyOut(id, v, into)
	if err == nil && !stable {
		err = o.overwritten(id)
		if now := o.Entry(id).Load(); now&layout.EntryLost != 0 && (now^v)&^segment.EntryMarks == 0 {
			err = o.discarded(id) // during the copy
		}
	}
	return seen, err
}

func (o *Observer) notYet(id, next uint64) error {
	return status.Errorf(status.NotFound, "block %q: message %d is not written yet, the next one is %d", o.BlockName(),
		id, min(id, next))
}

func (o *Observer) discarded(id uint64) error {
	return status.Errorf(status.Lost, "block %q: message %d was discarded by an operator", o.BlockName(), id)
}

func (o *Observer) overwritten(id uint64) error {
	return status.Errorf(status.Overrun, "block %q: message %d was overwritten, the oldest present is %d",
		o.BlockName(), id,
		o.OldestPresent())
}

// newestBefore finds the newest entry that is not LOST.
func (o *Observer) newestBefore(next uint64) (v, id uint64, ok bool) {
	for id = next; id > o.OldestPossible(next); {
		id--
		v = o.Entry(id).Load()
		if !layout.EntryEmpty(v) && layout.EntryID(v, id) >= id && v&layout.EntryLost == 0 &&
			!o.IsReclaimed(v) {
			return v, layout.EntryID(v, id), true
		}
	}
	return 0, 0, false
}

// copyOut is a seqlock read: it copies the message that entry value v names. Not stable: the slot
// may have been used again meanwhile, and the copy means nothing.
//
// A slot is used again only after another message has taken its place in the ring, or after the
// message was reclaimed. Then its claim mark changes before its payload does. Therefore copyOut
// loads the mark first, then the entry: if the entry is unchanged, the mark belongs to the message.
// After the copy, the mark alone decides where other processors see stores in order, and a message
// may leave the ring during the copy. Elsewhere the entry has to be unchanged too. (Non-temporal
// stores of a program that fills its slot become visible late, not early: they come after the mark,
// too.) The read-modify-write in between is a barrier: no load of the copy comes after the loads of
// the last check.
func (o *Observer) copyOut(id, v uint64, into []byte) (seen Observation, stable bool, err error) {
	slot := layout.EntrySlot(v)
	if slot >= o.Slots() {
		return seen, false, status.Errorf(status.Corrupt, "block %q: the ring says that message %d is in slot %d, and "+
			"the last one is %d: the data file is damaged; %s", o.BlockName(), id, slot, o.Slots()-1,
			segment.AdviseValidate(o.BlockName()))
	}
	o.step(0)
	at := o.SlotHeader(slot)
	stands := func() bool { return o.Entry(id).Load()&^layout.EntryFence == v&^layout.EntryFence }
	mark := o.Data.U64(at + layout.SlotClaim).Load()
	if !stands() {
		return seen, false, nil
	}
	seen = Observation{
		ID: o.Data.U64(at + layout.SlotID).Load(), Length: o.Data.U64(at + layout.SlotLength).Load(),
		Timestamp: o.Data.U64(at + layout.SlotTimestamp).Load(), Index: slot,
	}
	good := seen.ID == id && seen.Length <= o.SlotBytes
	var sum segment.SlotSum
	o.step(1)
	if good {
		p := o.Payload(slot)
		copy(into, o.Data[p:p+seen.Length])
		copy(sum[:], o.SlotChecksum(slot))
	}
	o.step(2)
	o.fence.Add(1)
	if o.Data.U64(at+layout.SlotClaim).Load() != mark || !(storesInOrder && good) && !stands() {
		return Observation{}, false, nil
	}
	if !good {
		return Observation{}, false, status.Errorf(status.Corrupt, "block %q: the header of slot %d says message %d "+
			"with %d bytes, the ring says message %d: the data file is damaged; %s", o.BlockName(), slot, seen.ID,
			seen.Length, id,
			segment.AdviseValidate(o.BlockName()))
	}
	if o.Checksum == segment.ChecksumEnforced && seen.Length <= uint64(len(into)) &&
		o.SumOf(id, into[:seen.Length]) != sum {
		return Observation{}, false, status.Errorf(status.Checksum, "block %q: the %d bytes of message %d do not "+
			"match their checksum: they were changed after the commit, discard them", o.BlockName(), seen.Length, id)
	}
	seen.NextID = o.Segment.End()
	return seen, true, nil
}

func (o *Observer) step(n int) {
	if o.between != nil {
		o.between(n)
	}
}

// usable returns the reason why nothing can be read, nil if something can.
func (o *Observer) usable() error {
	if o.Data == nil {
		return status.Errorf(status.Closed, "block %q: this observer is closed already", o.BlockName())
	}
	now := platform.Monotonic()
	if now-o.lookedUp < observerNameCheck {
		return nil
	}
	if o.Segment.LostName() {
		return status.Errorf(status.Superseded, "block %q was replaced or removed: open it again", o.BlockName())
	}
	o.lookedUp = now // only while the name leads here: a lost name stays lost
	return o.DataTruncated()
}

// Schema returns the schema of the block's messages. nil: the producer specified none. Errors:
// Corrupt, Closed.
func (o *Observer) Schema() (*schema.Schema, error) {
	if o.Data == nil {
		return nil, o.usable()
	}
	return o.Segment.ParseSchema(&o.MessageSchemaText)
}

// Close unmaps the block. No other call may be running. Errors: Closed (it is closed already).
func (o *Observer) Close() error {
	if o.Data == nil {
		return o.usable()
	}
	o.Unmap()
	return nil
}
