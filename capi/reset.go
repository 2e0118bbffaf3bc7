//go:build cgo

package main

// #include "shim.h"
import "C"

import "datablock/internal/core"

//export dbgo_force_reset_slot
func dbgo_force_reset_slot(name, directory *C.char, slot C.uint32_t, force C.bool, detail *C.char) (result C.int) {
	arm()
	defer rescueRecovery(&result, detail)
	provoke("recovery.reset")
	r, err := core.ForceResetSlot(C.GoString(name), directoryFrom(directory), uint32(slot), bool(force))
	return recoveryResult(r, err, detail)
}

//export dbgo_force_reset_all_slots
func dbgo_force_reset_all_slots(name, directory *C.char, force C.bool, detail *C.char) (result C.int) {
	arm()
	defer rescueRecovery(&result, detail)
	provoke("recovery.reset_all")
	r, err := core.ForceResetAllSlots(C.GoString(name), directoryFrom(directory), bool(force))
	return recoveryResult(r, err, detail)
}

//export dbgo_evict_consumer
func dbgo_evict_consumer(name, directory *C.char, row C.uint32_t, force C.bool, detail *C.char) (result C.int) {
	arm()
	defer rescueRecovery(&result, detail)
	provoke("recovery.evict")
	r, err := core.EvictConsumer(C.GoString(name), directoryFrom(directory), uint32(row), bool(force))
	return recoveryResult(r, err, detail)
}

//export dbgo_list_participants
func dbgo_list_participants(name, directory *C.char, out *C.datablock_participant_info, capacity C.size_t, detail *C.char) (result C.int) {
	arm()
	defer rescueDiagnosis(&result, detail)
	provoke("participants")
	d, err := core.Diagnose(C.GoString(name), directoryFrom(directory))
	if err != nil {
		return diagnosisStatus(err, detail)
	}
	list := array(out, capacity, len(d.Rows))
	for i := range list {
		r := &d.Rows[i]
		info := C.datablock_participant_info{
			pid: C.uint64_t(r.PID), cursor: C.uint64_t(r.Cursor), lag: C.uint64_t(r.Lag(d.Block.NextID)), read: C.uint64_t(r.Read), missed: C.uint64_t(r.Missed),
			silent_ms: C.uint64_t(r.Silent.Milliseconds()), row: C.uint32_t(r.Row), delivery: C.uint32_t(r.Delivery), pins: C.uint32_t(len(r.Pins)),
			alive: C.bool(r.Alive), durable: C.bool(r.Durable),
		}
		setText(info.name[:], r.Name)
		list[i] = info
	}
	return C.int(len(d.Rows))
}

//export dbgo_recovery_log
func dbgo_recovery_log(name, directory *C.char, out *C.datablock_recovery_record, capacity C.size_t, detail *C.char) (result C.int) {
	arm()
	defer rescueDiagnosis(&result, detail)
	provoke("recovery.log")
	records, err := core.RecoveryLog(C.GoString(name), directoryFrom(directory))
	if err != nil {
		return diagnosisStatus(err, detail)
	}
	newest := records[max(0, len(records)-int(min(uint64(capacity), uint64(len(records))))):]
	list := array(out, capacity, len(newest))
	for i, r := range newest {
		record := C.datablock_recovery_record{
			number: C.uint64_t(r.Number), time_ns: C.uint64_t(r.Time.UnixNano()), pid: C.uint64_t(r.PID), uid: C.uint32_t(r.UID),
			action: C.uint32_t(r.Action), target: C.uint64_t(r.Target),
		}
		for k, v := range r.Before {
			record.before[k] = C.uint64_t(v)
		}
		for k, v := range r.After {
			record.after[k] = C.uint64_t(v)
		}
		setText(record.text[:], r.String())
		list[i] = record
	}
	return C.int(len(records))
}
