package datablock

import (
	"unsafe"

	"datablock/internal/core"
)

// sameError returns the same error under its public type. A new error would be an allocation at
// each poll that finds nothing. Only the name of the type of Code differs between both types;
// TestTheErrorsAreTheSameBytes compares them.
func sameError(e *core.Error) *Error { return (*Error)(unsafe.Pointer(e)) }

// coreError is the inverse of sameError.
func coreError(e *Error) *core.Error { return (*core.Error)(unsafe.Pointer(e)) }
