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

// Registry keeps schemas under their names and versions, and enforces the version rules. A
// directory is a registry; a broker on the network may be another.
type Registry interface {
	// Register adds a schema. Adding the same schema again does nothing. Register refuses a schema
	// that breaks the version rules, or that gives a version another meaning.
	Register(s *Schema) error
	// Lookup returns the newest schema that a reference can mean: "Name", "Name@2", "Name@2.1" or
	// "Name@2.1.0". Errors: ErrNotRegistered.
	Lookup(reference string) (*Schema, error)
	// List returns all schemas, by name and version.
	List() ([]*Schema, error)
}

// ErrNotRegistered is the error of Lookup for a name or version that is not registered.
var ErrNotRegistered = errors.New("no such schema is registered")

// ErrReference is the error of Lookup for a malformed reference.
var ErrReference = errors.New("write Name, Name@2, Name@2.1 or Name@2.1.0")

// ErrNoDirectory is the error of List where there is no registry.
var ErrNoDirectory = errors.New("there is no such directory")

// ErrRules is the error of Register for a schema that is incompatible with the registered ones.
var ErrRules = errors.New("not registered")

const suffix = ".schema"

// maxFile is the size limit of a file of the registry: a schema's text, and the line with the hash.
const maxFile = MaxText + len(hashMark) + 2*HashLen + 1

// Directory is a registry of files, NAME@MAJOR.MINOR.PATCH.schema, in the text form. It needs no
// server. Every user with write permission for the directory may register schemas.
type Directory string

const directoryVariable = "DATABLOCK_SCHEMAS"

// NamedDirectory reports whether the environment names the default directory. Then the directory
// should exist.
func NamedDirectory() bool { return os.Getenv(directoryVariable) != "" }

// DefaultDirectory is $DATABLOCK_SCHEMAS, else datablock/schemas in $XDG_DATA_HOME, else in
// ~/.local/share. On Windows it is %DATABLOCK_SCHEMAS%, else DataBlock\schemas in %LOCALAPPDATA%.
// The error says that none of these is set.
func DefaultDirectory() (Directory, error) {
	if dir := os.Getenv(directoryVariable); dir != "" {
		return Directory(dir), nil
	}
	data, err := platform.DataDirectory()
	if err != nil {
		return "", fmt.Errorf("the registry of schemas: %w; set DATABLOCK_SCHEMAS to its directory", err)
	}
	return Directory(filepath.Join(data, "schemas")), nil
}

// List reads every file. The error names each damaged file; the other files are still listed. Also:
// ErrNoDirectory.
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

// registration is a file of the registry, as its name describes it.
type registration struct {
	name    string
	version Version
}

func (r registration) file() string { return fmt.Sprintf("%s@%s%s", r.name, r.version, suffix) }

// files returns the registrations of one name, or of all names, by name and version. A file whose
// name does not follow the scheme does not belong to the registry. Errors: ErrNoDirectory.
func (d Directory) files(of string) ([]registration, error) {
	entries, err := platform.ReadDirectory(string(d))
	if link := dangling(string(d)); errors.Is(err, fs.ErrNotExist) && link != nil {
		return nil, fmt.Errorf("the registry of schemas: %w", link)
	}
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

// A registered file begins with the hash of its schema, so that a later change of the file is
// noticed.
const hashMark = "// BLAKE2b-256 "

func contents(s *Schema) []byte { return fmt.Appendf(nil, "%s%x\n%s", hashMark, s.Hash(), s.Text()) }

// read returns the schema in a file; nil: the file was withdrawn meanwhile.
func (d Directory) read(r registration) (*Schema, error) {
	path := filepath.Join(string(d), r.file())
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, dangling(path)
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

// dangling returns the error for a symbolic link that leads to no file. Such a link is no file that
// was withdrawn: its name is taken.
func dangling(path string) error {
	target, err := os.Readlink(path)
	if err != nil {
		return nil
	}
	return fmt.Errorf("%s cannot be read: it is a symbolic link that leads to no file (%s); restore that file, or "+
		"remove the link", path, target)
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

// Lookup implements Registry. Errors: ErrReference, ErrNotRegistered, and those of reading files.
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

// Register implements Registry. Errors: ErrRules; a schema without a version; those of writing the
// file. If two processes register incompatible schemas at the same time,
// both may be refused; then neither is registered.
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

// addHash adds the hash to a file that was written by hand. Without write permission the file stays
// unchanged, and every reader accepts it. A crash in between leaves a complete file under the other
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

// fits reports whether the schema is registered already, and which rules it breaks. A damaged file
// is an error where the rules need its contents: in the same major version.
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
