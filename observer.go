package datablock

import (
	"datablock/internal/core/channel"
	"datablock/schema"
)

// Observer copies messages out of a block without being a participant. It has no row and applies no
// backpressure, and no participant sees it. The only permission that it needs is to read the data
// file. It reads when a method is called, and never waits. Only one goroutine at a time may use an
// observer.
type Observer struct{ core *channel.Observer }

// ObserverOptions are the settings of an observer; zero means the default in every field.
type ObserverOptions struct {
	Directory string // as in Config
	Secret    []byte // as in Config
	// Schema is what the observer expects of the messages (ErrSchema: they differ). nil: anything.
	Schema     *Schema
	SchemaMode SchemaMode // default SchemaCompatible
	Registered string     // as in Config
	Registry   string     // as in Config
}

func (o *ObserverOptions) inner() channel.ObserverOptions {
	return channel.ObserverOptions{
		Directory: o.Directory, Secret: o.Secret, Schema: o.Schema, SchemaMode: schema.Mode(o.SchemaMode),
		Registered: o.Registered, Registry: o.Registry,
	}
}

// Observation describes the message of a copy.
type Observation struct {
	ID        uint64
	Length    uint64 // of the message in bytes, also when into had room for less
	Timestamp uint64 // time of the commit in ns since 1970; 0: the block stores no time
	NextID    uint64 // of the next message to come: the newest one present is the one before
	Index     uint32 // the slot's number in the block
}

// OpenObserver opens an existing block, with or without a producer. It does not wait. Errors:
// ErrInvalid, ErrNotFound, ErrAccess, ErrSecret, ErrSchema, ErrCorrupt, ErrVersion, ErrSystem.
func OpenObserver(name string, options ObserverOptions) (*Observer, error) {
	o, err := channel.OpenObserver(name, options.inner())
	if err != nil {
		return nil, public(err)
	}
	return &Observer{o}, nil
}

// Name is the block's name.
func (o *Observer) Name() string { return o.core.Name() }

// Schema returns the schema of the block's messages; nil: the producer declared none. Errors:
// ErrCorrupt, ErrClosed.
func (o *Observer) Schema() (*Schema, error) {
	s, err := o.core.Schema()
	return s, public(err)
}

// ReadNewest copies the newest message that was not discarded, as far as into has room. It is a
// seqlock read: the copy counts only if the message is unchanged before and after. The contents of
// into may change whatever the result is. With ChecksumEnforced the checksum of a whole copy is
// compared as well.
//
// Errors: ErrNotFound (there is no message yet), ErrOverrun (the producer was faster at every
// attempt), ErrChecksum, ErrSuperseded (open again), ErrCorrupt, ErrClosed.
func (o *Observer) ReadNewest(into []byte) (Observation, error) {
	found, err := o.core.ReadNewest(into)
	return Observation(found), public(err)
}

// ReadAt is ReadNewest for message id. Errors: also ErrNotFound (not written yet), ErrOverrun
// (overwritten, perhaps during the copy), ErrLost.
func (o *Observer) ReadAt(id uint64, into []byte) (Observation, error) {
	found, err := o.core.ReadAt(id, into)
	return Observation(found), public(err)
}

// Present returns which messages are present: those from oldest to the one before next, except the
// discarded ones. If there is none, oldest equals next. The producer may overwrite oldest at any
// time. Errors: ErrSuperseded (open again), ErrCorrupt, ErrClosed.
func (o *Observer) Present() (oldest, next uint64, err error) {
	oldest, next, err = o.core.Present()
	return oldest, next, public(err)
}

// Close releases the block. Errors: ErrClosed (already closed).
func (o *Observer) Close() error { return public(o.core.Close()) }
