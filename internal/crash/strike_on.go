//go:build crashpoints && !windows

package crash

import (
	"runtime"
	"syscall"
)

func kill() { strike(syscall.SIGKILL) }

func stop() { strike(syscall.SIGSTOP) }

// strike sends the signal to this thread. Another thread could take a signal for the process, and
// this thread would then run on for a while before it stops.
func strike(signal syscall.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), signal)
}
