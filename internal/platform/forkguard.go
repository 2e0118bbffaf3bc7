//go:build !windows

package platform

// A ForkGuard gets the number of every lock descriptor, so that a forked child can close its
// copies. A copy would keep the parent's liveness lease after the parent's death. Begin and End
// bracket opening and closing; no fork may happen in between.
type ForkGuard interface {
	Begin()
	Opened(fd int)
	Closing(fd int)
	End()
}

type noGuard struct{}

func (noGuard) Begin()      {}
func (noGuard) Opened(int)  {}
func (noGuard) Closing(int) {}
func (noGuard) End()        {}

var guard ForkGuard = noGuard{}

// SetForkGuard installs g. Call it before the first block is opened. A pure Go program needs no
// guard, because it cannot fork without exec.
func SetForkGuard(g ForkGuard) { guard = g }
