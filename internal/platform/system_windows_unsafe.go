//go:build windows

package platform

import (
	"syscall"
	"time"
	"unsafe" // arguments and results of system calls

	"golang.org/x/sys/windows"
)

// The functions of the system that golang.org/x/sys lacks.
var (
	kernel32 = windows.NewLazySystemDLL("kernel32.dll")
	advapi32 = windows.NewLazySystemDLL("advapi32.dll")

	queryCounter     = kernel32.NewProc("QueryPerformanceCounter")
	queryFrequency   = kernel32.NewProc("QueryPerformanceFrequency")
	createTimer      = kernel32.NewProc("CreateWaitableTimerExW")
	setTimer         = kernel32.NewProc("SetWaitableTimer")
	systemRandom     = advapi32.NewProc("SystemFunction036") // RtlGenRandom
	timerGranularity = 100 * time.Nanosecond
)

func performanceCounter() (count uint64) {
	_, _, _ = syscall.SyscallN(queryCounter.Addr(), uintptr(unsafe.Pointer(&count)))
	return count
}

// counterFrequency is in counts a second. The call cannot fail since Windows XP.
func counterFrequency() (frequency uint64) {
	_, _, _ = syscall.SyscallN(queryFrequency.Addr(), uintptr(unsafe.Pointer(&frequency)))
	return max(frequency, 1)
}

// sleepPrecisely sleeps by a timer of high resolution, which Windows has since 2018. It reports
// false if it did not sleep.
func sleepPrecisely(d time.Duration) bool {
	const highResolution, access = 2, windows.SYNCHRONIZE | 2 // TIMER_MODIFY_STATE
	if createTimer.Find() != nil {
		return false
	}
	timer, _, _ := syscall.SyscallN(createTimer.Addr(), 0, 0, highResolution, access)
	if timer == 0 {
		return false
	}
	defer func() { _ = windows.CloseHandle(windows.Handle(timer)) }()
	due := -int64((d + timerGranularity - 1) / timerGranularity) // negative: from now
	if set, _, _ := syscall.SyscallN(setTimer.Addr(), timer, uintptr(unsafe.Pointer(&due)), 0, 0, 0, 0); set == 0 {
		return false
	}
	ended, err := windows.WaitForSingleObject(windows.Handle(timer), windows.INFINITE)
	return err == nil && ended == windows.WAIT_OBJECT_0
}

func sleepCoarsely(d time.Duration) {
	for ; d > 0; d -= time.Duration(milliseconds(d)) * time.Millisecond {
		windows.SleepEx(milliseconds(d), false)
	}
}

func random(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	ok, _, err := syscall.SyscallN(systemRandom.Addr(), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if byte(ok) == 0 {
		return err
	}
	return nil
}

// bootTime returns when the system was started, and by how much later changes of the clock have
// moved this time, in units of 100 ns.
func bootTime() (at, bias int64, ok bool) {
	var info struct { // SYSTEM_TIMEOFDAY_INFORMATION
		bootTime, currentTime, zoneBias int64
		zone, reserved                  uint32
		bootBias, sleepBias             uint64
	}
	var have uint32
	err := windows.NtQuerySystemInformation(windows.SystemTimeOfDayInformation, unsafe.Pointer(&info),
		uint32(unsafe.Sizeof(info)), &have)
	return info.bootTime, int64(info.bootBias), err == nil && info.bootTime != 0
}

// indexOf is the index of an open file on its volume, as GetFileInformationByHandle has it.
func indexOf(h windows.Handle) (index uint64, ok bool) {
	const internalInformation = 6 // FileInternalInformation
	var status windows.IO_STATUS_BLOCK
	err := windows.NtQueryInformationFile(h, &status, (*byte)(unsafe.Pointer(&index)),
		uint32(unsafe.Sizeof(index)), internalInformation)
	return index, err == nil
}

func setSize(h windows.Handle, size int64) error {
	return windows.SetFileInformationByHandle(h, windows.FileEndOfFileInfo, (*byte)(unsafe.Pointer(&size)),
		uint32(unsafe.Sizeof(size)))
}

func setAllocation(h windows.Handle, size int64) error {
	return windows.SetFileInformationByHandle(h, windows.FileAllocationInfo, (*byte)(unsafe.Pointer(&size)),
		uint32(unsafe.Sizeof(size)))
}

// viewOf maps the beginning of a section.
func viewOf(section windows.Handle, access uint32, size int) ([]byte, error) {
	at, err := windows.MapViewOfFile(section, access, 0, 0, uintptr(size))
	if err != nil {
		return nil, err
	}
	// The address is outside of Go's memory, and valid until endView.
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), size), nil
}

func endView(m []byte) { _ = windows.UnmapViewOfFile(addressOf(m)) }

func addressOf(m []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(m))) }
