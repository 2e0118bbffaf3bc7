package coretest

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// AsNobody runs f as another user, as far as files are concerned.
func AsNobody(t *testing.T, f func()) {
	if os.Geteuid() != 0 {
		t.Skip("NOT SHOWN: who may do what with a block of another user: it takes root to become one")
	}
	done := make(chan struct{})
	var refused error
	go func() {
		defer close(done)
		// And never unlocked: only this thread is another user, and it ends with the goroutine.
		runtime.LockOSThread()
		if _, _, failed := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); failed != 0 {
			refused = failed
			return
		}
		_ = unix.Setfsgid(65534)
		_ = unix.Setfsuid(65534)
		// The call returns the old value, and changes nothing.
		if now, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, ^uintptr(0), 0, 0); now != 65534 {
			refused = unix.EPERM
			return
		}
		f()
	}()
	<-done
	if refused != nil {
		t.Skipf("NOT SHOWN: who may do what with a block of another user: this root may not become one: %v", refused)
	}
}
