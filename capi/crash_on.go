//go:build cgo && crashpoints

package main

// #cgo CFLAGS: -DDATABLOCK_CRASHPOINTS
// #include "shim.h"
import "C"

import (
	"strings"

	"datablock/internal/crash"
)

// The crash points of the C side, of the library's own ("c/commit.hint") and of inline code in a test program ("inline/commit.hint"), are counted by themselves, and with
// Go's point of that name.
//
//export dbgo_crash_point
func dbgo_crash_point(name *C.char) {
	point := C.GoString(name)
	crash.Point(point)
	if _, shared, found := strings.Cut(point, "/"); found {
		crash.Point(shared)
	}
}
