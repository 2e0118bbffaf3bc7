//go:build cgo

package main

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"unicode/utf8"

	"datablock/internal/core/recovery"
)

//export dbgo_validate_integrity
func dbgo_validate_integrity(name, directory *C.char, out *C.IntegrityCheck, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToDiagnosis(&result, detail)
	injectPanic("recovery.validate")
	i, err := recovery.ValidateIntegrity(C.GoString(name), directoryFrom(directory))
	if err != nil {
		return diagnosisStatus(err, detail)
	}
	*out = checkOf(i)
	setDetail(detail, i.Message())
	return 0
}

//export dbgo_repair
func dbgo_repair(name, directory *C.char, force C.bool, out *C.IntegrityCheck, filled *C.bool,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToRecoveryResult(&result, detail)
	injectPanic("recovery.repair")
	r, left, err := recovery.Repair(C.GoString(name), directoryFrom(directory), bool(force))
	if left != nil {
		*out = checkOf(left)
		*filled = true
	}
	return recoveryResult(r, err, detail)
}

//export dbgo_auto_recover
func dbgo_auto_recover(name, directory *C.char, dryRun C.bool, out **C.datablock_recovery_step, count *C.size_t,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToDiagnosis(&result, detail)
	injectPanic("recovery.auto")
	var steps []recovery.RecoveryStep
	n, err := recovery.AutoRecover(C.GoString(name), directoryFrom(directory), bool(dryRun),
		func(s recovery.RecoveryStep) { steps = append(steps, s) })
	if len(steps) > 0 {
		*out = (*C.datablock_recovery_step)(C.calloc(C.size_t(len(steps)), C.sizeof_datablock_recovery_step))
		if *out == nil {
			return failedRunning
		}
		into := array(*out, C.size_t(len(steps)), len(steps))
		for i := range steps {
			into[i] = stepOf(&steps[i])
		}
		*count = C.size_t(len(steps))
	}
	if err != nil {
		return diagnosisStatus(err, detail)
	}
	return C.int(n)
}

func checkOf(i *recovery.Integrity) C.IntegrityCheck {
	check := C.IntegrityCheck{
		header_valid: C.bool(i.HeaderValid), slot_states_valid: C.bool(i.SlotStatesValid),
		checksum_valid:  C.bool(i.ChecksumValid),
		corrupted_slots: C.uint32_t(i.CorruptedSlots),
	}
	setText(check.error_message[:], fitting(i.Message(), len(check.error_message)))
	return check
}

func stepOf(s *recovery.RecoveryStep) C.datablock_recovery_step {
	step := C.datablock_recovery_step{
		kind: C.uint32_t(s.Kind), target: C.uint32_t(s.Target), pid: C.uint64_t(s.PID), result: C.uint32_t(s.Result),
		done: C.bool(s.Done),
	}
	setText(step.text[:], fitting(s.Text, len(step.text)))
	return step
}

// fitting cuts a text, between two characters, to the length that a field of the given size takes.
func fitting(text string, size int) string {
	if len(text) < size {
		return text
	}
	end := size - 1
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
