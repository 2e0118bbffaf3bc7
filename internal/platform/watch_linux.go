package platform

import (
	"os"

	"golang.org/x/sys/unix"
)

// WatchExit calls exited, from another goroutine, when the process with that pid ends; stop ends the watch, and afterwards exited is not called any more. It only says when to look: pids are reused, and only a lock proves
// death. It costs a descriptor and no thread.
func WatchExit(pid uint64, exited func()) (stop func(), err error) {
	if pid == 0 || pid > 1<<31-1 {
		return nil, unix.ESRCH
	}
	fd, err := unix.PidfdOpen(int(pid), unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	conn, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := conn.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return n > 0 || err != nil && err != unix.EINTR
		})
		if err == nil {
			exited()
		}
	}()
	return func() {
		_ = f.Close()
		<-done
	}, nil
}
