package core

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

const (
	controlSuffix   = ".ctl"
	temporarySuffix = ".tmp.ctl" // a data file that has no name yet, or no longer
	directoryEnv    = "DATABLOCK_DIR"
)

type blockID [layout.BlockIDLen]byte

func (id blockID) String() string { return hex.EncodeToString(id[:]) }

// location is where a block's files are.
type location struct {
	directory string
	name      string
}

func (l location) data() string                { return filepath.Join(l.directory, l.name) }
func (l location) control(id blockID) string   { return l.data() + "." + id.String() + controlSuffix }
func (l location) temporary(id blockID) string { return l.data() + "." + id.String() + temporarySuffix }

// reference returns what a command finds the block by. The plain name works in the default
// directory only.
func (l location) reference() string {
	if usual, err := resolveDirectory(""); err == nil && usual == l.directory {
		return l.name
	}
	return l.data()
}

// locate finds a block by plain name, in the given directory or the default one, or by absolute
// path.
func locate(name, directory string) (location, error) {
	if strings.HasPrefix(name, "/") {
		dir, base := filepath.Split(name)
		if base == "" {
			return location{}, fail(Invalid, "block %q is a directory: add the block's name to the path", shorten(name))
		}
		if directory != "" && filepath.Clean(directory) != filepath.Clean(dir) {
			return location{},
				fail(Invalid, "block %q is an absolute path outside the directory %q: give one of the two", name,
					directory)
		}
		directory, name = dir, base
	}
	dir, err := resolveDirectory(directory)
	if err != nil {
		return location{}, err
	}
	if why := badName(name); why != "" {
		return location{}, fail(Invalid, "block name %q %s", shorten(name), why)
	}
	return location{directory: dir, name: name}, nil
}

func resolveDirectory(directory string) (string, error) {
	if directory == "" {
		directory = os.Getenv(directoryEnv)
	}
	if directory == "" {
		directory = platform.DefaultDirectory
	}
	if !filepath.IsAbs(directory) {
		return "", fail(Invalid, "block directory %q is not an absolute path: give one that begins with '/'",
			shorten(directory))
	}
	return filepath.Clean(directory), nil
}

func badName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case strings.ContainsRune(name, '/'):
		return "has a '/': give a plain name, and its directory apart from it, or an absolute path"
	case len(name) > layout.MaxNameLen:
		return "is too long: 200 bytes are the limit"
	case name[0] == '.' || name[0] == '-':
		return "begins with '.' or '-'"
	case strings.HasSuffix(name, controlSuffix):
		return "ends in .ctl, which is reserved for control files"
	}
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return "has a character other than letters, digits, '.', '_' and '-'"
		}
	}
	return ""
}

func shorten(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

// parseControl takes the name of a control or temporary file apart.
func parseControl(file string) (name string, id blockID, temporary, ok bool) {
	stem, ok := strings.CutSuffix(file, controlSuffix)
	if !ok {
		return "", id, false, false
	}
	stem, temporary = strings.CutSuffix(stem, strings.TrimSuffix(temporarySuffix, controlSuffix))
	at := len(stem) - 2*layout.BlockIDLen - 1
	if at < 1 || stem[at] != '.' {
		return "", id, false, false
	}
	if n, err := hex.Decode(id[:], []byte(stem[at+1:])); err != nil || n != len(id) || badName(stem[:at]) != "" {
		return "", id, false, false
	}
	return stem[:at], id, temporary, true
}
