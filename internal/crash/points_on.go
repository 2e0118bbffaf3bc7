//go:build crashpoints

package crash

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// A trigger is one environment variable: `point` or `point:count`.
type trigger struct {
	point  string
	left   atomic.Int64
	strike func()
}

var triggers = [...]*trigger{read("DATABLOCK_CRASH", kill), read("DATABLOCK_STOP", stop)}

func read(variable string, strike func()) *trigger {
	point, count, _ := strings.Cut(os.Getenv(variable), ":")
	t := &trigger{point: point, strike: strike}
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
