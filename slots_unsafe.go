package datablock

import (
	"unsafe"

	"datablock/internal/core"
)

// plain is the slice as the core's: both types have the same fields, which the conversion of the pointer checks.
func plain(slots []ReadSlot) []core.ReadSlot {
	return unsafe.Slice((*core.ReadSlot)(unsafe.SliceData(slots)), len(slots))
}
