//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"runtime"
	"sync/atomic"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
)

// A participant is the object behind a handle on this side. C ensures that at most one thread is in
// a call on it, and that no thread is in a call when it is closed.
type participant struct {
	producer *channel.Producer
	consumer *channel.Consumer
	observer *channel.Observer
	pinned   runtime.Pinner // what C has the address of
	batch    []channel.ReadSlot
	sleep    segment.Sleep // of the call that a thread is in, between its steps
}

// participants has one element for each of C's handles.
var participants [1 << 16]atomic.Pointer[participant]

func (at *participant) publish(index C.uint32_t) { participants[index].Store(at) }

func at(index C.uint32_t) *participant { return participants[index].Load() }

func vacate(index C.uint32_t) { participants[index].Swap(nil).pinned.Unpin() }
