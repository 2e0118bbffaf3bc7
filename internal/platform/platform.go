// Package platform is all that DataBlock knows of the operating system: files and mappings, byte
// locks that die with their owner, sleeping and waking across processes, identities of processes,
// clocks. Linux and Windows are complete. On other systems every call fails with ErrUnsupported.
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

// Realtime is CLOCK_REALTIME in nanoseconds.
func Realtime() uint64 { return uint64(time.Now().UnixNano()) }
