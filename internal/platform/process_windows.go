package platform

import (
	"errors"
	"hash/fnv"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

// Self is the identity of this process. Its StartTime is in units of 100 ns since 1601.
func Self() Identity {
	id := Identity{PID: PID(), UID: EffectiveUID(), PIDNamespace: PIDNamespace(), Name: programName()}
	id.StartTime, _ = creationTime(windows.CurrentProcess())
	id.ClockAhead, id.ClockKnown = ClockAhead()
	return id
}

func programName() string {
	path := make([]uint16, windows.MAX_LONG_PATH)
	n, err := windows.GetModuleFileName(0, &path[0], uint32(len(path)))
	if err != nil {
		return ""
	}
	name := filepath.Base(windows.UTF16ToString(path[:n]))
	if extension := filepath.Ext(name); strings.EqualFold(extension, ".exe") {
		name = strings.TrimSuffix(name, extension)
	}
	return name
}

func creationTime(process windows.Handle) (at uint64, ok bool) {
	var created, ended, kernel, user windows.Filetime
	err := windows.GetProcessTimes(process, &created, &ended, &kernel, &user)
	return uint64(created.HighDateTime)<<32 | uint64(created.LowDateTime), err == nil
}

// PIDNamespace identifies one start of the system. A pid says nothing after the next start, and a
// block on a disk may last until then. It is never 0, which stands for not known.
var PIDNamespace = sync.OnceValue(func() uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(bootName()))
	return max(h.Sum64()>>1, 1)
})

const (
	bootPrefix  = "boot-"
	startPrefix = "start-"
)

// bootName identifies one start of the system: the number that Windows counts in the registry. If
// it is missing there, the time of the start. That time has no part of later changes of the clock:
// the system adds them up apart from it.
var bootName = sync.OnceValue(func() string {
	const key = `SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters`
	if number, ok := registryNumber(key, "BootId"); ok {
		return bootPrefix + strconv.FormatUint(uint64(number), 10)
	}
	at, bias, ok := bootTime()
	if !ok {
		return "boot"
	}
	return startPrefix + strconv.FormatInt((at-bias)/int64(time.Second/100), 10)
})

func registryNumber(key, value string) (number uint32, ok bool) {
	keyName, err := windows.UTF16PtrFromString(key)
	if err != nil {
		return 0, false
	}
	valueName, err := windows.UTF16PtrFromString(value)
	if err != nil {
		return 0, false
	}
	var handle windows.Handle
	if windows.RegOpenKeyEx(windows.HKEY_LOCAL_MACHINE, keyName, 0, windows.KEY_QUERY_VALUE, &handle) != nil {
		return 0, false
	}
	defer func() { _ = windows.RegCloseKey(handle) }()
	var kind uint32
	var content [4]byte
	size := uint32(len(content))
	err = windows.RegQueryValueEx(handle, valueName, nil, &kind, &content[0], &size)
	number = uint32(content[0]) | uint32(content[1])<<8 | uint32(content[2])<<16 | uint32(content[3])<<24
	return number, err == nil && kind == windows.REG_DWORD && size == uint32(len(content))
}

// ProcessAlive reports whether a process with this pid runs. A process that has ended may stay
// known to the system while another process has a handle of it.
func ProcessAlive(pid uint64) bool {
	alive, _ := look(pid)
	return alive
}

// look reports whether a process with this pid runs, and when it was created, 0 if that is not
// known.
func look(pid uint64) (alive bool, created uint64) {
	if pid == 0 || pid > 1<<32-1 {
		return false, 0
	}
	if pid == PID() {
		created, _ = creationTime(windows.CurrentProcess())
		return true, created
	}
	const access = windows.SYNCHRONIZE | windows.PROCESS_QUERY_LIMITED_INFORMATION
	h, err := windows.OpenProcess(access, false, uint32(pid))
	if err != nil {
		// Any other error: the process is there, and belongs to another user.
		return !errors.Is(err, windows.ERROR_INVALID_PARAMETER), 0
	}
	defer func() { _ = windows.CloseHandle(h) }()
	// The system takes the next numbers for the same process.
	if own, err := windows.GetProcessId(h); err == nil && own != uint32(pid) {
		return false, 0
	}
	ended, err := windows.WaitForSingleObject(h, 0)
	created, _ = creationTime(h)
	return err != nil || ended != windows.WAIT_OBJECT_0, created
}

// Ended reports whether the process with this identity has certainly ended: it was of this start of
// the system, and now no process or another process has the pid.
func Ended(id Identity) bool {
	if id.PID == 0 || id.PIDNamespace != PIDNamespace() {
		return false
	}
	alive, created := look(id.PID)
	return !alive || created != 0 && id.StartTime != 0 && created != id.StartTime
}

// LockHolder cannot tell: the system does not say which handle holds a lock. No other process can
// have the handle: children do not inherit it.
func LockHolder(FileInfo, int64) (Identity, bool) { return Identity{}, false }

// Random fills b.
func Random(b []byte) error {
	if err := random(b); err != nil {
		return refused("RtlGenRandom", err)
	}
	return nil
}
