package platform

import (
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
)

// explain adds to an error of the system the call that failed, and what to do.
func explain(call string, err error) error {
	switch {
	case errors.Is(err, windows.ERROR_DISK_FULL), errors.Is(err, windows.ERROR_HANDLE_DISK_FULL):
		return ErrNoSpace
	case errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED), errors.Is(err, windows.ERROR_NOT_ENOUGH_QUOTA):
		return fmt.Errorf("%w: the quota of this user is used up (%v)", ErrNoSpace, err)
	case errors.Is(err, windows.ERROR_FILE_TOO_LARGE):
		return fmt.Errorf("%w: %s says that it is larger than this file system allows", ErrFileLimit, call)
	case errors.Is(err, windows.ERROR_TOO_MANY_OPEN_FILES), errors.Is(err, windows.ERROR_NO_SYSTEM_RESOURCES):
		return fmt.Errorf("%s: %w: close some handles, or end programs", call, err)
	case errors.Is(err, windows.ERROR_NOT_ENOUGH_MEMORY), errors.Is(err, windows.ERROR_COMMITMENT_LIMIT):
		return fmt.Errorf("%s: %w: the process needs more address space, or the machine more memory", call, err)
	case errors.Is(err, windows.ERROR_SHARING_VIOLATION):
		return fmt.Errorf("%s: %w: another program has the file open and does not share it: end that program",
			call, err)
	case errors.Is(err, windows.ERROR_USER_MAPPED_FILE):
		return fmt.Errorf("%s: %w: Windows keeps the size of a file that a process has mapped: end the programs that "+
			"have the block open", call, err)
	}
	return err
}

// NoDescriptor reports whether an error says that no further file could be opened.
func NoDescriptor(err error) bool {
	return errors.Is(err, windows.ERROR_TOO_MANY_OPEN_FILES) || errors.Is(err, windows.ERROR_NO_SYSTEM_RESOURCES)
}

// refused turns the refusal of a call on an open file into ErrRefused. The system checked the
// access when the file was opened, so that it is not the cause.
func refused(call string, err error) error {
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_CALL_NOT_IMPLEMENTED) ||
		errors.Is(err, windows.ERROR_NOT_SUPPORTED) || errors.Is(err, windows.ERROR_INVALID_FUNCTION) {
		return fmt.Errorf("%w %s (%v)", ErrRefused, call, err)
	}
	return explain(call, err)
}

func isRefusal(err error) bool {
	return errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_PRIVILEGE_NOT_HELD)
}

// denied adds to a refusal of a file which user was refused, and by what, as far as the system says
// it. Other errors stay as they are.
func denied(path, verb string, err error) error {
	if !isRefusal(err) {
		return err
	}
	info, statErr := statPath(path)
	switch {
	case statErr != nil:
		return &Denied{Err: err, Why: fmt.Sprintf("uid %d may not %s %s: its access control list, or that of its "+
			"directory, forbids it", EffectiveUID(), verb, path)}
	case info.UID == 0:
		return &Denied{Err: err, ByMode: true, Why: fmt.Sprintf("uid %d may not %s the file %s, whose access control "+
			"list does not name this user", EffectiveUID(), verb, path)}
	}
	return &Denied{Err: err, ByMode: true, Why: fmt.Sprintf("uid %d may not %s the file %s, which belongs to uid %d "+
		"and has mode 0%o", EffectiveUID(), verb, path, info.UID, info.Mode)}
}

// deniedName is denied for a call that adds or removes a name.
func deniedName(path, verb string, err error) error {
	var explained *Denied
	if !isRefusal(err) || errors.As(err, &explained) {
		return err
	}
	return &Denied{Err: err, Why: fmt.Sprintf("uid %d may not %s %s: the access control list of the file or of its "+
		"directory forbids it", EffectiveUID(), verb, path)}
}

// unfinished says that a process has begun to exchange the name path, has left its file under the
// name hidden, and that err keeps this process from ending the exchange.
func unfinished(hidden, path string, err error) error {
	why := fmt.Sprintf("a process that has died or stopped while it replaced %s left the file %s, which uid %d cannot "+
		"rename or remove: the owner of the file has to open the block, or to remove the file", path, hidden,
		EffectiveUID())
	if isRefusal(err) {
		return &Denied{Err: err, Why: why}
	}
	return fmt.Errorf("%s: %w", why, explain("MoveFileEx", err))
}
