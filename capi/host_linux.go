//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"time"

	"datablock/internal/platform"
)

// forkGuard keeps the list of lock descriptors where the handler of a forked child finds it: in C.
type forkGuard struct{}

func (forkGuard) Begin()         { C.dbshim_fork_begin() }
func (forkGuard) Opened(fd int)  { C.dbshim_fork_opened(C.int(fd)) }
func (forkGuard) Closing(fd int) { C.dbshim_fork_closing(C.int(fd)) }
func (forkGuard) End()           { C.dbshim_fork_end() }

func init() {
	platform.SetForkGuard(forkGuard{})
	// A thread of the host sleeps with its own stack and its own signals.
	platform.SetNap(func(d time.Duration) { C.dbshim_nap(C.uint64_t(max(d, 0))) })
}
