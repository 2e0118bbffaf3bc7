package datablock

import (
	"unsafe"

	"datablock/internal/core"
)

// claimed is the slot as the core's: both types have the same fields, but for the name of the last one, which each package has for itself.
func claimed(slot *WriteSlot) *core.WriteSlot { return (*core.WriteSlot)(unsafe.Pointer(slot)) }

// They are of one size; the test of each call is the rest.
var _ = [1]struct{}{}[unsafe.Sizeof(WriteSlot{})-unsafe.Sizeof(core.WriteSlot{})]

// plain is the slice as the core's: both types have the same fields, which the conversion of the pointer checks.
func plain(slots []ReadSlot) []core.ReadSlot {
	return unsafe.Slice((*core.ReadSlot)(unsafe.SliceData(slots)), len(slots))
}
