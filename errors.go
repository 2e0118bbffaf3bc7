package datablock

import "datablock/internal/core"

// Error is the type of all errors of this package: a status, and in words what exactly was wrong and what to do. errors.Is finds the status and the cause.
type Error = core.Error

// Code is a status. It is an error by itself, for errors.Is, and the same number in every language.
type Code = core.Code

// The statuses. Normal flow are ErrTimeout, ErrNoProducer, ErrClosed and ErrSuperseded; docs/errors.md says of each what to do.
const (
	ErrTimeout        = core.Timeout        // the time ran out: no new message, or no room for one
	ErrInvalid        = core.Invalid        // an argument, a setting or the order of calls is wrong
	ErrNotFound       = core.NotFound       // no block of that name, no such directory, or the message is not written yet
	ErrExists         = core.Exists         // a file of that name is there already
	ErrProducerActive = core.ProducerActive // another producer writes the block
	ErrAccess         = core.Access         // the system refuses access to a file or directory
	ErrSecret         = core.Secret         // the block was made with another secret
	ErrCorrupt        = core.Corrupt        // not a block, or one of its two files is damaged or missing
	ErrVersion        = core.Version        // the block was made by an incompatible library
	ErrGeometry       = core.Geometry       // the block exists with other settings
	ErrSchema         = core.Schema         // the two sides describe the message differently
	ErrNoSpace        = core.NoSpace        // no room for the block where it is to be
	ErrFull           = core.Full           // as many consumers are attached as the block allows
	ErrBusy           = core.Busy           // what is asked for is in use: the holds, the durable name, the block
	ErrClosed         = core.Closed         // the end of the stream, everything was read; or closed, or interrupted, on this side
	ErrSuperseded     = core.Superseded     // another block has the name now, or the block was removed by force: open again
	ErrFenced         = core.Fenced         // a forced recovery took the claim or the consumer's place; nothing was published
	ErrOverrun        = core.Overrun        // the message was overwritten
	ErrLost           = core.Lost           // an operator discarded the message
	ErrNoProducer     = core.NoProducer     // the time ran out and nobody has the block open for writing
	ErrNoSpare        = core.NoSpare        // the consumers together could hold so many slots that the producer had none left
	ErrChecksum       = core.Checksum       // the payload is not what was written
	ErrSystem         = core.System         // the operating system failed otherwise
)

// CodeOf is the status of an error, for a switch: 0 for nil, ErrSystem for an error that is not of this package.
func CodeOf(err error) Code { return core.CodeOf(err) }
