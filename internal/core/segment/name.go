package segment

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"datablock/internal/core/status"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

const (
	ControlSuffix   = ".ctl"
	temporarySuffix = ".tmp.ctl" // a data file that has no name yet, or no longer
	directoryEnv    = "DATABLOCK_DIR"
)

type BlockID [layout.BlockIDLen]byte

func (id BlockID) String() string { return hex.EncodeToString(id[:]) }

// Location is where a block's files are.
type Location struct {
	Directory string
	Name      string
}

func (l Location) DataPath() string { return filepath.Join(l.Directory, l.Name) }
func (l Location) ControlPath(id BlockID) string {
	return l.DataPath() + "." + id.String() + ControlSuffix
}
func (l Location) TemporaryPath(id BlockID) string {
	return l.DataPath() + "." + id.String() + temporarySuffix
}

// Reference returns what a command finds the block by. The plain name works in the default
// directory only.
func (l Location) Reference() string {
	if usual, err := ResolveDirectory(""); err == nil && usual == l.Directory {
		return l.Name
	}
	return l.DataPath()
}

// Locate finds a block by plain name, in the given directory or the default one, or by absolute
// path.
func Locate(name, directory string) (Location, error) {
	if filepath.IsAbs(name) {
		dir, base := filepath.Split(name)
		if base == "" {
			return Location{}, status.Errorf(status.Invalid, "block %q is a directory: add the block's name to the "+
				"path", shorten(name))
		}
		if directory != "" && filepath.Clean(directory) != filepath.Clean(dir) {
			return Location{},
				status.Errorf(status.Invalid, "block %q is an absolute path outside the directory %q: give one of the "+
					"two", name,
					directory)
		}
		directory, name = dir, base
	}
	dir, err := ResolveDirectory(directory)
	if err != nil {
		return Location{}, err
	}
	if why := BadName(name); why != "" {
		return Location{}, status.Errorf(status.Invalid, "block name %q %s", shorten(name), why)
	}
	return Location{Directory: dir, Name: name}, nil
}

func ResolveDirectory(directory string) (string, error) {
	if directory == "" {
		directory = os.Getenv(directoryEnv)
	}
	if directory == "" {
		directory = platform.DefaultDirectory
	}
	if !filepath.IsAbs(directory) {
		return "", status.Errorf(status.Invalid, "block directory %q is not an absolute path: give one that begins %s",
			shorten(directory), platform.AbsoluteForm)
	}
	if why := platform.PathRefused(directory); why != "" {
		return "", status.Errorf(status.Invalid, "block directory %q %s", shorten(directory), why)
	}
	platform.PrepareDirectory(directory)
	return filepath.Clean(directory), nil
}

func BadName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case strings.ContainsRune(name, '/'):
		return "has a '/': give a plain name, and its directory apart from it, or an absolute path"
	case len(name) > layout.MaxNameLen:
		return "is too long: 200 bytes are the limit"
	case name[0] == '.' || name[0] == '-':
		return "begins with '.' or '-'"
	case strings.HasSuffix(name, ControlSuffix):
		return "ends in .ctl, which is reserved for control files"
	}
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return "has a character other than letters, digits, '.', '_' and '-'"
		}
	}
	return platform.FileNameRefused(name)
}

func shorten(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

// ParseControl takes the name of a control or temporary file apart.
func ParseControl(file string) (name string, id BlockID, temporary, ok bool) {
	stem, ok := strings.CutSuffix(file, ControlSuffix)
	if !ok {
		return "", id, false, false
	}
	stem, temporary = strings.CutSuffix(stem, strings.TrimSuffix(temporarySuffix, ControlSuffix))
	at := len(stem) - 2*layout.BlockIDLen - 1
	if at < 1 || stem[at] != '.' {
		return "", id, false, false
	}
	if n, err := hex.Decode(id[:], []byte(stem[at+1:])); err != nil || n != len(id) || BadName(stem[:at]) != "" {
		return "", id, false, false
	}
	return stem[:at], id, temporary, true
}

// InShort returns the first of count texts, and the number of the others.
func InShort(texts []string, shown, count int) string {
	if count <= shown {
		return strings.Join(texts, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(texts[:shown], "; "), count-shown)
}
