package dashboard

import (
	"os"
	"path/filepath"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock"
)

// identity is what a name leads to: a block with an id, in a file.
type identity struct {
	id   string // "" if the header is too damaged to say
	file os.FileInfo
}

// identify finds out what a plain name leads to. A damaged block is known by its file alone.
func (s *Server) identify(name string) (found identity, err error) {
	if filepath.IsAbs(name) {
		return found, wrong("%q is no block's name", name)
	}
	l, err := segment.Locate(name, s.Directory)
	if err != nil {
		return found, public(err)
	}
	if found.file, err = os.Stat(l.DataPath()); err != nil {
		return found, public(segment.SystemError(err, "block %q", name))
	}
	b, err := segment.OpenData(l, l.DataPath(), segment.Observe, func(*segment.Segment) error { return nil })
	if err != nil {
		if status.CodeOf(err) == status.Corrupt {
			err = nil
		}
		return found, public(err)
	}
	defer b.Unmap()
	found.id = b.ID.String()
	return found, nil
}

func (i identity) is(other identity) bool { return i.id == other.id && os.SameFile(i.file, other.file) }

func public(err error) error {
	if err == nil {
		return nil
	}
	return &datablock.Error{Code: datablock.Code(status.CodeOf(err)), Detail: err.Error()}
}
