//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"sync/atomic"
	"time"
	"unsafe" // the word is in a mapping, and the bytes are C's for the call

	"datablock/internal/platform"
)

func init() {
	platform.SetHeldWaiter(func(word *atomic.Uint32, value uint32, timeout time.Duration, descriptor int, bytes []int64) {
		C.dbshim_wait_held((*C.uint32_t)(unsafe.Pointer(word)), C.uint32_t(value), C.uint64_t(max(timeout, 0)), C.int(descriptor),
			(*C.int64_t)(unsafe.Pointer(unsafe.SliceData(bytes))), C.size_t(len(bytes)))
	})
}
