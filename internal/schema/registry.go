package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"datablock/internal/platform"
)

// Registry keeps schemas under their names and versions, and keeps them to the version rules. A directory is one; a broker on the network may be another.
type Registry interface {
	// Register adds a schema. Adding it again does nothing; what breaks the version rules, or gives a version another meaning, is refused.
	Register(s *Schema) error
	// Lookup is the newest schema that a reference, "Name", "Name@2", "Name@2.1" or "Name@2.1.0", may mean. Errors: ErrNotRegistered.
	Lookup(reference string) (*Schema, error)
	// List is all of them, by name and version.
	List() ([]*Schema, error)
}

// ErrNotRegistered is what Lookup says of a name or version that it has not.
var ErrNotRegistered = errors.New("no such schema is registered")

// ErrReference is what Lookup says of a reference that names nothing.
var ErrReference = errors.New("write Name, Name@2, Name@2.1 or Name@2.1.0")

// ErrNoDirectory is what List says where there is no registry.
var ErrNoDirectory = errors.New("there is no such directory")

// ErrRules is what Register says of a schema that does not go together with what is registered.
var ErrRules = errors.New("not registered")

const suffix = ".schema"

// Directory is a registry of files, NAME@MAJOR.MINOR.PATCH.schema, in the text form. It needs no server; who may write to the directory may register.
type Directory string

const directoryVariable = "DATABLOCK_SCHEMAS"

// Named reports whether somebody said where the default directory is: then it ought to be there.
func Named() bool { return os.Getenv(directoryVariable) != "" }

// DefaultDirectory is $DATABLOCK_SCHEMAS, else datablock/schemas in $XDG_DATA_HOME, else in ~/.local/share.
func DefaultDirectory() (Directory, error) {
	if dir := os.Getenv(directoryVariable); dir != "" {
		return Directory(dir), nil
	}
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("the registry of schemas: %w; set DATABLOCK_SCHEMAS to its directory", err)
		}
		data = filepath.Join(home, ".local", "share")
	}
	return Directory(filepath.Join(data, "datablock", "schemas")), nil
}

// List reads every file; one that is damaged is an error, and says which. Also: ErrNoDirectory.
func (d Directory) List() ([]*Schema, error) {
	files, err := platform.ReadDirectory(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the registry of schemas %s: %w: check the path; registering the first schema makes it", d, ErrNoDirectory)
	}
	if err != nil {
		return nil, fmt.Errorf("the registry of schemas: %w", err)
	}
	var all []*Schema
	for _, file := range files {
		if !strings.HasSuffix(file.Name, suffix) || strings.HasPrefix(file.Name, ".") {
			continue
		}
		s, err := d.read(file.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // withdrawn meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Schema) int {
		if a.Name != b.Name {
			return strings.Compare(a.Name, b.Name)
		}
		return a.Version.Compare(b.Version)
	})
	return all, nil
}

func (d Directory) path(s *Schema) string {
	return filepath.Join(string(d), fmt.Sprintf("%s@%s%s", s.Name, s.Version, suffix))
}

func (d Directory) read(name string) (*Schema, error) {
	path := filepath.Join(string(d), name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxText {
		return nil, fmt.Errorf("%s is no schema: it is not a regular file of at most %d bytes; move it away", path, MaxText)
	}
	text, err := platform.ReadFile(path, MaxText)
	if err != nil {
		return nil, fmt.Errorf("the registry of schemas: %w", err)
	}
	s, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: it was changed; restore it, or remove it", path, err)
	}
	if d.path(s) != path {
		return nil, fmt.Errorf("%s has schema %s %s in it: it was renamed or changed; restore it, or remove it", path, s.Name, s.Version)
	}
	return s, nil
}

// Lookup implements Registry.
func (d Directory) Lookup(reference string) (*Schema, error) {
	name, version, _ := strings.Cut(reference, "@")
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("the reference %q: %v; %w", reference, err, ErrReference)
	}
	parts := 0
	var wanted Version
	if version != "" {
		var err error
		if wanted, err = ParseVersion(version); err != nil {
			return nil, fmt.Errorf("the reference %q: %v; %w", reference, err, ErrReference)
		}
		parts = 1 + strings.Count(version, ".")
	}
	all, err := d.List()
	if err != nil && !errors.Is(err, ErrNoDirectory) {
		return nil, err
	}
	where := string(d)
	if err != nil {
		where += ", and " + ErrNoDirectory.Error()
	}
	var found *Schema
	var has []string
	for _, s := range all {
		if s.Name != name {
			continue
		}
		has = append(has, s.Version.String())
		v := s.Version
		if parts < 1 || v.Major == wanted.Major && (parts < 2 || v.Minor == wanted.Minor) && (parts < 3 || v.Patch == wanted.Patch) {
			found = s
		}
	}
	switch {
	case found != nil:
		return found, nil
	case has != nil:
		return nil, fmt.Errorf("%w: %s in %s, which has versions %s of it", ErrNotRegistered, reference, d, strings.Join(has, ", "))
	}
	return nil, fmt.Errorf("%w: %s in %s", ErrNotRegistered, reference, where)
}

// Register implements Registry. Two that register at the same moment may both be refused, if they do not go together; then neither is there.
func (d Directory) Register(s *Schema) error {
	if s.Version == (Version{}) {
		return fmt.Errorf("schema %s has no version: give it one, such as 1.0.0, to register it", s.Name)
	}
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return fmt.Errorf("the registry of schemas: %w", err)
	}
	there, err := d.fits(s)
	if err != nil || there {
		return err
	}
	err = platform.WriteNew(d.path(s), []byte(s.Text()), 0o644)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the registry of schemas: %w", err)
	}
	mine := err == nil
	if _, err := d.fits(s); err != nil { // somebody else has come in between
		if mine {
			_ = os.Remove(d.path(s))
		}
		return err
	}
	return nil
}

// fits reports whether the schema is there already, and what it breaks of what is there.
func (d Directory) fits(s *Schema) (there bool, err error) {
	all, err := d.List()
	if err != nil {
		return false, err
	}
	for _, other := range all {
		if other.Name != s.Name {
			continue
		}
		switch other.Version.Compare(s.Version) {
		case 0:
			if other.Hash() != s.Hash() {
				return false, fmt.Errorf("%w: schema %s %s is there, and is another struct: %w", ErrRules, s.Name, s.Version, &Mismatch{Producer: s, Consumer: other, Differences: Diff(s, other)})
			}
			there = true
		case -1:
			err = CheckSuccessor(other, s)
		case 1:
			err = CheckSuccessor(s, other)
		}
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrRules, err)
		}
	}
	return there, nil
}
