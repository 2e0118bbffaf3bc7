//go:build cgo && crashpoints

package main

// #cgo CFLAGS: -DDATABLOCK_CRASHPOINTS
// #include "shim.h"
import "C"

import (
	"strings"

	"datablock/internal/crash"
)

// dbgo_crash_point counts the crash points of the C side: of the library ("c/commit.hint") and of
// inline code in a test program ("inline/commit.hint"). Each point is counted separately, and also
// together with Go's point of the same name.
//
//export dbgo_crash_point
func dbgo_crash_point(name *C.char) {
	point := C.GoString(name)
	crash.Point(point)
	if _, shared, found := strings.Cut(point, "/"); found {
		crash.Point(shared)
	}
}
