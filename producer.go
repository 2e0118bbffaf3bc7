package datablock

import (
	"time"

	"datablock/internal/core/channel"
)

// Producer writes a block. Only one goroutine at a time may use a producer; only Interrupt and Name
// may be called from any goroutine.
type Producer struct{ core *channel.Producer }

// WriteSlot is a claimed slot: memory to fill, until Commit or Abort. The block owns the memory.
type WriteSlot channel.WriteSlot

// Data is the whole slot. The contents are undefined until the program fills them.
func (s WriteSlot) Data() []byte { return channel.WriteSlot(s).Data() }

// Size is the slot's capacity in bytes.
func (s WriteSlot) Size() int { return channel.WriteSlot(s).Size() }

// ID is the message id that Commit publishes.
func (s WriteSlot) ID() uint64 { return channel.WriteSlot(s).ID() }

// Index is the slot's number in the block.
func (s WriteSlot) Index() uint32 { return channel.WriteSlot(s).Index() }

// OpenProducer creates the block, or takes over the existing block of the same name and geometry.
// After a takeover ids continue, and attached consumers notice nothing. OpenProducer does not wait.
// Close the producer when done. If the process ends without Close, the next producer takes over the
// block.
//
// Errors: ErrInvalid, ErrProducerActive, ErrAccess, ErrSecret, ErrCorrupt, ErrVersion, ErrGeometry,
// ErrSchema, ErrNoSpace, ErrNotFound (the directory, the registered schema), ErrSystem.
func OpenProducer(name string, config Config) (*Producer, error) {
	p, err := channel.OpenProducer(name, config.inner())
	if err != nil {
		return nil, public(err)
	}
	p.TranslateErrors(&translation)
	return &Producer{p}, nil
}

// Name is the block's name.
func (p *Producer) Name() string { return p.core.Name() }

// NextID returns the id of the next message that this producer publishes. It does not wait.
func (p *Producer) NextID() uint64 { return p.core.NextID() }

// Claim claims a slot for the next message. Only one claim can be open at a time. Under
// backpressure Claim waits, at most for the timeout: a LOSSLESS consumer has not read the message
// that would be overwritten, or fewer than MinConsumers are attached. Dead consumers apply no
// backpressure.
//
// Errors: ErrInvalid (a claim is open, timeout), ErrTimeout, ErrSuperseded, ErrClosed (after
// Interrupt or Close), ErrCorrupt.
func (p *Producer) Claim(timeout time.Duration) (WriteSlot, error) {
	slot, err := p.core.Claim(timeout)
	return WriteSlot(slot), err
}

// Seal stores the checksum of the first length bytes of the claimed slot, on a block with
// ChecksumManual. A Commit of the same length publishes the checksum. Call Seal after the payload
// is filled. It does not wait.
//
// Errors: ErrInvalid (no such claim, the length, a block without checksums).
func (p *Producer) Seal(slot WriteSlot, length int) error {
	return public(p.core.Seal(channel.WriteSlot(slot), length))
}

// Commit publishes the first length bytes of the claimed slot and wakes waiting consumers. It never
// waits. Errors: ErrInvalid (no such claim; or a length that exceeds the slot or is shorter than
// the struct of the block's schema: the claim stays open); ErrFenced, ErrSuperseded (nothing was
// published, the claim has ended).
func (p *Producer) Commit(slot WriteSlot, length int) error {
	return p.core.Commit(channel.WriteSlot(slot), length)
}

// Abort gives the claimed slot back. Nothing is published, and the next claim gets the same id.
// Errors: ErrInvalid.
func (p *Producer) Abort(slot WriteSlot) error { return public(p.core.Abort(channel.WriteSlot(slot))) }

// Write publishes a copy of data as the next message and returns the id of the message:
// [Producer.Claim], a copy, [Producer.Commit]. It waits and fails as these do. When
// data exceeds the slot or is shorter than the struct of the block's schema, it fails with
// ErrInvalid and does not wait. No claim stays open.
func (p *Producer) Write(data []byte, timeout time.Duration) (id uint64, err error) {
	id, err = p.core.Write(data, timeout)
	return id, public(err)
}

// WriteBatch publishes copies of several messages, in order, and returns how many were published:
// all, or the messages before the one that caused the error. The timeout is for the whole call.
// Each message is published separately, so that consumers can read it at once.
//
// Errors: as [Producer.Write]. When one message exceeds the slot or is shorter than the struct of
// the block's schema, nothing is written (ErrInvalid).
func (p *Producer) WriteBatch(messages [][]byte, timeout time.Duration) (int, error) {
	n, err := p.core.WriteBatch(messages, timeout)
	return n, public(err)
}

// Interrupt makes the waits of this producer end with ErrClosed: the current wait within a tenth of
// a second, and every later one. Any goroutine may call Interrupt at any time.
func (p *Producer) Interrupt() { p.core.Interrupt() }

// Close marks the end of the stream, aborts an open claim and releases the block. The block stays,
// with its messages, unless UnlinkOnClose was set. No other call may be in progress. Errors:
// ErrClosed (already closed).
func (p *Producer) Close() error { return public(p.core.Close()) }
