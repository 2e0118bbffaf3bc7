package datablock

import (
	"unsafe"

	"datablock/internal/core"
)

// plain returns the same slice as a slice of core's type. Both types have the same fields, and the
// conversion of the pointer checks this.
func plain(slots []ReadSlot) []core.ReadSlot {
	return unsafe.Slice((*core.ReadSlot)(unsafe.SliceData(slots)), len(slots))
}
