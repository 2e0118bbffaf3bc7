package datablock

import "datablock/internal/core"

// Error is the type of all errors of this package. It has a status and a text that says exactly
// what was wrong and what to do. errors.Is finds the status and the cause.
type Error = core.Error

// Code is a status. It is an error itself, for errors.Is. Its number is the same in every language.
type Code = core.Code

// The statuses. ErrTimeout, ErrNoProducer, ErrClosed and ErrSuperseded are part of normal
// operation. docs/errors.md says what to do for each status.
const (
	ErrTimeout        = core.Timeout        // the time ran out: no new message, or no room for one
	ErrInvalid        = core.Invalid        // an argument, a setting or the order of calls is wrong
	ErrNotFound       = core.NotFound       // no such block or directory, or the message is not written yet
	ErrExists         = core.Exists         // a file of this name exists already
	ErrProducerActive = core.ProducerActive // another producer writes the block
	ErrAccess         = core.Access         // the system refuses access to a file or directory
	ErrSecret         = core.Secret         // the block was made with another secret
	ErrCorrupt        = core.Corrupt        // not a block, or one of its two files is damaged or missing
	ErrVersion        = core.Version        // the block was made by an incompatible library
	ErrGeometry       = core.Geometry       // the block exists with other settings
	ErrSchema         = core.Schema         // the two sides describe the message differently
	ErrNoSpace        = core.NoSpace        // the file system has no space for the block
	ErrFull           = core.Full           // the block's consumer limit is reached
	ErrBusy           = core.Busy           // in use: all holds, the durable name, or the block
	ErrClosed         = core.Closed         // end of the stream and everything was read; or closed or interrupted here
	ErrSuperseded     = core.Superseded     // replaced, or removed by force: open again
	ErrFenced         = core.Fenced         // a forced recovery took the claim or the row; nothing was published
	ErrOverrun        = core.Overrun        // the message was overwritten
	ErrLost           = core.Lost           // an operator discarded the message
	ErrNoProducer     = core.NoProducer     // the time ran out, and no process has the block open for writing
	ErrNoSpare        = core.NoSpare        // all consumers' MaxPins would leave the producer no slot
	ErrChecksum       = core.Checksum       // the payload is not what was written
	ErrSystem         = core.System         // another failure of the operating system
)

// CodeOf returns the status of an error, for a switch: 0 for nil, ErrSystem for an error of another
// package.
func CodeOf(err error) Code { return core.CodeOf(err) }
