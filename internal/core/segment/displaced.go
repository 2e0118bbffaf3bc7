package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"datablock/internal/core/status"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// A half that lies under a name that is not its own was renamed, copied, exchanged with another
// one, or put back from a backup. Each case has a remedy of its own, and the wrong one overwrites a
// good block. Therefore the directory is searched for the case.

// Misnamed says of a data file how it came under its name, and what to do. The header of the file
// is sound and has the id and the name of another block.
func (l Location) Misnamed(id BlockID, name string) (problem, advice string) {
	here := l.DataPath()
	there, err := Identify(Location{Directory: l.Directory, Name: name}.DataPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s holds the block %q: it was renamed", here, name), "give it its name back"
	case err != nil:
		return fmt.Sprintf("%s holds the block %q, and %s", here, name, err),
			fmt.Sprintf("find out what has the name %s, and overwrite nothing", name)
	case there.proven && there.ID == id:
		return fmt.Sprintf("%s is a copy of the block %q, which is there as well", here, name),
			fmt.Sprintf("remove the copy if nobody needs it, and do not move it over %s", name)
	case there.proven && there.name == l.Name:
		return fmt.Sprintf("%s holds the block %q, and %s the block %q: the two were exchanged", here, name, name,
				l.Name),
			"exchange their names again"
	case there.proven && there.name == name:
		return fmt.Sprintf("%s is an earlier block of the name %q, which another block has by now", here, name),
			fmt.Sprintf("remove it if nobody needs it, and do not move it over %s", name)
	case there.proven:
		return fmt.Sprintf("%s holds the block %q, under whose name lies the block %q", here, name, there.name),
			"give that one its own name back first, and overwrite nothing"
	}
	return fmt.Sprintf("%s holds the block %q, and under that name lies a file that is damaged, or no block", here,
			name),
		fmt.Sprintf("look at %s first, and do not move this one over it", name)
}

// NoBlockOrStrayed is the error of a name that no file has. A control file of the block may be
// left, and the data file may lie under another name.
func (l Location) NoBlockOrStrayed(cause error) error {
	all, _ := platform.ReadDirectory(l.Directory)
	others := Census{Directory: l.Directory}
	for _, entry := range all {
		name, id, temporary, ok := ParseControl(entry.Name)
		if !ok || temporary || name != l.Name {
			continue
		}
		others.take()
		for _, f := range others.files {
			if _, _, temporary, _ := ParseControl(f.file); f.err == nil && f.half.proven && f.half.ID == id &&
				!temporary {
				return &status.Error{Code: status.NotFound, Cause: cause, Detail: fmt.Sprintf(
					"no block %q in %s: its data file has the name %s: give it its name back", l.Name, l.Directory,
					f.file)}
			}
		}
	}
	return noBlock(l, cause)
}

// Sought is the error of an attempt to open a block by its name. If no file has the name, the error
// says where the data file lies.
func (l Location) Sought(err error) error {
	if errors.Is(err, ErrAbsent) {
		return l.NoBlockOrStrayed(err)
	}
	return err
}

// strangeBytes is the least number of bytes in which two ids differ. Five or more bytes of two
// random ids are the same once in 250 million.
const strangeBytes = layout.BlockIDLen - 4

func strange(a, b BlockID) bool {
	differ := 0
	for i := range a {
		if a[i] != b[i] {
			differ++
		}
	}
	return differ >= strangeBytes
}

// foreignControl reports whether the head of a control file belongs to another block. An id that
// differs in a few bytes is a damaged id. An id that differs in most bytes is another id in two
// cases only: the head still begins as that of a control file, or a file in the directory has that
// id. Otherwise the head was overwritten, and belongs to no block.
func (l Location) foreignControl(head []byte, id BlockID) bool {
	if len(head) < layout.ControlHeaderLen {
		return false
	}
	its := BlockID(head[layout.CtlBlockID:])
	if !strange(its, id) || len(bytes.Trim(its[:], string(its[:1]))) == 0 {
		return false
	}
	return beginsAsControl(head) || l.somebodys(its, id)
}

// beginsAsControl reports whether the words before the id are those of a control file, except for
// one byte at most.
func beginsAsControl(head []byte) bool {
	like := &Header{}
	if head[layout.CtlMajor] == layout.FormatMajorFeatures {
		like.Features = knownFeatures
	}
	want, differ := like.EncodeControl()[:layout.CtlMinor], 0
	for i, b := range want {
		if head[i] != b {
			differ++
		}
	}
	return differ <= 1
}

// somebodys reports whether a file in the directory has the id, in its name or in its header, or
// one that differs in a few bytes. The control file of the block own does not count.
func (l Location) somebodys(id, own BlockID) bool {
	all, err := platform.ReadDirectory(l.Directory)
	for _, entry := range all {
		if _, its, _, ok := ParseControl(entry.Name); ok && !strange(its, id) {
			return true
		} else if ok && its == own {
			continue
		}
		h, lookErr := Identify(filepath.Join(l.Directory, entry.Name))
		if lookErr == nil && (h.kind == kindControl || h.proven) && !strange(h.ID, id) {
			return true
		}
	}
	return err != nil // in doubt the file is another block's, and stays as it is
}

// ForeignHead returns the head of the file under the name of the block's control file, if the file
// belongs to another block.
func (b *Segment) ForeignHead(f *platform.File, info platform.FileInfo) ([]byte, error) {
	if !info.Regular {
		return nil, nil
	}
	head, err := f.ReadStart(layout.ControlHeaderLen)
	if err != nil || !b.foreignControl(head, b.ID) {
		return nil, err
	}
	return head, nil
}

// controlSought are the control files that matter for a block whose own control file is missing, or
// belongs to another block.
type controlSought struct {
	own     string // a file whose header has the block's id, under another name
	another string // the control file of a block that had the same name
	source  string // the file that was copied to the control file's name
}

// seek looks for these files, whatever their names are.
func (b *Segment) seek(has BlockID) (s controlSought) {
	all, err := platform.ReadDirectory(b.Directory)
	if err != nil {
		return s
	}
	right := filepath.Base(b.ControlPath(b.ID))
	for _, entry := range all {
		if !entry.Regular || entry.Name == right {
			continue
		}
		h, err := Identify(filepath.Join(b.Directory, entry.Name))
		if err != nil || h.kind != kindControl {
			continue
		}
		name, id, temporary, ok := ParseControl(entry.Name)
		switch {
		case h.ID == b.ID:
			s.own = entry.Name
		case h.ID == has && ok && id == has:
			s.source = entry.Name
		case ok && !temporary && name == b.Location.Name && h.ID == id:
			s.another = entry.Name
		}
	}
	return s
}

// StrangeControl says how a control file of another block came under the name of this block's
// control file, and what to do.
func (b *Segment) StrangeControl(head []byte) (problem, advice string) {
	var has BlockID
	copy(has[:], head[layout.CtlBlockID:])
	file, s := filepath.Base(b.ControlPath(b.ID)), b.seek(has)
	switch {
	case s.own != "" && s.source == "":
		return fmt.Sprintf("%s is the control file of another block, and %s is this block's: the two were exchanged",
				file, s.own),
			"exchange their names again"
	case s.own != "":
		return fmt.Sprintf("%s is a copy of %s, the control file of another block, and %s is this block's",
				file, s.source, s.own),
			"put its own in its place"
	case s.source != "":
		return fmt.Sprintf("%s is a copy of %s, the control file of another block, and this block's own is gone",
				file, s.source),
			restore(b.Location.DataPath())
	}
	return fmt.Sprintf("%s is the control file of another block (id %v), and this block's own is not in the directory",
			file, has),
		restore(b.Location.DataPath())
}

func restore(data string) string {
	return fmt.Sprintf("put back both files of one backup, or remove %s and start the producer again", data)
}

// ErrControlLost is the cause of an error that reports a lost control file, where no other file in
// the directory is the control file either.
var ErrControlLost = errors.New("the control file is lost")

// LostControl says where the control file of a block is, and what to do. producer is the pid of the
// producer that has not closed the block, by the data file. Without the control file no process can
// tell whether the producer lives, and attached participants continue.
func (b *Segment) LostControl(producer uint64) (problem, advice string, cause error) {
	data := b.Location.DataPath()
	lost := fmt.Sprintf("block %q has lost its control file %s", b.BlockName(), filepath.Base(b.ControlPath(b.ID)))
	s := b.seek(BlockID{})
	switch {
	case s.own != "":
		return fmt.Sprintf("%s: %s is it", lost, s.own), "give it its name back", nil
	case s.another != "":
		return fmt.Sprintf("%s, and %s is that of another block of this name: %s was put back, or copied, without its "+
				"own",
				lost, s.another, data),
			restore(data),
			ErrControlLost
	case producer != 0:
		return fmt.Sprintf("%s, and whether its producer (pid %d) lives cannot be told without", lost, producer),
			"end that program, unlink the block by force, and start the producer again", ErrControlLost
	}
	return lost, fmt.Sprintf("remove %s and start the producer again", data), ErrControlLost
}
