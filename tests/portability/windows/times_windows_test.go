package windows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

// processorTime is how long a process has used processors.
func processorTime(t testing.TB, pid int) time.Duration {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	require.NoError(t, err)
	defer func() { _ = windows.CloseHandle(h) }()
	var created, ended, kernel, user windows.Filetime
	require.NoError(t, windows.GetProcessTimes(h, &created, &ended, &kernel, &user))
	return duration(kernel) + duration(user)
}

// duration is a time of the system, which counts in units of 100 ns.
func duration(t windows.Filetime) time.Duration {
	return 100 * time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime))
}
