package platform

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Self is who this process is. What /proc does not tell stays zero.
func Self() Identity {
	id := Identity{PID: uint64(os.Getpid()), UID: uint32(os.Geteuid())}
	if fields := statFields("/proc/self/stat"); fields != nil {
		id.StartTime, _ = strconv.ParseUint(fields[19], 10, 64)
	}
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/pid", &st) == nil {
		id.PIDNamespace = st.Ino
	}
	if comm, err := os.ReadFile("/proc/self/comm"); err == nil {
		id.Name = strings.TrimSpace(string(comm))
	}
	return id
}

// statFields is /proc/PID/stat from the third field (state) on: the second one, the name, may contain anything.
func statFields(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return nil
	}
	return fields
}

// ProcessAlive reports whether a process with that pid runs in this pid namespace. A zombie does not run, unless only its first thread has ended.
func ProcessAlive(pid uint64) bool {
	if pid == 0 || pid > 1<<31-1 {
		return false
	}
	dir := "/proc/" + strconv.FormatUint(pid, 10)
	fields := statFields(dir + "/stat")
	if fields == nil {
		if _, err := os.Stat("/proc/self/stat"); err == nil {
			return false
		}
		return unix.Kill(int(pid), 0) != unix.ESRCH // no /proc here
	}
	switch fields[0] {
	case "X", "x":
		return false
	case "Z":
		tasks, _ := os.ReadDir(dir + "/task")
		return len(tasks) > 1
	}
	return true
}

func monotonicNow() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return uint64(ts.Nano()) - uint64(time.Since(clockStart))
}
