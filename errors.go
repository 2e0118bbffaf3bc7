package datablock

import (
	"errors"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"
)

// Code is a status. It is an error itself, for errors.Is. Its number is the same in every language.
type Code int32

// The statuses. ErrTimeout, ErrNoProducer, ErrClosed and ErrSuperseded are part of normal
// operation. docs/errors.md says what to do for each status.
const (
	// ErrTimeout: the time ran out. There is no new message, or no room for one.
	ErrTimeout Code = Code(status.Timeout)
	// ErrInvalid: an argument, a setting or the order of calls is wrong.
	ErrInvalid Code = Code(status.Invalid)
	// ErrNotFound: there is no such block or directory, or the message is not written yet.
	ErrNotFound Code = Code(status.NotFound)
	// ErrExists: a file of this name exists already.
	ErrExists Code = Code(status.Exists)
	// ErrProducerActive: another producer writes the block.
	ErrProducerActive Code = Code(status.ProducerActive)
	// ErrAccess: the system refuses access to a file or directory.
	ErrAccess Code = Code(status.Access)
	// ErrSecret: the block was made with another secret.
	ErrSecret Code = Code(status.Secret)
	// ErrCorrupt: this is not a block, or one of its two files is damaged or missing.
	ErrCorrupt Code = Code(status.Corrupt)
	// ErrVersion: the block was made by an incompatible library.
	ErrVersion Code = Code(status.Version)
	// ErrGeometry: the block exists with other settings.
	ErrGeometry Code = Code(status.Geometry)
	// ErrSchema: the two sides describe the message differently.
	ErrSchema Code = Code(status.Schema)
	// ErrNoSpace: the file system has no space for the block.
	ErrNoSpace Code = Code(status.NoSpace)
	// ErrFull: the block's consumer limit is reached.
	ErrFull Code = Code(status.Full)
	// ErrBusy: all holds, the durable name, or the block are in use.
	ErrBusy Code = Code(status.Busy)
	// ErrClosed: the stream has ended and everything was read; or this side was closed or
	// interrupted.
	ErrClosed Code = Code(status.Closed)
	// ErrSuperseded: the block was replaced, or removed by force. Open it again.
	ErrSuperseded Code = Code(status.Superseded)
	// ErrFenced: a forced recovery took the claim or the row. Nothing was published.
	ErrFenced Code = Code(status.Fenced)
	// ErrOverrun: the message was overwritten.
	ErrOverrun Code = Code(status.Overrun)
	// ErrLost: an operator discarded the message.
	ErrLost Code = Code(status.Lost)
	// ErrNoProducer: the time ran out, and no process has the block open for writing.
	ErrNoProducer Code = Code(status.NoProducer)
	// ErrNoSpare: the MaxPins of all consumers would leave the producer no slot.
	ErrNoSpare Code = Code(status.NoSpare)
	// ErrChecksum: the payload is not what was written.
	ErrChecksum Code = Code(status.Checksum)
	// ErrSystem: another failure of the operating system.
	ErrSystem Code = Code(status.System)
)

// Error returns the meaning of the status.
func (c Code) Error() string { return status.Code(c).Error() }

// Error is the type of all errors of this package. errors.Is finds the status and the cause.
type Error struct {
	Code   Code
	Detail string // exactly what was wrong, with the values, and what to do
	Cause  error  // nil if there is no other error behind this one
}

// Error returns Detail.
func (e *Error) Error() string { return e.Detail }

// Is finds the status. It allocates nothing: a polling caller checks the error after each poll.
func (e *Error) Is(target error) bool { return target == error(e.Code) }

// Unwrap lets errors.Is and errors.As find the status and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Code}
	}
	return []error{e.Code, public(e.Cause)}
}

// CodeOf returns the status of an error, for a switch: 0 for nil, ErrSystem for an error of another
// package.
func CodeOf(err error) Code {
	switch e := err.(type) { // nearly all errors are one of these
	case nil:
		return 0
	case *Error:
		return e.Code
	case Code:
		return e
	}
	var code Code
	if errors.As(err, &code) {
		return code
	}
	return ErrSystem
}

// public returns an error of core as an error of this package, and every other error unchanged. It
// is small enough to be inlined, and published stays out of line: a call that succeeds pays one
// comparison.
func public(err error) error {
	if err == nil {
		return nil
	}
	return published(err)
}

// translation gives the errors of participants their public type. public is not needed for Claim,
// Commit, Next, and the beginning and end of guards.
var translation = segment.Translation{To: published, From: unpublished}

func unpublished(err error) error {
	if e, ok := err.(*Error); ok {
		return coreError(e)
	}
	return err
}

//go:noinline
func published(err error) error {
	switch e := err.(type) {
	case *status.Error:
		return sameError(e)
	case status.Code:
		return Code(e)
	}
	return err
}
