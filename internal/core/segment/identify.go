package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// A block has two halves, the data file and the control file, and both have its id. The bytes of a
// file decide what the file is, and not its name. A file that was renamed, copied, exchanged with
// another one or put back from a backup is recognised by the id, wherever it lies in the directory.

// half is a file as its first bytes describe it.
type half struct {
	kind   halfKind
	info   platform.FileInfo
	head   []byte
	ID     BlockID // where a header of that kind has it
	name   string  // data file: of the block, "" if its length is impossible
	proven bool    // data file: the header matches its hash
	state  uint32  // data file
}

type halfKind int

const (
	kindForeign halfKind = iota
	kindUnborn           // nothing is written yet: empty, or zeros where a header begins
	kindData             // has the magic of a data file
	kindControl          // has the magic of a control file
)

const headLength = layout.State + 4

// Identify reads what a file says about itself. It follows no symbolic link, and does not wait.
func Identify(path string) (half, error) {
	f, err := platform.OpenFile(path, false)
	if err != nil {
		return half{}, err
	}
	defer f.Close()
	return describe(f)
}

func describe(f *platform.File) (h half, err error) {
	if h.info, err = f.Stat(); err != nil || !h.info.Regular {
		return h, err
	}
	if h.head, err = f.ReadStart(headLength); err != nil {
		return h, err
	}
	var magic uint64
	if len(h.head) >= 8 {
		magic = binary.LittleEndian.Uint64(h.head)
	}
	switch {
	case magic == layout.MagicControl && len(h.head) >= layout.ControlHeaderLen:
		h.kind = kindControl
		copy(h.ID[:], h.head[layout.CtlBlockID:])
		if h.ID == (BlockID{}) {
			h.kind = kindUnborn
		}
	case magic == layout.MagicData && len(h.head) >= layout.ImmutableLen:
		h.kind = kindData
	case len(bytes.Trim(h.head, "\x00")) == 0:
		h.kind = kindUnborn
	}
	if h.kind != kindControl && len(h.head) >= layout.ImmutableLen {
		copy(h.ID[:], h.head[layout.HdrBlockID:])
		h.name = headName(h.head)
		h.proven = h.kind == kindData && Proven(h.head[:layout.ImmutableLen])
	}
	if len(h.head) == headLength {
		h.state = binary.LittleEndian.Uint32(h.head[layout.State:])
	}
	return h, nil
}

// headName returns the name in a data file's header.
func headName(head []byte) string {
	n := binary.LittleEndian.Uint32(head[layout.HdrNameLen:])
	if n == 0 || n > layout.MaxNameLen {
		return ""
	}
	return string(head[layout.HdrName : layout.HdrName+n])
}

// dataOf reports whether a file, anywhere in the directory, is the data file of a block. If the
// header is damaged, one matching fact is enough for leadsUnknown.
func (h *half) dataOf(l Location, id BlockID) leads {
	switch {
	case h.proven && h.ID == id:
		return LeadsThere
	case h.proven:
		return leadsNowhere
	case len(h.head) < layout.ImmutableLen || h.kind == kindControl:
		return leadsNowhere
	case h.kind == kindData || h.ID == id || h.name == l.Name:
		return leadsUnknown
	}
	return leadsNowhere
}

// nameless reports whether a temporary data file, with that id in its name, never had its block's
// name, or has lost it for good.
func (h *half) nameless(id BlockID) bool {
	return !h.proven || h.ID == id || h.state == layout.StateSuperseded
}

// tooForeign reports whether a file that could not be read cannot be the data file of a block whose
// control file belongs to owner. Both files belong to one user, and a data file has a least size.
func (h *half) tooForeign(owner uint32) bool {
	return h.info.Inode != 0 && (h.info.UID != owner || h.info.Size < layout.SchemaRegion)
}

// Census is every file in a block directory that may be a data file. The directory is read once,
// and only when the answer is needed.
type Census struct {
	Directory string
	Repaired  string // a data file that is known to be a block's, although its header may be damaged
	taken     bool
	files     []counted
	err       error // of the directory: then nothing is known
}

// counted is one file of a census.
type counted struct {
	file string
	half half
	err  error // the file could not be read; half.info may be known nevertheless
}

// take lists the directory before and after it reads the files: a file that is being renamed may be
// missing from one list.
func (c *Census) take() {
	if c.taken {
		return
	}
	c.taken = true
	seen := map[string]bool{}
	for range 2 {
		all, err := platform.ReadDirectory(c.Directory)
		if err != nil {
			c.err = err
			return
		}
		for _, entry := range all {
			if !entry.Regular || seen[entry.Name] || entry.Name == c.Repaired {
				continue
			}
			seen[entry.Name] = true
			if _, _, temporary, ok := ParseControl(entry.Name); ok && !temporary {
				continue
			}
			path := filepath.Join(c.Directory, entry.Name)
			h, err := Identify(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil && h.info.Inode == 0 {
				h.info, _ = platform.StatPath(path)
			}
			c.files = append(c.files, counted{entry.Name, h, err})
		}
	}
}

// leadsTo reports whether any file in the directory is, or may be, the data file of the block with
// that id. The user owner has the block's control file.
func (c *Census) leadsTo(l Location, id BlockID, owner uint32) leads {
	c.take()
	if c.err != nil {
		return leadsUnknown
	}
	answer := leadsNowhere
	for i := range c.files {
		f := &c.files[i]
		_, own, temporary, _ := ParseControl(f.file)
		switch {
		case temporary && f.err == nil && f.half.nameless(own):
			continue // belongs to a control file of its own
		case f.err != nil && f.half.tooForeign(owner):
			continue
		case f.err != nil:
			answer = leadsUnknown
			continue
		}
		switch f.half.dataOf(l, id) {
		case LeadsThere:
			return LeadsThere
		case leadsUnknown:
			answer = leadsUnknown
		}
	}
	return answer
}

// Proven reports whether an immutable header matches its hash.
func Proven(b []byte) bool {
	sum := blake2b.Sum256(b[:layout.HdrHash])
	return bytes.Equal(sum[:], b[layout.HdrHash:layout.ImmutableLen])
}
