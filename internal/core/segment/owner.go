package segment

import (
	"errors"
	"fmt"

	"datablock/internal/core/status"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// identity returns the identity in a row. Another process may have the lease of the row by now: see
// heir.
func (b *Segment) identity(row uint32) platform.Identity {
	at := b.Header.RowOffset(row)
	return platform.Identity{
		PID: *b.Ctl.Plain64(at + layout.RowPID), StartTime: *b.Ctl.Plain64(at + layout.RowStart),
		PIDNamespace: *b.Ctl.Plain64(at + layout.RowPIDNS), Name: b.RowName(row),
	}
}

// LockHeir returns which process keeps the lease of a row whose owner has ended, and what to do. It
// returns "" if the owner has not ended. The handlers that close the descriptors in a forked child
// do not run in a child that was made by clone(2) or _Fork(). Such a child shares its parent's
// lease until it ends or calls exec. No process may take the owner for dead: the kernel does not
// say which of the two has the lease.
func (b *Segment) LockHeir(row uint32) string {
	who := b.identity(row)
	if !platform.Ended(who) {
		return ""
	}
	if p, found := platform.LockHolder(b.CtlInfo, RowByte(row)); found {
		return fmt.Sprintf("pid %d has ended, but pid %d (%s) has its lock, as a child that was made by clone or "+
			"_Fork inherits it: end pid %d", who.PID, p.PID, p.Name, p.PID)
	}
	return fmt.Sprintf("pid %d has ended, but another process has its lock, as a child that was made by clone or "+
		"_Fork inherits it: look for it as root, who sees the locks of all processes in /proc/PID/fdinfo", who.PID)
}

// BeingWritten is the refusal of a request that a living producer forbids, with what to do about
// it, or the alternative.
func (b *Segment) BeingWritten(advice, otherwise string) error {
	if heir := b.LockHeir(layout.ProducerRow); heir != "" {
		return status.Errorf(status.ProducerActive, "block %q has no living producer, and is locked: %s, or %s",
			b.BlockName(), heir,
			otherwise)
	}
	return status.Errorf(status.ProducerActive, "block %q is being written by %s: %s, or %s", b.BlockName(),
		b.DescribeOwner(layout.ProducerRow),
		advice, otherwise)
}

// KeepsLock returns what became of the row's lease, nil if this participant has it. The process may
// have closed the descriptor: a program that becomes a daemon closes every descriptor. Then other
// processes rightly take the participant for dead.
func (a *Attachment) KeepsLock() error {
	for _, l := range []*platform.Locks{a.RowLocks, a.ProbeLocks} {
		if err := l.Check(); err != nil {
			return a.lockLost(err)
		}
	}
	if Probe(a.ProbeLocks,
		a.Row) == OwnerDead { // the number leads to the file, but through another open file description
		return a.lockLost(&platform.DescriptorLost{Number: a.RowLocks.Number()})
	}
	return nil
}

func (a *Attachment) lockLost(cause error) error {
	var lost *platform.DescriptorLost
	if !errors.As(cause, &lost) {
		return SystemError(cause, "block %q", a.BlockName())
	}
	return &status.Error{Code: status.System, Cause: cause, Detail: fmt.Sprintf(
		"the descriptor of block %q's control file was closed or reused by the program (number %d), and with it went "+
			"the lock that keeps this handle's place: close the handle, open again, and close no descriptor that the "+
			"program has not opened",
		a.BlockName(), lost.Number)}
}

// LockIsLost reports whether an error says that the lease is gone.
func LockIsLost(err error) bool {
	var lost *platform.DescriptorLost
	return errors.As(err, &lost)
}

// DescribeOwner returns the process of a row in readable form.
func (b *Segment) DescribeOwner(row uint32) string {
	if row == layout.ProducerRow {
		return ProcessName(*b.Data.Plain64(layout.ProducerPID), *b.Data.Plain64(layout.ProducerPIDNS))
	}
	at := b.Header.RowOffset(row)
	return ProcessName(*b.Ctl.Plain64(at + layout.RowPID), *b.Ctl.Plain64(at + layout.RowPIDNS))
}

// ProcessName returns a pid, and its pid namespace if that is another one. In this namespace such a
// number says nothing about a process.
func ProcessName(pid, namespace uint64) string {
	if OtherPIDNamespace(namespace) {
		return fmt.Sprintf("pid %d of another pid namespace (%d)", pid, namespace)
	}
	return fmt.Sprintf("pid %d", pid)
}

// OtherPIDNamespace reports whether a pid namespace is certainly not this process's. A pid of such
// a namespace must not be given to kill here.
func OtherPIDNamespace(namespace uint64) bool {
	own := platform.PIDNamespace()
	return namespace != 0 && own != 0 && namespace != own
}
