//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"datablock/internal/core/recovery"
)

//export dbgo_list
func dbgo_list(directory *C.char, out *C.datablock_block_info, capacity C.size_t, count *C.size_t,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("block.list")
	blocks, err := recovery.List(directoryFrom(directory))
	if err != nil {
		return resultOf(err, detail)
	}
	infos := array(out, capacity, len(blocks))
	for i := range infos {
		b := &blocks[i]
		infos[i] = C.datablock_block_info{
			total_bytes: C.uint64_t(b.TotalBytes), slot_size: C.uint64_t(b.SlotSize), next_id: C.uint64_t(b.NextID),
			producer_pid: C.uint64_t(b.ProducerPID),
			slot_count:   C.uint32_t(b.SlotCount), spare_slots: C.uint32_t(b.SpareSlots), policy: C.uint32_t(b.Policy),
			consumers: C.uint32_t(b.Consumers), consumer_limit: C.uint32_t(b.ConsumerLimit), state: C.uint32_t(b.State),
			checksum: C.uint16_t(b.Checksum), algorithm: C.uint16_t(b.Algorithm),
		}
		setText(infos[i].name[:], b.Name)
	}
	*count = C.size_t(len(blocks))
	return C.DATABLOCK_OK
}

//export dbgo_unlink
func dbgo_unlink(name, directory *C.char, flags C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("block.unlink")
	return resultOf(recovery.Unlink(C.GoString(name), directoryFrom(directory), uint32(flags)), detail)
}
