// Package status has the statuses, and the errors that carry them.
package status

import (
	"errors"
	"fmt"
)

// Code is a status as include/datablock.h lists it. The values are the same.
type Code int32

// The statuses of DATABLOCK_STATUS_LIST, in its order.
const (
	OK Code = iota
	Timeout
	Invalid
	NotFound
	Exists
	ProducerActive
	Access
	Secret
	Corrupt
	Version
	Geometry
	Schema
	NoSpace
	Full
	Busy
	Closed
	Superseded
	Fenced
	Overrun
	Lost
	NoProducer
	NoSpare
	Checksum
	Forked
	Handle
	System
	Panic
)

// codeTexts are for Go programs. The C side has its own texts from the header, and a test compares
// the two.
var codeTexts = [...]string{
	"success", "timed out", "invalid argument or call out of order", "no such block, message or directory",
	"already exists",
	"the block has a living producer", "permission denied", "the shared secret differs",
	"not a valid block, or damaged",
	"unsupported format version", "the block has another geometry", "the schema differs",
	"not enough space in the block directory",
	"the consumer limit is reached", "in use", "closed", "the block was replaced or removed: attach again",
	"fenced by a forced recovery",
	"the message was overwritten", "the message was discarded by an operator", "nothing to read and no producer",
	"not enough spare slots for another pin", "checksum mismatch", "not usable in a forked child",
	"stale, closed or null handle",
	"operating system error", "internal error; the handle is poisoned",
}

// Error makes a Code an error by itself, so that errors.Is(err, status.Timeout) reads well.
func (c Code) Error() string {
	if c < 0 || int(c) >= len(codeTexts) {
		return "unknown status"
	}
	return codeTexts[c]
}

// Error is a status with what exactly was wrong and what to do. errors.Is finds both its Code and
// its cause.
type Error struct {
	Code   Code
	Detail string
	Cause  error
}

func (e *Error) Error() string { return e.Detail }

// Is finds the code without the list that Unwrap has to make: a polling caller checks the error
// after each poll.
func (e *Error) Is(target error) bool { return target == error(e.Code) }

// Unwrap lets errors.Is and errors.As see the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Cause}
}

func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// CodeOf returns the status of any error of this package: OK for nil, System for an error of
// another package.
func CodeOf(err error) Code {
	switch e := err.(type) { // nearly all errors are one of these; a polling caller checks after each poll
	case nil:
		return OK
	case *Error:
		return e.Code
	case Code:
		return e
	}
	var code Code
	if errors.As(err, &code) {
		return code
	}
	return System
}
