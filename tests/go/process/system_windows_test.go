package process_test

import (
	"errors"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"

	"datablock/internal/core/recovery"
)

// patience is a limit for slow machines. Under Wine the start of a process takes long.
var patience = patienceOr(time.Minute)

// memory is where the directories of the blocks are: "" is the folder for temporary files.
const memory = ""

// systemSources has the files of internal/platform with crash points.
var systemSources = []source{
	{"../../../internal/platform/*_windows.go", regexp.MustCompile(`crash\.Point\("([^"]+)"\)`), []side{inGo}},
}

// languages has the languages of the workers.
var languages = []string{"go", "c", "cpp"}

// speakers has the languages whose workers contain a side. The first one tries which routes reach a
// point.
var speakers = map[side][]string{inGo: {"go", "c", "cpp"}, inC: {"c"}, inline: {"cpp"}}

// killed is the exit code of a process that TerminateProcess ended, here or at a crash point: see
// internal/crash. No program ends with this code by itself. os.Process.Kill would give 1, which is
// also the code of many failures.
const killed = 137

// killProcess ends a process at once.
func killProcess(p *os.Process) error {
	h, err := windows.OpenProcess(windows.PROCESS_TERMINATE, false, uint32(p.Pid))
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(h) }()
	return windows.TerminateProcess(h, killed)
}

// deathSignalOf returns SIGKILL if TerminateProcess ended a process.
func deathSignalOf(ended *os.ProcessState) syscall.Signal {
	if ended.ExitCode() == killed {
		return syscall.SIGKILL
	}
	return 0
}

// refusedForNow reports whether the system refused to start a process for a passing reason. Wine
// does so when many processes start at once.
func refusedForNow(err error) bool { return errors.Is(err, windows.ERROR_INTERNAL_ERROR) }

// swept removes what the platform keeps of removed files until their last user is gone. The names
// of these files are those of internal/platform.
func (b *fixture) swept() {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		_, err := recovery.List(b.dir) // removes what it can
		require.NoError(b.t, err)
		return len(b.files()) == 0
	}, patience, 10*time.Millisecond, "files left behind")
}

// idle reports whether no thread of a process is running: the process uses no processor for a
// while.
func idle(pid int) bool {
	before, err := processorTime(pid)
	if err != nil {
		return false
	}
	time.Sleep(20 * time.Millisecond) // the account of the system has steps of 10 ms
	after, err := processorTime(pid)
	return err == nil && before == after
}

// cpuTime returns the time of all threads of a process, in user mode and in the kernel.
func cpuTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	used, err := processorTime(pid)
	require.NoError(t, err)
	return used
}

func processorTime(pid int) (time.Duration, error) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = windows.CloseHandle(h) }()
	var created, ended, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &ended, &kernel, &user); err != nil {
		return 0, err
	}
	return duration(kernel) + duration(user), nil
}

// duration is a time of the system, which counts in units of 100 ns.
func duration(t windows.Filetime) time.Duration {
	return 100 * time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime))
}
