package datablock

import (
	"unsafe"

	"datablock/internal/core/channel"
)

// plain returns the same slice as a slice of core's type. Both types have the same fields, and the
// conversion of the pointer checks this.
func plain(slots []ReadSlot) []channel.ReadSlot {
	return unsafe.Slice((*channel.ReadSlot)(unsafe.SliceData(slots)), len(slots))
}
