//go:build crashpoints && windows

package crash

import "golang.org/x/sys/windows"

// killed is the exit code of a process that a test has killed: that of SIGKILL on Linux.
const killed = 137

func kill() {
	_ = windows.TerminateProcess(windows.CurrentProcess(), killed)
	select {} // the system ends this thread
}

// stop suspends the process, until another process resumes it.
func stop() {
	_, _, _ = windows.NewLazySystemDLL("ntdll.dll").NewProc("NtSuspendProcess").Call(uintptr(windows.CurrentProcess()))
}
