package datablock

import (
	"unsafe"

	"datablock/internal/core/status"
)

// sameError returns the same error under its public type. A new error would be an allocation at
// each poll that finds nothing. Only the name of the type of Code differs between both types;
// TestTheErrorsAreTheSameBytes compares them.
func sameError(e *status.Error) *Error { return (*Error)(unsafe.Pointer(e)) }

// coreError is the inverse of sameError.
func coreError(e *Error) *status.Error { return (*status.Error)(unsafe.Pointer(e)) }
