package datablock

import (
	"time"

	"datablock/internal/core"
)

// Producer writes a block. One goroutine at a time; only Interrupt and Name may come from any.
type Producer struct{ core *core.Producer }

// WriteSlot is a claimed slot: memory to fill, until Commit or Abort. It belongs to the block.
type WriteSlot core.WriteSlot

// Data is the whole slot; what is in it is whatever was there.
func (s WriteSlot) Data() []byte { return core.WriteSlot(s).Data() }

// Size is the slot's capacity in bytes.
func (s WriteSlot) Size() int { return core.WriteSlot(s).Size() }

// ID is the message id that Commit publishes.
func (s WriteSlot) ID() uint64 { return core.WriteSlot(s).ID() }

// Index is the slot's number in the block.
func (s WriteSlot) Index() uint32 { return core.WriteSlot(s).Index() }

// OpenProducer creates the block, or takes over the existing one of that name and geometry: ids continue, and consumers that are attached notice nothing. It does
// not wait. Close the producer when done; what it leaves open when its process ends, the next one takes over.
// Errors: ErrInvalid, ErrProducerActive, ErrAccess, ErrSecret, ErrCorrupt, ErrVersion, ErrGeometry, ErrSchema, ErrNoSpace, ErrNotFound (the directory, the registered schema), ErrSystem.
func OpenProducer(name string, config Config) (*Producer, error) {
	p, err := core.OpenProducer(name, core.Config(config))
	if err != nil {
		return nil, err
	}
	return &Producer{p}, nil
}

// Name is the block's name.
func (p *Producer) Name() string { return p.core.Name() }

// NextID is the id of the next message that this producer publishes. It does not wait.
func (p *Producer) NextID() uint64 { return p.core.NextID() }

// Claim opens a slot for the next message. One at a time can be open. It waits, at most for the timeout, while a LOSSLESS consumer has yet to read what would be
// overwritten; consumers that died are no hindrance. Errors: ErrInvalid (a claim is open, timeout), ErrTimeout, ErrSuperseded, ErrClosed (after Interrupt or Close), ErrCorrupt.
func (p *Producer) Claim(timeout time.Duration) (WriteSlot, error) {
	slot, err := p.core.Claim(timeout)
	return WriteSlot(slot), err
}

// Seal gives the claimed slot the checksum of its first length bytes, on a block with ChecksumManual; a Commit of that length publishes it. To be called after the
// payload is filled. It does not wait. Errors: ErrInvalid (no such claim, the length, a block without checksums).
func (p *Producer) Seal(slot WriteSlot, length int) error {
	return p.core.Seal(core.WriteSlot(slot), length)
}

// Commit publishes the first length bytes of the claimed slot and wakes waiting consumers. It never waits. Errors: ErrInvalid (the claim stays open), ErrFenced,
// ErrSuperseded (nothing was published, the claim has ended).
func (p *Producer) Commit(slot WriteSlot, length int) error {
	return p.core.Commit(core.WriteSlot(slot), length)
}

// Abort gives the claimed slot back. Nothing is published, and the next claim gets the same id. Errors: ErrInvalid.
func (p *Producer) Abort(slot WriteSlot) error { return p.core.Abort(core.WriteSlot(slot)) }

// Write publishes a copy of data as the next message, and returns its id: [Producer.Claim], a copy, [Producer.Commit]. Waits, and fails, as these do; Invalid when data exceeds the slot.
// No claim is left.
func (p *Producer) Write(data []byte, timeout time.Duration) (id uint64, err error) {
	return p.core.Write(data, timeout)
}

// WriteBatch publishes copies of several messages, in order, and returns how many: all, or those before the one that the error is about. The timeout is for the whole call. Each message is
// published by itself, so that readers see it at once. Errors: as [Producer.Write]; when one exceeds the slot nothing is written.
func (p *Producer) WriteBatch(messages [][]byte, timeout time.Duration) (int, error) {
	return p.core.WriteBatch(messages, timeout)
}

// Interrupt makes this producer's waits end with ErrClosed, the one under way within a tenth of a second, and every later one. Any goroutine, at any time.
func (p *Producer) Interrupt() { p.core.Interrupt() }

// Close marks the end of the stream, aborts an open claim and gives the block up. The block stays, with its messages, unless UnlinkOnClose was asked for. No other
// call may be under way. Errors: ErrClosed (it is closed already).
func (p *Producer) Close() error { return p.core.Close() }
