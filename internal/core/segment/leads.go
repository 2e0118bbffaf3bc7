package segment

import (
	"errors"
	"io/fs"
	"path/filepath"

	"datablock/internal/platform"
)

// leads is the answer to the question whether a name leads to a certain file, or to a certain
// block. The system does not answer every question: the program may have given up the permission,
// its root may be another directory by now, or it may have no descriptor left. The zero value
// stands for a question without an answer. Such a question ends no block and removes no file.
type leads int

const (
	leadsUnknown   leads = iota
	LeadsThere           // yes
	leadsNowhere         // no: no file has the name
	leadsElsewhere       // no: another file has it
)

// no reports whether the name certainly does not lead there.
func (a leads) no() bool { return a == leadsNowhere || a == leadsElsewhere }

// follow asks where a path leads. The path led to file when home was its directory. An error comes
// with leadsUnknown alone.
func follow(path string, file, home platform.FileInfo) (leads, error) {
	now, err := platform.StatPath(path)
	switch {
	case err == nil && now.Same(file):
		return LeadsThere, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return leadsUnknown, err
	}
	// The path says something about the file only while it leads through the same directory: not
	// after chroot, a mount, or a rename of the directory.
	directory, dirErr := platform.StatDirectory(filepath.Dir(path))
	switch {
	case dirErr != nil:
		return leadsUnknown, dirErr
	case !directory.Same(home):
		return leadsUnknown, &fs.PathError{Op: "look up", Path: path, Err: errOtherDirectory}
	case err != nil:
		return leadsNowhere, nil
	}
	return leadsElsewhere, nil
}

var errOtherDirectory = errors.New("the path leads to another directory than when the block was opened")

// WhereName asks whether the block's name still leads to the block.
func (b *Segment) WhereName() leads {
	answer, _ := follow(b.Location.DataPath(), b.DataInfo, b.Home)
	return answer
}

// LostName reports whether the block's name certainly no longer leads to the block.
func (b *Segment) LostName() bool { return b.WhereName().no() }

// Displaced reports whether the block's name certainly leads to another file by now. A name that
// leads nowhere displaces no block.
func (b *Segment) Displaced() bool { return b.WhereName() == leadsElsewhere }

// StillNamed is the check before a change of a block under its name. ErrMoved: the name no longer
// leads to the block. Another error: the system did not answer.
func (b *Segment) StillNamed() error {
	answer, err := follow(b.Location.DataPath(), b.DataInfo, b.Home)
	switch {
	case err != nil:
		return SystemError(err, "block %q: whether the name still leads to it", b.BlockName())
	case answer.no():
		return ErrMoved
	}
	return nil
}
