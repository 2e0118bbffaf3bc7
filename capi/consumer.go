//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"unsafe" // the address of the state, for C

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/schema"
)

//export dbgo_consumer_open
func dbgo_consumer_open(index C.uint32_t, name, directory *C.char, options *C.datablock_consumer_options,
	state *unsafe.Pointer, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.open")
	o, err := consumerOptionsFrom(options, directory)
	if err != nil {
		return resultOf(err, detail)
	}
	c, err := channel.OpenConsumer(C.GoString(name), o)
	if err != nil {
		return resultOf(err, detail)
	}
	at := &participant{consumer: c}
	at.pinned.Pin(c.State())
	*state = address(c.State())
	at.publish(index)
	return C.DATABLOCK_OK
}

func consumerOptionsFrom(o *C.datablock_consumer_options, directory *C.char) (segment.ConsumerOptions, error) {
	if o.delivery > math.MaxUint8 { // core's type is narrower, and would see another number
		return segment.ConsumerOptions{}, &status.Error{Code: status.Invalid, Detail: fmt.Sprintf(
			"delivery %d is unknown: use DEFAULT (0), LOSSLESS (1), ORDERED (2) or LATEST (3)", o.delivery)}
	}
	if o.durable > 1 {
		return segment.ConsumerOptions{}, &status.Error{Code: status.Invalid,
			Detail: fmt.Sprintf("durable is %d: use 0 or 1", o.durable)}
	}
	if o.schema_mode > math.MaxUint8 { // as delivery
		return segment.ConsumerOptions{}, &status.Error{Code: status.Invalid,
			Detail: fmt.Sprintf("schema_mode %d is unknown: use COMPATIBLE (0) or EXACT (1)", o.schema_mode)}
	}
	wait, err := timeoutFrom(int64(o.wait_ms))
	if err != nil {
		return segment.ConsumerOptions{}, &status.Error{Code: status.Invalid,
			Detail: fmt.Sprintf("wait_ms is %d: use 0, -1 (for ever) or a positive number of milliseconds",
				int64(o.wait_ms))}
	}
	wanted, err := schemaFrom(o.schema)
	if err != nil {
		return segment.ConsumerOptions{}, err
	}
	zone, err := schemaFrom(o.zone_schema)
	if err != nil {
		return segment.ConsumerOptions{}, err
	}
	return segment.ConsumerOptions{
		Registered: textFrom(o.registered), Registry: textFrom(o.registry), ZoneSchema: zone,
		Schema: wanted, SchemaMode: schema.Mode(o.schema_mode),
		Delivery:  segment.Delivery(o.delivery),
		Start:     segment.Start(o.start),
		MaxPins:   uint32(o.max_pins),
		Durable:   o.durable == 1,
		Name:      textFrom(o.name),
		Directory: directoryFrom(directory),
		Secret:    secretFrom(o.secret, o.secret_length),
		Wait:      wait,
	}, nil
}

//export dbgo_consumer_close
func dbgo_consumer_close(index C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer vacate(index)
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.close")
	return resultOf(at(index).consumer.Close(), detail)
}

//export dbgo_read_begin
func dbgo_read_begin(index C.uint32_t, timeoutMs C.int64_t, out *C.datablock_read_slot, sleep *C.dbshim_sleep,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.next")
	timeout, err := timeoutFrom(int64(timeoutMs))
	if err != nil {
		return resultOf(err, detail)
	}
	at := at(index)
	s, err := at.consumer.NextInSteps(timeout, at.sleepOf(sleep, timeoutMs))
	if err != nil {
		return at.stepStatus(err, sleep, detail)
	}
	return exportSlot(s, nil, out, detail)
}

//export dbgo_read_look_around
func dbgo_read_look_around(index C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	at(index).consumer.LookAround()
	return C.DATABLOCK_OK
}

//export dbgo_read_probe
func dbgo_read_probe(index C.uint32_t, out *C.datablock_read_slot, found *C.bool, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	s, there, err := at(index).consumer.Probe()
	*found = C.bool(there)
	if !there {
		return resultOf(err, detail)
	}
	return exportSlot(s, err, out, detail)
}

//export dbgo_read_conclude
func dbgo_read_conclude(index C.uint32_t, timeoutMs C.int64_t, out *C.datablock_read_slot,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	timeout, err := timeoutFrom(int64(timeoutMs))
	if err != nil {
		return resultOf(err, detail)
	}
	s, err := at(index).consumer.Conclude(timeout, &segment.Sleep{Part: partFrom(int64(timeoutMs))})
	return exportSlot(s, err, out, detail)
}

//export dbgo_consumer_resumed
func dbgo_consumer_resumed(index C.uint32_t, resumed *C.bool, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	*resumed = C.bool(at(index).consumer.Resumed())
	return C.DATABLOCK_OK
}

//export dbgo_consumer_ready
func dbgo_consumer_ready(index C.uint32_t, ready *C.bool, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.ready")
	*ready = C.bool(at(index).consumer.Ready())
	return C.DATABLOCK_OK
}

//export dbgo_read_at
func dbgo_read_at(index C.uint32_t, id C.uint64_t, out *C.datablock_read_slot, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.read_at")
	s, err := at(index).consumer.ReadAt(uint64(id))
	return exportSlot(s, err, out, detail)
}

//export dbgo_read_id
func dbgo_read_id(index C.uint32_t, id C.uint64_t, timeoutMs C.int64_t, out *C.datablock_read_slot,
	sleep *C.dbshim_sleep, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.read_at")
	timeout, err := timeoutFrom(int64(timeoutMs))
	if err != nil {
		return resultOf(err, detail)
	}
	at := at(index)
	s, err := at.consumer.WaitForInSteps(uint64(id), timeout, at.sleepOf(sleep, timeoutMs))
	if err != nil {
		return at.stepStatus(err, sleep, detail)
	}
	return exportSlot(s, nil, out, detail)
}

// exportSlot gives a slot to C.
func exportSlot(s channel.ReadSlot, err error, out *C.datablock_read_slot, detail *C.char) C.int {
	if err != nil {
		return resultOf(err, detail)
	}
	*out = C.datablock_read_slot{
		data: payload(s.Data()), length: C.size_t(s.Size()), id: C.uint64_t(s.ID()),
		timestamp_ns: C.uint64_t(s.Timestamp()),
		missed:       C.uint64_t(s.Missed()), index: C.uint32_t(s.Index()), token: C.uint32_t(s.Token()),
	}
	return C.DATABLOCK_OK
}

//export dbgo_read_more
func dbgo_read_more(index C.uint32_t, id C.uint64_t, slot, token C.uint32_t, first *C.datablock_read_slot,
	capacity C.size_t, count *C.size_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.more")
	at := at(index)
	if len(at.batch) < int(capacity) {
		at.batch = make([]channel.ReadSlot, capacity) // once: the shim asks for its chunk's size
	}
	n := at.consumer.More(uint64(id), uint32(slot), uint32(token), at.batch[:capacity])
	out := array(first, capacity, n)
	for i := range n {
		exportSlot(at.batch[i], nil, &out[i], detail)
	}
	clear(at.batch[:n]) // of a mapping that may go
	*count = C.size_t(n)
	return C.DATABLOCK_OK
}

//export dbgo_read_verify
func dbgo_read_verify(index C.uint32_t, id C.uint64_t, slot, token C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	return resultOf(at(index).consumer.VerifyHold(uint64(id), uint32(slot), uint32(token)), detail)
}

//export dbgo_read_end
func dbgo_read_end(index C.uint32_t, id C.uint64_t, slot, token C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.release")
	return resultOf(at(index).consumer.ReleaseHold(uint64(id), uint32(slot), uint32(token)), detail)
}

//export dbgo_read_end_first
func dbgo_read_end_first(index C.uint32_t, id C.uint64_t, slot, token C.uint32_t, messages C.uint64_t,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.release")
	return resultOf(at(index).consumer.ReleaseFirst(uint64(id), uint32(slot), uint32(token), uint64(messages)), detail)
}

//export dbgo_read_copied
func dbgo_read_copied(index C.uint32_t, id C.uint64_t, slot, token C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.copied")
	return resultOf(at(index).consumer.ReleaseCopied(uint64(id), uint32(slot), uint32(token)), detail)
}

//export dbgo_read_give_back
func dbgo_read_give_back(index C.uint32_t, id C.uint64_t, slot, token C.uint32_t, length, missed C.uint64_t,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.give_back")
	return resultOf(at(index).consumer.GiveBack(uint64(id), uint32(slot), uint32(token), uint64(length),
		uint64(missed)),
		detail)
}

//export dbgo_read_undo
func dbgo_read_undo(index C.uint32_t, id C.uint64_t, slot, token C.uint32_t, length, missed C.uint64_t,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("consumer.undo")
	return resultOf(at(index).consumer.Undo(uint64(id), uint32(slot), uint32(token), uint64(length), uint64(missed)),
		detail)
}
