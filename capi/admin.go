//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"datablock/internal/core/recovery"
)

//export dbgo_force_reset_slot
func dbgo_force_reset_slot(name, directory *C.char, slot C.uint32_t, force C.bool, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToRecoveryResult(&result, detail)
	injectPanic("recovery.reset")
	r, err := recovery.ForceResetSlot(C.GoString(name), directoryFrom(directory), uint32(slot), bool(force))
	return recoveryResult(r, err, detail)
}

//export dbgo_force_reset_all_slots
func dbgo_force_reset_all_slots(name, directory *C.char, force C.bool, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToRecoveryResult(&result, detail)
	injectPanic("recovery.reset_all")
	r, err := recovery.ForceResetAllSlots(C.GoString(name), directoryFrom(directory), bool(force))
	return recoveryResult(r, err, detail)
}

//export dbgo_evict_consumer
func dbgo_evict_consumer(name, directory *C.char, row C.uint32_t, force C.bool, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToRecoveryResult(&result, detail)
	injectPanic("recovery.evict")
	r, err := recovery.EvictConsumer(C.GoString(name), directoryFrom(directory), uint32(row), bool(force))
	return recoveryResult(r, err, detail)
}

//export dbgo_get_metrics
func dbgo_get_metrics(name, directory *C.char, out *C.datablock_metrics, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("metrics")
	m, _, err := recovery.ReadMetrics(C.GoString(name), directoryFrom(directory))
	if err != nil {
		return resultOf(err, detail)
	}
	*out = C.datablock_metrics{
		size: out.size, consumers: C.uint32_t(m.Block.Consumers), next_id: C.uint64_t(m.Block.NextID),
		written: C.uint64_t(m.Written), bytes: C.uint64_t(m.Bytes),
		aborted: C.uint64_t(m.Aborted), fenced: C.uint64_t(m.Fenced), waits: C.uint64_t(m.Waits),
		wait_ns: C.uint64_t(m.Waited), timeouts: C.uint64_t(m.Timeouts),
		scans: C.uint64_t(m.Scans), cleaned: C.uint64_t(m.Cleaned), recoveries: C.uint64_t(m.Recoveries),
		age_ms:  C.uint64_t(m.Age.Milliseconds()),
		idle_ms: C.uint64_t(m.Idle.Milliseconds()), read: C.uint64_t(m.Read), missed: C.uint64_t(m.Missed),
		lost: C.uint64_t(m.Lost), overruns: C.uint64_t(m.Overruns),
		checksum_failures: C.uint64_t(m.ChecksumFailures), max_lag: C.uint64_t(m.MaxLag),
		schema_mismatches: C.uint64_t(m.SchemaMismatches),
	}
	return C.DATABLOCK_OK
}

//export dbgo_list_participants
func dbgo_list_participants(name, directory *C.char, out *C.datablock_participant_info, capacity C.size_t,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToDiagnosis(&result, detail)
	injectPanic("participants")
	_, all, err := recovery.ReadMetrics(C.GoString(name), directoryFrom(directory))
	if err != nil {
		return diagnosisStatus(err, detail)
	}
	list := array(out, capacity, len(all))
	for i := range list {
		list[i] = participantInfo(&all[i])
	}
	return C.int(len(all))
}

func participantInfo(p *recovery.ParticipantMetrics) C.datablock_participant_info {
	info := C.datablock_participant_info{
		pid: C.uint64_t(p.PID), start_time: C.uint64_t(p.StartTime), pid_namespace: C.uint64_t(p.PIDNamespace),
		attached_ns: C.uint64_t(p.Attached.UnixNano()),
		cursor:      C.uint64_t(p.Cursor), lag: C.uint64_t(p.Behind),
		read: C.uint64_t(p.Read), missed: C.uint64_t(p.Missed),
		bytes: C.uint64_t(p.Bytes),
		waits: C.uint64_t(p.Waits), wait_ns: C.uint64_t(p.Waited), timeouts: C.uint64_t(p.Timeouts),
		lost: C.uint64_t(p.Lost), overruns: C.uint64_t(p.Overruns),
		checksum_failures: C.uint64_t(p.ChecksumFailures), silent_ms: C.uint64_t(p.Silent.Milliseconds()),
		uid: C.uint32_t(p.UID), row: C.uint32_t(p.Row),
		delivery: C.uint32_t(p.Delivery), pins: C.uint32_t(len(p.Pins)), alive: C.bool(p.Alive),
		durable: C.bool(p.Durable),
	}
	if !p.Died.IsZero() {
		info.died_ns = C.uint64_t(p.Died.UnixNano())
	}
	setText(info.name[:], p.Name)
	return info
}

//export dbgo_recovery_log
func dbgo_recovery_log(name, directory *C.char, out *C.datablock_recovery_record, capacity C.size_t,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToDiagnosis(&result, detail)
	injectPanic("recovery.log")
	records, err := recovery.RecoveryLog(C.GoString(name), directoryFrom(directory))
	if err != nil {
		return diagnosisStatus(err, detail)
	}
	newest := records[max(0, len(records)-int(min(uint64(capacity), uint64(len(records))))):]
	list := array(out, capacity, len(newest))
	for i, r := range newest {
		record := C.datablock_recovery_record{
			number: C.uint64_t(r.Number), time_ns: C.uint64_t(r.Time.UnixNano()), pid: C.uint64_t(r.PID),
			uid:    C.uint32_t(r.UID),
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
