//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"math"
	"unsafe" // the address of the state, for C

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
)

//export dbgo_producer_open
func dbgo_producer_open(index C.uint32_t, name, directory *C.char, config *C.datablock_config, state *unsafe.Pointer,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("producer.open")
	written, err := schemaFrom(config.schema)
	if err != nil {
		return resultOf(err, detail)
	}
	zone, err := schemaFrom(config.zone_schema)
	if err != nil {
		return resultOf(err, detail)
	}
	p, err := channel.OpenProducer(C.GoString(name), segment.Config{
		Schema:        written,
		Registered:    textFrom(config.registered),
		Registry:      textFrom(config.registry),
		ZoneSchema:    zone,
		Policy:        segment.Policy(config.policy),
		Flags:         uint32(config.flags),
		SlotCount:     uint32(config.slot_count),
		SpareSlots:    uint32(config.spare_slots),
		Alignment:     uint32(config.alignment),
		SlotSize:      uint64(config.slot_size),
		ConsumerLimit: uint32(config.consumer_limit),
		MinConsumers:  uint32(config.min_consumers),
		Checksum:      segment.ChecksumPolicy(config.checksum),
		Algorithm:     segment.ChecksumAlgorithm(config.algorithm),
		ZoneSize:      uint64(config.zone_size),
		Retention:     retentionFrom(uint64(config.retention_ms)),
		Mode:          uint32(config.mode),
		Directory:     directoryFrom(directory),
		Secret:        secretFrom(config.secret, config.secret_length),
	})
	if err != nil {
		return resultOf(err, detail)
	}
	at := &participant{producer: p}
	at.pinned.Pin(p.State())
	for _, array := range p.Arrays() {
		at.pinned.Pin(array)
	}
	*state = address(p.State())
	at.publish(index)
	return C.DATABLOCK_OK
}

//export dbgo_producer_close
func dbgo_producer_close(index C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer vacate(index)
	defer recoverToStatus(&result, detail)
	injectPanic("producer.close")
	return resultOf(at(index).producer.Close(), detail)
}

//export dbgo_write_begin
func dbgo_write_begin(index C.uint32_t, timeoutMs C.int64_t, out *C.datablock_write_slot, sleep *C.dbshim_sleep,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("producer.claim")
	timeout, err := timeoutFrom(int64(timeoutMs))
	if err != nil {
		return resultOf(err, detail)
	}
	at := at(index)
	s, err := at.producer.ClaimInSteps(timeout, at.sleepOf(sleep, timeoutMs))
	if err != nil {
		return at.stepStatus(err, sleep, detail)
	}
	*out = C.datablock_write_slot{data: payload(s.Data()), capacity: C.size_t(s.Size()), id: C.uint64_t(s.ID()),
		index: C.uint32_t(s.Index())}
	return C.DATABLOCK_OK
}

//export dbgo_write_commit
func dbgo_write_commit(index C.uint32_t, id C.uint64_t, slot C.uint32_t, length C.size_t,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("producer.commit")
	return resultOf(at(index).producer.CommitSlot(uint64(id), uint32(slot), int(min(length, math.MaxInt))), detail)
}

//export dbgo_write_checksum
func dbgo_write_checksum(index C.uint32_t, id C.uint64_t, slot C.uint32_t, length C.size_t,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	return resultOf(at(index).producer.SealSlot(uint64(id), uint32(slot), int(min(length, math.MaxInt))), detail)
}

//export dbgo_write_abort
func dbgo_write_abort(index C.uint32_t, id C.uint64_t, slot C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("producer.abort")
	return resultOf(at(index).producer.AbortSlot(uint64(id), uint32(slot)), detail)
}

//export dbgo_producer_next_id
func dbgo_producer_next_id(index C.uint32_t, id *C.uint64_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	*id = C.uint64_t(at(index).producer.NextID())
	return C.DATABLOCK_OK
}
