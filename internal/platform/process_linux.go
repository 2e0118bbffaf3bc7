package platform

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const procText = 64 << 10 // bytes that are read of a file of /proc

// Self is the identity of this process. Fields that /proc does not report stay zero.
func Self() Identity {
	id := Identity{PID: uint64(os.Getpid()), UID: uint32(os.Geteuid())}
	id.StartTime, _ = startTime("/proc/self")
	id.PIDNamespace = PIDNamespace()
	id.Name = commandName("/proc/self")
	id.ClockAhead, id.ClockKnown = ClockAhead()
	return id
}

// PIDNamespace is the inode of this process's pid namespace, 0 if /proc does not tell it.
func PIDNamespace() uint64 {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/pid", &st) != nil {
		return 0
	}
	return st.Ino
}

// ClockAhead returns by how many nanoseconds CLOCK_MONOTONIC in this process's time namespace is
// ahead of the machine's. Not known: /proc does not report it, or reports it only for the namespace
// of this process's future children.
func ClockAhead() (ns int64, known bool) {
	var own, children unix.Stat_t
	if err := unix.Stat("/proc/self/ns/time", &own); err != nil {
		_, hasProc := startTime("/proc/self")
		return 0, hasProc && errors.Is(err, unix.ENOENT) // a kernel without time namespaces
	}
	if unix.Stat("/proc/self/ns/time_for_children", &children) != nil || own.Ino != children.Ino {
		return 0, false
	}
	text, err := ReadFile("/proc/self/timens_offsets", procText)
	if err != nil {
		return 0, false
	}
	return monotonicOffset(string(text))
}

// monotonicOffset finds "monotonic  86400  0" in a text of /proc/PID/timens_offsets: seconds, which
// may be negative, and nanoseconds.
func monotonicOffset(text string) (ns int64, known bool) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "monotonic" {
			continue
		}
		seconds, err := strconv.ParseInt(fields[1], 10, 64)
		rest, restErr := strconv.ParseInt(fields[2], 10, 64)
		const most = int64(1) << 62 / int64(time.Second)
		return seconds*int64(time.Second) + rest, err == nil && restErr == nil && seconds > -most && seconds < most &&
			rest >= 0 && rest < int64(time.Second)
	}
	return 0, false
}

func commandName(dir string) string {
	comm, err := ReadFile(dir+"/comm", procText)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(comm))
}

func startTime(dir string) (ticks uint64, ok bool) {
	fields := statFields(dir + "/stat")
	if fields == nil {
		return 0, false
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	return ticks, err == nil
}

// statFields is /proc/PID/stat from the third field (state) on. The second field, the name, may
// contain any character.
func statFields(path string) []string {
	b, err := ReadFile(path, procText)
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return nil
	}
	return fields
}

// ProcessAlive reports whether a process with this pid runs in this pid namespace. A zombie does
// not run, unless only the first thread of the process has ended.
func ProcessAlive(pid uint64) bool {
	if pid == 0 || pid > 1<<31-1 {
		return false
	}
	dir := "/proc/" + strconv.FormatUint(pid, 10)
	fields := statFields(dir + "/stat")
	if fields == nil {
		var st unix.Stat_t
		if unix.Stat("/proc/self/stat", &st) == nil && unix.Stat(dir, &st) != nil {
			return false
		}
		return unix.Kill(int(pid), 0) != unix.ESRCH // no /proc here, or no descriptor to read it with
	}
	switch fields[0] {
	case "X", "x":
		return false
	case "Z":
		tasks, _ := ReadDirectory(dir + "/task")
		return len(tasks) > 1
	}
	return true
}

// Ended reports whether the process with this identity has certainly ended: it was in this pid
// namespace, and now no process or another process has the pid.
func Ended(id Identity) bool {
	if own := PIDNamespace(); id.PID == 0 || own == 0 || own != id.PIDNamespace {
		return false
	}
	if !ProcessAlive(id.PID) {
		return true
	}
	ticks, ok := startTime("/proc/" + strconv.FormatUint(id.PID, 10))
	return ok && id.StartTime != 0 && ticks != id.StartTime
}

// LockHolder finds a process that holds the lock of a byte of a file, as far as /proc shows locks
// to this user. Every process that has the open file description holds the lock. An example is a
// child of clone(2) that has neither ended nor called exec.
func LockHolder(file FileInfo, offset int64) (holder Identity, found bool) {
	processes, _ := ReadDirectory("/proc")
	for _, process := range processes {
		pid, err := strconv.ParseUint(process.Name, 10, 31)
		if err != nil || pid == PID() {
			continue
		}
		dir := "/proc/" + process.Name
		open, _ := ReadDirectory(dir + "/fd")
		for _, fd := range open {
			var st unix.Stat_t
			if unix.Stat(dir+"/fd/"+fd.Name, &st) != nil || st.Dev != file.Device || st.Ino != file.Inode {
				continue
			}
			if info, err := ReadFile(dir+"/fdinfo/"+fd.Name, procText); err == nil && locks(string(info), offset) {
				return Identity{PID: pid, Name: commandName(dir)}, true
			}
		}
	}
	return Identity{}, false
}

// locks reports whether a text of /proc/PID/fdinfo has a write lock of the byte. An example of such
// a line is "lock: 1: OFDLCK ADVISORY WRITE -1 00:1a:2 128 129". The last field may be EOF.
func locks(info string, offset int64) bool {
	for line := range strings.Lines(info) {
		fields := strings.Fields(line)
		if len(fields) != 9 || fields[0] != "lock:" || fields[4] != "WRITE" {
			continue
		}
		first, err := strconv.ParseInt(fields[7], 10, 64)
		last, lastErr := strconv.ParseInt(fields[8], 10, 64)
		if err == nil && first <= offset && (fields[8] == "EOF" || lastErr == nil && offset <= last) {
			return true
		}
	}
	return false
}

// Sleep waits. Package time would sleep by a timer of the Go runtime, and the runtime would open
// the descriptors of its poller in the host's process.
func Sleep(d time.Duration) {
	for left := unix.NsecToTimespec(int64(max(d, 0))); errors.Is(unix.Nanosleep(&left, &left), unix.EINTR); {
	}
}

func monotonicNow() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return uint64(ts.Nano()) - uint64(time.Since(clockStart))
}
