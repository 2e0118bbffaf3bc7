//go:build !windows

package process_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"datablock/internal/layout"
)

// patience is a limit for slow machines. Each step usually takes milliseconds.
var patience = patienceOr(10 * time.Second)

// memory is where the directories of the blocks are.
const memory = "/dev/shm"

// systemSources has the files of internal/platform with crash points. On Linux none has any.
var systemSources []source

// languages has the languages of the workers.
var languages = []string{"go", "c", "cpp", "python", "rust"}

// speakers has the languages whose workers contain a side. The first one tries which routes reach a
// point.
var speakers = map[side][]string{
	inGo: {"go", "c", "cpp", "python", "rust"}, inC: {"c", "python", "rust"},
	inline: {"cpp"},
}

// killProcess ends a process at once.
func killProcess(p *os.Process) error { return p.Kill() }

// deathSignalOf returns the signal that ended a process; 0 if it ended by itself.
func deathSignalOf(ended *os.ProcessState) syscall.Signal {
	if status := ended.Sys().(syscall.WaitStatus); status.Signaled() {
		return status.Signal()
	}
	return 0
}

// refusedForNow reports whether the system refused to start a process for a passing reason.
func refusedForNow(error) bool { return false }

// swept removes what the platform keeps of removed files until their last user is gone. There is
// nothing of the kind on Linux.
func (b *fixture) swept() { b.t.Helper() }

// idle reports whether no thread of a process is running.
func idle(pid int) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		if state := string(text[strings.LastIndexByte(string(text), ')')+2:]); state[0] == 'R' {
			return false
		}
	}
	return true
}

// cpuTime returns the time of all threads of a process, in user mode and in the kernel.
func cpuTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	var ts unix.Timespec
	clock := int32(^pid<<3 | 2) // CLOCK_PROCESS_CPUTIME_ID of another process
	require.NoError(t, unix.ClockGettime(clock, &ts))
	return time.Duration(ts.Nano())
}

// locks returns the locked ranges of the block's control file, as start and length, for all owners.
func (b *fixture) locks() (held [][2]int64) {
	b.t.Helper()
	f, err := os.OpenFile(b.controlPath(), os.O_RDWR, 0)
	require.NoError(b.t, err)
	defer f.Close()
	var look func(from, to int64)
	look = func(from, to int64) {
		if from >= to {
			return
		}
		k := unix.Flock_t{Type: unix.F_WRLCK, Start: from, Len: to - from}
		require.NoError(b.t, unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &k))
		if k.Type == unix.F_UNLCK {
			return
		}
		look(from, k.Start)
		held = append(held, [2]int64{k.Start, k.Len})
		look(k.Start+k.Len, to)
	}
	look(layout.LockRows, layout.LockSpins+1024)
	return held
}

// killStray kills a process that a worker left behind on purpose.
func killStray(t testing.TB, answer string) (pid int) {
	t.Helper()
	_, err := fmt.Sscanf(answer, "forked %d", &pid)
	require.NoError(t, err, answer)
	require.Positive(t, pid)
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}
