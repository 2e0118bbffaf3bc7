package datablock

import (
	"datablock/internal/core"
)

// Observer copies messages out of a block without being a participant. It has no row and applies no
// backpressure, and no participant sees it. The only permission that it needs is to read the data
// file. It reads when a method is called, and never waits. Only one goroutine at a time may use an
// observer.
type Observer struct{ core *core.Observer }

// ObserverOptions are the settings of an observer; zero means the default in every field.
type ObserverOptions = core.ObserverOptions

// Observation describes the message of a copy. Length is the length of the message, also when into
// had room for less.
type Observation = core.Observation

// OpenObserver opens an existing block, with or without a producer. It does not wait. Errors:
// ErrInvalid, ErrNotFound, ErrAccess, ErrSecret, ErrSchema, ErrCorrupt, ErrVersion, ErrSystem.
func OpenObserver(name string, options ObserverOptions) (*Observer, error) {
	o, err := core.OpenObserver(name, options)
	if err != nil {
		return nil, err
	}
	return &Observer{o}, nil
}

// Name is the block's name.
func (o *Observer) Name() string { return o.core.Name() }

// Schema returns the schema of the block's messages; nil: the producer declared none. Errors:
// ErrCorrupt, ErrClosed.
func (o *Observer) Schema() (*Schema, error) { return o.core.Schema() }

// ReadNewest copies the newest message that was not discarded, as far as into has room. It is a
// seqlock read: the copy counts only if the message is unchanged before and after. The contents of
// into may change whatever the result is. With ChecksumEnforced the checksum of a whole copy is
// compared as well.
//
// Errors: ErrNotFound (there is no message yet), ErrOverrun (the producer was faster at every
// attempt), ErrChecksum, ErrSuperseded (open again), ErrCorrupt, ErrClosed.
func (o *Observer) ReadNewest(into []byte) (Observation, error) { return o.core.ReadNewest(into) }

// ReadAt is ReadNewest for message id. Errors: also ErrNotFound (not written yet), ErrOverrun
// (overwritten, perhaps during the copy), ErrLost.
func (o *Observer) ReadAt(id uint64, into []byte) (Observation, error) {
	return o.core.ReadAt(id, into)
}

// Close releases the block. Errors: ErrClosed (already closed).
func (o *Observer) Close() error { return o.core.Close() }
