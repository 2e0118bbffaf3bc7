//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"runtime"
	"sync/atomic"

	"datablock/internal/core"
)

// A participant is what a handle leads to on this side. C sees to it that one thread at a time is in a call on it, and that nobody is when it is closed.
type participant struct {
	producer *core.Producer
	consumer *core.Consumer
	observer *core.Observer
	pinned   runtime.Pinner // what C has the address of
	batch    []core.ReadSlot
	sleep    core.Sleep // of the call that a thread is in, between its steps
}

// participants has a place for each of C's.
var participants [1 << 16]atomic.Pointer[participant]

func (at *participant) publish(index C.uint32_t) { participants[index].Store(at) }

func at(index C.uint32_t) *participant { return participants[index].Load() }

func vacate(index C.uint32_t) { participants[index].Swap(nil).pinned.Unpin() }
