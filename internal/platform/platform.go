// Package platform is all that DataBlock knows of the operating system: files and mappings, byte
// locks that die with their owner, sleeping and waking across processes, identities of processes,
// clocks. Linux is complete. On other systems every call fails with ErrUnsupported.
//
// Errors are those of the system (errors.Is finds fs.ErrNotExist, fs.ErrExist and
// fs.ErrPermission), or one of the values below.
package platform

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Errors that have no equivalent in io/fs.
var (
	ErrUnsupported = errors.New("DataBlock does not support this operating system yet")
	ErrNoSpace     = errors.New("no space left in the block directory")
	ErrSymlink     = errors.New("a symbolic link, not a block")
	ErrNotRegular  = errors.New("not a regular file")
	ErrFileLimit   = errors.New("the file would be too large")
	ErrRefused     = errors.New("the system refuses the call")
)

// DescriptorLost is the error of a call on a descriptor of the library that the host program has
// closed. The number may lead to another file by now.
type DescriptorLost struct{ Number int }

func (e *DescriptorLost) Error() string {
	return fmt.Sprintf("descriptor %d was closed by the program, or leads to another file", e.Number)
}

// Denied is a refusal for lack of permission with its cause. errors.Is finds fs.ErrPermission.
type Denied struct {
	Err    error
	Why    string
	ByMode bool // the file's owner and mode do not let this user open it
}

func (e *Denied) Error() string { return e.Err.Error() + ": " + e.Why }

func (e *Denied) Unwrap() error { return e.Err }

// FileInfo is what the core needs to know about a block's file.
type FileInfo struct {
	Device, Inode uint64
	UID           uint32
	Mode          uint32 // permission bits
	Size          int64  // bytes
	Regular       bool
}

// Range is a run of locked bytes.
type Range struct{ Start, Length int64 }

// Same reports whether two infos are of one file.
func (i FileInfo) Same(j FileInfo) bool { return i.Device == j.Device && i.Inode == j.Inode }

// Identity identifies a process. It is informational and decides nothing: only a lock proves that a
// process is alive.
type Identity struct {
	PID          uint64
	StartTime    uint64 // clock ticks since boot; differs when the system has used the pid again
	PIDNamespace uint64 // inode of the pid namespace, 0 if unknown
	UID          uint32 // effective
	ClockKnown   bool   // whether ClockAhead is known
	ClockAhead   int64  // ns by which its CLOCK_MONOTONIC is ahead of the machine's, which a time namespace makes
	Name         string // of the program
}

// PID is the pid of this process. Self reports more, and costs several system calls.
func PID() uint64 { return uint64(os.Getpid()) }

// EffectiveUID is the uid that owns the files which this program makes.
func EffectiveUID() uint32 { return uint32(os.Geteuid()) }

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

var (
	clockStart = time.Now()
	clockBase  = monotonicNow()
)

// Monotonic is CLOCK_MONOTONIC in nanoseconds. Processes of one machine can compare their values if
// they share a time namespace, and others by ClockAhead.
func Monotonic() uint64 { return clockBase + uint64(time.Since(clockStart)) }

// Realtime is CLOCK_REALTIME in nanoseconds.
func Realtime() uint64 { return uint64(time.Now().UnixNano()) }
