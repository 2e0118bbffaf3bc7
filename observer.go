package datablock

import (
	"datablock/internal/core"
)

// Observer copies messages out of a block and is no part of it: it has no place in the stream, holds nobody up, is seen by nobody, and needs no permission but to read the data file. It looks when it is asked, and
// never waits. One goroutine at a time.
type Observer struct{ core *core.Observer }

// ObserverOptions is what an observer asks for; zero means the default in every field.
type ObserverOptions = core.ObserverOptions

// Observation says of what message a copy is. Length is the message's, also when there was room for less.
type Observation = core.Observation

// OpenObserver opens an existing block, with or without a producer. It does not wait. Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrSecret, ErrSchema, ErrCorrupt, ErrVersion, ErrSystem.
func OpenObserver(name string, options ObserverOptions) (*Observer, error) {
	o, err := core.OpenObserver(name, options)
	if err != nil {
		return nil, err
	}
	return &Observer{o}, nil
}

// Name is the block's name.
func (o *Observer) Name() string { return o.core.Name() }

// Schema is what the block's messages are; nil: its producer said nothing. Errors: ErrCorrupt, ErrClosed.
func (o *Observer) Schema() (*Schema, error) { return o.core.Schema() }

// ReadNewest copies the newest message that nobody discarded, as far as there is room. It looks before and after the copy, and hands out only what stood all the time; into may have been written to whatever happens.
// With ChecksumEnforced a whole copy is compared, too. Errors: ErrNotFound (there is none yet), ErrOverrun (the producer was faster at every attempt), ErrChecksum, ErrSuperseded (open again), ErrCorrupt, ErrClosed.
func (o *Observer) ReadNewest(into []byte) (Observation, error) { return o.core.ReadNewest(into) }

// ReadAt is ReadNewest for message id. Errors: also ErrNotFound (not written yet), ErrOverrun (overwritten, perhaps while it was copied), ErrLost.
func (o *Observer) ReadAt(id uint64, into []byte) (Observation, error) {
	return o.core.ReadAt(id, into)
}

// Close lets go of the block. Errors: ErrClosed (it is closed already).
func (o *Observer) Close() error { return o.core.Close() }
