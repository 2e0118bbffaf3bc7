//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"datablock/internal/core/status"
)

// resultOf returns the status of an export for err. The text of err becomes the calling thread's
// detail.
func resultOf(err error, detail *C.char) C.int {
	if err == nil {
		return C.DATABLOCK_OK
	}
	setDetail(detail, err.Error())
	if e, ok := err.(*status.Error); ok { // nearly always, and a poller gets one at every call
		return C.int(e.Code)
	}
	return C.int(status.CodeOf(err))
}

// A fault is the panic of a load or store that the kernel refused: a file of the block was
// truncated while it was mapped.
type fault interface {
	runtime.Error
	Addr() uintptr
}

// enablePanicOnFault makes a fault in this call a panic. Without it the runtime would end the
// process.
func enablePanicOnFault() { debug.SetPanicOnFault(true) }

// asError turns the result of recover into an error: Corrupt for a fault, Panic for everything
// else.
func asError(recovered any) *status.Error {
	err, _ := recovered.(error)
	var f fault
	if errors.As(err, &f) {
		return &status.Error{Code: status.Corrupt, Cause: err, Detail: fmt.Sprintf(
			"one of the block's files was truncated while in use (nothing is at 0x%x any more): close, remove the "+
				"file by hand, and open again", f.Addr())}
	}
	return &status.Error{Code: status.Panic, Detail: fmt.Sprintf("internal error: %v (%s)", recovered, panicSite())}
}

// panicSite returns the place of the panic that is being recovered.
func panicSite() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	for panicking := false; ; {
		frame, more := frames.Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if panicking && !inRuntime {
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return "unknown place"
		}
	}
}

// recoverToStatus is deferred by every export. C poisons the handle of a call that panicked. The
// cause of a fault is outside of the library, so that its handle is treated as if C had met the
// fault.
func recoverToStatus(result *C.int, detail *C.char) {
	if r := recover(); r != nil {
		err := asError(r)
		if err.Code == status.Corrupt {
			C.dbshim_damage_current()
		}
		*result = resultOf(err, detail)
	}
}
