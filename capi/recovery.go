//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"datablock/internal/core/recovery"
	"datablock/internal/core/status"

	"datablock/internal/platform"
)

// The results of the int functions of diagnosis and recovery other than a count.
const (
	badArgument   = -1
	cannotOpen    = -2
	outOfRange    = -3
	failedRunning = -4
	unexpected    = -5
)

// diagnosisStatus returns the result of an int function for err. The text of err becomes the
// calling thread's detail.
func diagnosisStatus(err error, detail *C.char) C.int {
	setDetail(detail, err.Error())
	if errors.Is(err, recovery.ErrSlotRange) {
		return outOfRange
	}
	switch status.CodeOf(err) {
	case status.Invalid:
		return badArgument
	case status.NotFound, status.Access, status.Secret, status.Corrupt, status.Version:
		return cannotOpen
	case status.Panic:
		return unexpected
	}
	if platform.NoDescriptor(err) {
		return cannotOpen
	}
	return failedRunning
}

// recoverToDiagnosis is deferred by the int functions. They open the block themselves, so that a
// fault can happen while they run.
func recoverToDiagnosis(result *C.int, detail *C.char) {
	if r := recover(); r != nil {
		err := asError(r)
		*result = diagnosisStatus(err, detail)
		if err.Code == status.Corrupt {
			*result = failedRunning
		}
	}
}

//export dbgo_diagnose_slot
func dbgo_diagnose_slot(name, directory *C.char, slot C.uint32_t, out *C.SlotDiagnostic,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToDiagnosis(&result, detail)
	injectPanic("recovery.diagnose")
	d, err := recovery.DiagnoseSlot(C.GoString(name), directoryFrom(directory), uint32(slot))
	if err != nil {
		return diagnosisStatus(err, detail)
	}
	*out = diagnosticOf(&d)
	setDetail(detail, holdersOf(&d))
	return 0
}

//export dbgo_diagnose_all_slots
func dbgo_diagnose_all_slots(name, directory *C.char, out *C.SlotDiagnostic, capacity C.size_t, count *C.size_t,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToDiagnosis(&result, detail)
	injectPanic("recovery.diagnose_all")
	d, err := recovery.Diagnose(C.GoString(name), directoryFrom(directory))
	if err != nil {
		return diagnosisStatus(err, detail)
	}
	diagnostics := array(out, capacity, len(d.Slots))
	for i := range diagnostics {
		diagnostics[i] = diagnosticOf(&d.Slots[i])
	}
	var stuck []string
	for i := range d.Slots {
		if text := holdersOf(&d.Slots[i]); text != "" {
			stuck = append(stuck, text)
		}
	}
	setDetail(detail, strings.Join(stuck, "; "))
	*count = C.size_t(len(d.Slots))
	return 0
}

func diagnosticOf(d *recovery.SlotDiagnosis) C.SlotDiagnostic {
	waiting := C.uint8_t(0)
	if d.WriterWaiting {
		waiting = 1
	}
	return C.SlotDiagnostic{
		slot_id: C.uint64_t(d.MessageID), slot_index: C.uint32_t(d.Index), slot_state: C.uint8_t(d.State),
		write_lock:   C.uint64_t(d.WriteLock),
		reader_count: C.uint32_t(d.ReaderCount), write_generation: C.uint64_t(d.Generation), writer_waiting: waiting,
		is_stuck:          C.bool(d.Stuck),
		stuck_duration_ms: C.uint64_t(max(d.StuckFor.Milliseconds(), 0)),
	}
}

// holdersOf names the holders of a stuck slot. It returns "" for a slot that is not stuck.
func holdersOf(d *recovery.SlotDiagnosis) string {
	if !d.Stuck {
		return ""
	}
	return fmt.Sprintf("slot %d is held by %s", d.Index, d.HeldBy())
}

//export dbgo_is_process_alive
func dbgo_is_process_alive(pid C.uint64_t, detail *C.char) (alive C.bool) {
	enablePanicOnFault()
	var result C.int
	defer recoverToStatus(&result, detail) // a panic leaves alive false
	injectPanic("recovery.alive")
	return C.bool(recovery.ProcessAlive(uint64(pid)))
}

//export dbgo_release_zombie_readers
func dbgo_release_zombie_readers(name, directory *C.char, slot C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToRecoveryResult(&result, detail)
	injectPanic("recovery.readers")
	r, err := recovery.ReleaseZombieReaders(C.GoString(name), directoryFrom(directory), uint32(slot))
	return recoveryResult(r, err, detail)
}

//export dbgo_release_zombie_writer
func dbgo_release_zombie_writer(name, directory *C.char, slot C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToRecoveryResult(&result, detail)
	injectPanic("recovery.writer")
	r, err := recovery.ReleaseZombieWriter(C.GoString(name), directoryFrom(directory), uint32(slot))
	return recoveryResult(r, err, detail)
}

func recoveryResult(r recovery.RecoveryResult, err error, detail *C.char) C.int {
	if err != nil {
		setDetail(detail, err.Error())
		if errors.Is(err, recovery.ErrSlotRange) {
			return C.RECOVERY_INVALID_SLOT
		}
		if r == recovery.RecoverySuccess {
			return C.RECOVERY_FAILED
		}
	}
	return C.int(r)
}

func recoverToRecoveryResult(result *C.int, detail *C.char) {
	if r := recover(); r != nil {
		setDetail(detail, asError(r).Detail)
		*result = C.RECOVERY_FAILED
	}
}

//export dbgo_cleanup_dead_consumers
func dbgo_cleanup_dead_consumers(name, directory *C.char, timeoutNs C.uint64_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToDiagnosis(&result, detail)
	injectPanic("recovery.cleanup")
	removed, err := recovery.CleanupDeadConsumers(C.GoString(name), directoryFrom(directory),
		ageFrom(uint64(timeoutNs)))
	if err != nil {
		return diagnosisStatus(err, detail)
	}
	return C.int(min(removed, math.MaxInt32))
}
