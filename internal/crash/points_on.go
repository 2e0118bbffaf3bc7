//go:build crashpoints

package crash

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// A trigger is one environment variable: `point` or `point:count`.
type trigger struct {
	point  string
	left   atomic.Int64
	signal syscall.Signal
}

var triggers = [...]*trigger{read("DATABLOCK_CRASH", syscall.SIGKILL), read("DATABLOCK_STOP", syscall.SIGSTOP)}

func read(variable string, signal syscall.Signal) *trigger {
	point, count, _ := strings.Cut(os.Getenv(variable), ":")
	t := &trigger{point: point, signal: signal}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		n = 1
	}
	t.left.Store(n)
	return t
}

// Hook, if set, is called at every point. Tests in one process use the hook to run a step of one
// participant between two steps of another.
var Hook atomic.Pointer[func(point string)]

// strike sends the signal to this thread. Another thread could take a signal for the process, and
// this thread would then run on for a while before it stops.
func (t *trigger) strike() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), t.signal)
}

// Point kills (DATABLOCK_CRASH=name[:count]) or stops (DATABLOCK_STOP) this process at the count-th
// call with that name.
func Point(name string) {
	if hook := Hook.Load(); hook != nil {
		(*hook)(name)
	}
	for _, t := range triggers {
		if t.point == name && t.left.Add(-1) == 0 {
			t.strike()
		}
	}
}
