//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"unsafe" // a buffer comes without a type

	"datablock/internal/core/channel"
	"datablock/internal/core/status"
)

//export dbgo_observer_open
func dbgo_observer_open(index C.uint32_t, name, directory *C.char, options *C.datablock_consumer_options,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("observer.open")
	from, err := consumerOptionsFrom(options, directory)
	if err == nil && (from.Delivery != 0 || from.Start != 0 || from.MaxPins != 0 || from.Durable || from.Name != "" ||
		from.ZoneSchema != nil || from.Wait != 0) {
		err = &status.Error{Code: status.Invalid, Detail: "an observer has no place in the stream: of the options " +
			"only directory, secret, schema, schema_mode, registered and registry may be given"}
	}
	if err != nil {
		return resultOf(err, detail)
	}
	o, err := channel.OpenObserver(C.GoString(name), channel.ObserverOptions{Directory: from.Directory,
		Secret: from.Secret,
		Schema: from.Schema, SchemaMode: from.SchemaMode, Registered: from.Registered, Registry: from.Registry})
	if err != nil {
		return resultOf(err, detail)
	}
	(&participant{observer: o}).publish(index)
	return C.DATABLOCK_OK
}

//export dbgo_observer_close
func dbgo_observer_close(index C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer vacate(index)
	defer recoverToStatus(&result, detail)
	injectPanic("observer.close")
	return resultOf(at(index).observer.Close(), detail)
}

//export dbgo_observe
func dbgo_observe(index C.uint32_t, id C.uint64_t, buffer unsafe.Pointer, capacity C.size_t,
	out *C.datablock_observation, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("observer.observe")
	o := at(index).observer
	into := array((*byte)(buffer), min(capacity, C.size_t(o.SlotSize())), int(o.SlotSize()))
	var seen channel.Observation
	var err error
	if id == C.DATABLOCK_NEWEST {
		seen, err = o.ReadNewest(into)
	} else {
		seen, err = o.ReadAt(uint64(id), into)
	}
	if err != nil {
		return resultOf(err, detail)
	}
	*out = C.datablock_observation{
		id: C.uint64_t(seen.ID), length: C.uint64_t(seen.Length), timestamp_ns: C.uint64_t(seen.Timestamp),
		next_id: C.uint64_t(seen.NextID), index: C.uint32_t(seen.Index),
	}
	return C.DATABLOCK_OK
}
