package core

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// A half that lies under a name that is not its own was renamed, copied, exchanged with another
// one, or put back from a backup. Each case has a remedy of its own, and the wrong one overwrites a
// good block. Therefore the directory is searched for the case.

// misnamed says of a data file how it came under its name, and what to do. The header of the file
// is sound and has the id and the name of another block.
func (l location) misnamed(id blockID, name string) (problem, advice string) {
	here := l.data()
	there, err := lookAt(location{directory: l.directory, name: name}.data())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s holds the block %q: it was renamed", here, name), "give it its name back"
	case err != nil:
		return fmt.Sprintf("%s holds the block %q, and %s", here, name, err),
			fmt.Sprintf("find out what has the name %s, and overwrite nothing", name)
	case there.proven && there.id == id:
		return fmt.Sprintf("%s is a copy of the block %q, which is there as well", here, name),
			fmt.Sprintf("remove the copy if nobody needs it, and do not move it over %s", name)
	case there.proven && there.name == l.name:
		return fmt.Sprintf("%s holds the block %q, and %s the block %q: the two were exchanged", here, name, name, l.name),
			"exchange their names again"
	case there.proven && there.name == name:
		return fmt.Sprintf("%s is an earlier block of the name %q, which another block has by now", here, name),
			fmt.Sprintf("remove it if nobody needs it, and do not move it over %s", name)
	case there.proven:
		return fmt.Sprintf("%s holds the block %q, under whose name lies the block %q", here, name, there.name),
			"give that one its own name back first, and overwrite nothing"
	}
	return fmt.Sprintf("%s holds the block %q, and under that name lies a file that is damaged, or no block", here, name),
		fmt.Sprintf("look at %s first, and do not move this one over it", name)
}

// noBlockOrStrayed is the error of a name that no file has. A control file of the block may be
// left, and the data file may lie under another name.
func (l location) noBlockOrStrayed(cause error) error {
	all, _ := platform.ReadDirectory(l.directory)
	others := census{directory: l.directory}
	for _, entry := range all {
		name, id, temporary, ok := parseControl(entry.Name)
		if !ok || temporary || name != l.name {
			continue
		}
		others.take()
		for _, f := range others.files {
			if _, _, temporary, _ := parseControl(f.file); f.err == nil && f.half.proven && f.half.id == id &&
				!temporary {
				return &Error{Code: NotFound, Cause: cause, Detail: fmt.Sprintf(
					"no block %q in %s: its data file has the name %s: give it its name back", l.name, l.directory,
					f.file)}
			}
		}
	}
	return noBlock(l, cause)
}

// sought is the error of an attempt to open a block by its name. If no file has the name, the error
// says where the data file lies.
func (l location) sought(err error) error {
	if errors.Is(err, errAbsent) {
		return l.noBlockOrStrayed(err)
	}
	return err
}

// strangeBytes is the least number of bytes in which two ids differ. Five or more bytes of two
// random ids are the same once in 250 million.
const strangeBytes = layout.BlockIDLen - 4

func strange(a, b blockID) bool {
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
func (l location) foreignControl(head []byte, id blockID) bool {
	if len(head) < layout.ControlHeaderLen {
		return false
	}
	its := blockID(head[layout.CtlBlockID:])
	if !strange(its, id) || len(bytes.Trim(its[:], string(its[:1]))) == 0 {
		return false
	}
	return beginsAsControl(head) || l.somebodys(its, id)
}

// beginsAsControl reports whether the words before the id are those of a control file, except for
// one byte at most.
func beginsAsControl(head []byte) bool {
	want, differ := (&header{}).encodeControl()[:layout.CtlMinor], 0
	for i, b := range want {
		if head[i] != b {
			differ++
		}
	}
	return differ <= 1
}

// somebodys reports whether a file in the directory has the id, in its name or in its header, or
// one that differs in a few bytes. The control file of the block own does not count.
func (l location) somebodys(id, own blockID) bool {
	all, err := platform.ReadDirectory(l.directory)
	for _, entry := range all {
		if _, its, _, ok := parseControl(entry.Name); ok && !strange(its, id) {
			return true
		} else if ok && its == own {
			continue
		}
		h, lookErr := lookAt(filepath.Join(l.directory, entry.Name))
		if lookErr == nil && (h.kind == kindControl || h.proven) && !strange(h.id, id) {
			return true
		}
	}
	return err != nil // in doubt the file is another block's, and stays as it is
}

// foreignHead returns the head of the file under the name of the block's control file, if the file
// belongs to another block.
func (b *block) foreignHead(f *platform.File, info platform.FileInfo) ([]byte, error) {
	if !info.Regular {
		return nil, nil
	}
	head, err := f.ReadStart(layout.ControlHeaderLen)
	if err != nil || !b.foreignControl(head, b.id) {
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
func (b *block) seek(has blockID) (s controlSought) {
	all, err := platform.ReadDirectory(b.directory)
	if err != nil {
		return s
	}
	right := filepath.Base(b.control(b.id))
	for _, entry := range all {
		if !entry.Regular || entry.Name == right {
			continue
		}
		h, err := lookAt(filepath.Join(b.directory, entry.Name))
		if err != nil || h.kind != kindControl {
			continue
		}
		name, id, temporary, ok := parseControl(entry.Name)
		switch {
		case h.id == b.id:
			s.own = entry.Name
		case h.id == has && ok && id == has:
			s.source = entry.Name
		case ok && !temporary && name == b.location.name && h.id == id:
			s.another = entry.Name
		}
	}
	return s
}

// strangeControl says how a control file of another block came under the name of this block's
// control file, and what to do.
func (b *block) strangeControl(head []byte) (problem, advice string) {
	var has blockID
	copy(has[:], head[layout.CtlBlockID:])
	file, s := filepath.Base(b.control(b.id)), b.seek(has)
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
			restore(b.location.data())
	}
	return fmt.Sprintf("%s is the control file of another block (id %v), and this block's own is not in the directory",
			file, has),
		restore(b.location.data())
}

func restore(data string) string {
	return fmt.Sprintf("put back both files of one backup, or remove %s and start the producer again", data)
}

// errControlLost is the cause of an error that reports a lost control file, where no other file in
// the directory is the control file either.
var errControlLost = errors.New("the control file is lost")

// lostControl says where the control file of a block is, and what to do. producer is the pid of the
// producer that has not closed the block, by the data file. Without the control file no process can
// tell whether the producer lives, and attached participants continue.
func (b *block) lostControl(producer uint64) (problem, advice string, cause error) {
	data := b.location.data()
	lost := fmt.Sprintf("block %q has lost its control file %s", b.name(), filepath.Base(b.control(b.id)))
	s := b.seek(blockID{})
	switch {
	case s.own != "":
		return fmt.Sprintf("%s: %s is it", lost, s.own), "give it its name back", nil
	case s.another != "":
		return fmt.Sprintf("%s, and %s is that of another block of this name: %s was put back, or copied, without its own",
				lost, s.another, data),
			restore(data),
			errControlLost
	case producer != 0:
		return fmt.Sprintf("%s, and whether its producer (pid %d) lives cannot be told without", lost, producer),
			"end that program, unlink the block by force, and start the producer again", errControlLost
	}
	return lost, fmt.Sprintf("remove %s and start the producer again", data), errControlLost
}
