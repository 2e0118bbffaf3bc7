package platform

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// limitOf returns the soft limit of a resource; false: the resource has no limit.
func limitOf(resource int) (uint64, bool) {
	var limit unix.Rlimit
	if unix.Getrlimit(resource, &limit) != nil || limit.Cur == unix.RLIM_INFINITY {
		return 0, false
	}
	return limit.Cur, true
}

// fitsFileLimit checks RLIMIT_FSIZE before a file grows. Beyond that limit the kernel would end the
// process with SIGXFSZ.
func fitsFileLimit(size int64) error {
	if limit, ok := limitOf(unix.RLIMIT_FSIZE); ok && uint64(size) > limit {
		return fmt.Errorf("%w: it needs %d bytes, and a file of this process may have %d (RLIMIT_FSIZE, ulimit -f)",
			ErrFileLimit, size, limit)
	}
	return nil
}

// explain adds to an error of the system the call that failed, and the limit that was reached.
func explain(call string, err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return ErrNoSpace
	case errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: the disk quota of its owner is used up", ErrNoSpace)
	case errors.Is(err, unix.EFBIG):
		return fmt.Errorf("%w: %s says that it is larger than this file system, or RLIMIT_FSIZE, allows",
			ErrFileLimit, call)
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%w: give the path of a directory", err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: a producer and a consumer write into the directory: use another", err)
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%w%s: close some, or raise the limit",
			err, reached("RLIMIT_NOFILE, ulimit -n", unix.RLIMIT_NOFILE))
	case errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%w: the machine's limit of open files, /proc/sys/fs/file-max, is reached", err)
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("%s: %w%s: the process needs more address space, or fewer mappings",
			call, err, reached("RLIMIT_AS, ulimit -v", unix.RLIMIT_AS))
	case errors.Is(err, unix.ENOLCK):
		return fmt.Errorf("%s: %w: the system has no memory for another lock", call, err)
	}
	return err
}

// NoDescriptor reports whether an error says that no further file could be opened.
func NoDescriptor(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

// reached names a limit and its value.
func reached(name string, resource int) string {
	if limit, ok := limitOf(resource); ok {
		return fmt.Sprintf(" (%s: %d)", name, limit)
	}
	return ""
}

// refused turns the refusal of a call on an open file into ErrRefused. The kernel checked mode and
// owner when the file was opened, so that they are not the cause.
func refused(call string, err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSYS) ||
		errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w %s (%v)", ErrRefused, call, err)
	}
	return explain(call, err)
}
