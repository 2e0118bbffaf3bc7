package schema

import (
	"cmp"
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

// maxFile is what a file of the registry may have: a schema's text, and the line with its hash.
const maxFile = MaxText + len(hashMark) + 2*HashLen + 1

// Directory is a registry of files, NAME@MAJOR.MINOR.PATCH.schema, in the text form. It needs no server; who may write to the directory may register.
type Directory string

const directoryVariable = "DATABLOCK_SCHEMAS"

// NamedDirectory reports whether the environment says where the default directory is: then it
// ought to be there.
func NamedDirectory() bool { return os.Getenv(directoryVariable) != "" }

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

// List reads every file. The error names each that is damaged; the others are listed all the
// same. Also: ErrNoDirectory.
func (d Directory) List() ([]*Schema, error) {
	files, err := d.files("")
	if err != nil {
		return nil, err
	}
	var all []*Schema
	var damaged []error
	for _, file := range files {
		s, err := d.read(file)
		switch {
		case err != nil:
			damaged = append(damaged, err)
		case s != nil:
			all = append(all, s)
		}
	}
	return all, errors.Join(damaged...)
}

// registration is a file of the registry, as its name says it.
type registration struct {
	name    string
	version Version
}

func (r registration) file() string { return fmt.Sprintf("%s@%s%s", r.name, r.version, suffix) }

// files are those of one name, or of all, by name and version. A file that is not called as this
// package calls one is not of the registry. Errors: ErrNoDirectory.
func (d Directory) files(of string) ([]registration, error) {
	entries, err := platform.ReadDirectory(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the registry of schemas %s: %w: check the path; registering the first schema makes it",
			d, ErrNoDirectory)
	}
	if err != nil {
		return nil, fmt.Errorf("the registry of schemas: %w", err)
	}
	var all []registration
	for _, entry := range entries {
		name, version, _ := strings.Cut(strings.TrimSuffix(entry.Name, suffix), "@")
		v, err := ParseVersion(version)
		if r := (registration{name, v}); err == nil && checkName(name) == nil && r.file() == entry.Name &&
			(of == "" || of == name) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b registration) int {
		return cmp.Or(strings.Compare(a.name, b.name), a.version.Compare(b.version))
	})
	return all, nil
}

func (d Directory) path(s *Schema) string {
	return filepath.Join(string(d), fmt.Sprintf("%s@%s%s", s.Name, s.Version, suffix))
}

// A registered file begins with the hash of its schema, so that one that was changed later is
// noticed.
const hashMark = "// BLAKE2b-256 "

func contents(s *Schema) []byte { return fmt.Appendf(nil, "%s%x\n%s", hashMark, s.Hash(), s.Text()) }

// read is the schema in a file; nil: the file has been withdrawn meanwhile.
func (d Directory) read(r registration) (*Schema, error) {
	path := filepath.Join(string(d), r.file())
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the registry of schemas: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > int64(maxFile) {
		return nil, fmt.Errorf("%s is no schema: it is not a regular file of at most %d bytes; move it away", path,
			maxFile)
	}
	text, err := platform.ReadFile(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the registry of schemas: %w", err)
	}
	return r.parse(path, string(text))
}

func (r registration) parse(path, text string) (*Schema, error) {
	line, rest, _ := strings.Cut(text, "\n")
	hash, marked := strings.CutPrefix(line, hashMark)
	if marked {
		text = rest
	}
	s, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: it was changed; restore it, or remove it", path, err)
	}
	if s.Name != r.name || s.Version != r.version {
		return nil, fmt.Errorf("%s has schema %s %s in it: it was renamed or changed; restore it, or remove it", path,
			s.Name, s.Version)
	}
	if marked && strings.TrimSpace(hash) != fmt.Sprintf("%x", s.Hash()) {
		return nil, fmt.Errorf("%s: its first line has the hash %.64s, and the schema in it has %x: it was changed; "+
			"restore it, or remove it", path, strings.TrimSpace(hash), s.Hash())
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
	files, err := d.files(name)
	if err != nil && !errors.Is(err, ErrNoDirectory) {
		return nil, err
	}
	where := string(d)
	if err != nil {
		where += ", and " + ErrNoDirectory.Error()
	}
	var has []string
	for _, r := range slices.Backward(files) { // the newest first
		v := r.version
		if parts >= 1 && v.Major != wanted.Major || parts >= 2 && v.Minor != wanted.Minor || parts >= 3 &&
			v.Patch != wanted.Patch {
			has = append(has, v.String())
			continue
		}
		s, err := d.read(r)
		if err != nil {
			return nil, fmt.Errorf("%s means %s@%s: %w", reference, name, v, err)
		}
		if s != nil {
			return s, nil
		}
	}
	if has != nil {
		slices.Reverse(has)
		return nil, fmt.Errorf("%w: %s in %s, which has versions %s of it", ErrNotRegistered, reference, d,
			strings.Join(has, ", "))
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
	if err != nil {
		return err
	}
	if there {
		d.addHash(s)
		return nil
	}
	err = platform.WriteNew(d.path(s), contents(s), 0o644)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the registry of schemas: %w", err)
	}
	mine := err == nil
	if _, err := d.fits(s); err != nil { // another process has registered one in between
		if mine {
			_ = os.Remove(d.path(s))
		}
		return err
	}
	return nil
}

// addHash gives a file that was written by hand its hash. Where the user may not write it stays
// as it is, which every reader accepts. A crash in between leaves a whole file under the other
// name, which the next registration moves.
func (d Directory) addHash(s *Schema) {
	text, err := platform.ReadFile(d.path(s), maxFile)
	if err != nil || strings.HasPrefix(string(text), hashMark) {
		return
	}
	next := filepath.Join(string(d), "."+filepath.Base(d.path(s)))
	if err := platform.WriteNew(next, contents(s), 0o644); err == nil || errors.Is(err, fs.ErrExist) {
		_ = os.Rename(next, d.path(s))
	}
}

// fits reports whether the schema is there already, and what it breaks of what is there. A
// damaged file is an error where the rules would need to know what was in it: in the same major
// version.
func (d Directory) fits(s *Schema) (there bool, err error) {
	files, err := d.files(s.Name)
	if err != nil {
		return false, err
	}
	var all []*Schema // a damaged one as its version alone, which is taken
	for _, r := range files {
		other, err := d.read(r)
		if err != nil && r.version.Major == s.Version.Major {
			return false, err
		}
		if err != nil {
			other = &Schema{Name: r.name, Version: r.version}
		}
		if other != nil {
			all = append(all, other)
		}
	}
	for _, other := range all {
		if other.Version.Major != s.Version.Major {
			continue
		}
		err = nil
		switch other.Version.Compare(s.Version) {
		case 0:
			if other.Hash() != s.Hash() {
				why := fmt.Sprintf("schema %s %s is there, and is another struct: %s", s.Name, s.Version,
					advice(all, s))
				return false, fmt.Errorf("%w: %w", ErrRules,
					&Mismatch{Producer: s, Consumer: other, Differences: Diff(s, other), rule: why})
			}
			there = true
		case -1:
			err = collision(other, s, all)
		case 1:
			err = collision(s, other, all)
		}
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrRules, err)
		}
	}
	return there, nil
}
