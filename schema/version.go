package schema

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Version is major.minor.patch. It is not part of a schema's hash.
type Version struct{ Major, Minor, Patch uint32 }

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Compare returns -1, 0 or 1.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Patch, w.Patch))
}

// ParseVersion reads "2", "2.1" or "2.1.0". Missing parts are 0. Any other text is an
// error.
func ParseVersion(text string) (v Version, err error) {
	parts := strings.Split(text, ".")
	if len(parts) > 3 {
		return v, fmt.Errorf("the version %q: use major.minor.patch", text)
	}
	into := []*uint32{&v.Major, &v.Minor, &v.Patch}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return Version{}, fmt.Errorf("the version %q: use major.minor.patch, numbers up to %d", text,
				uint32(1<<32-1))
		}
		*into[i] = uint32(n)
	}
	return v, nil
}

// CheckSuccessor reports why `next` may not follow `old` under one name; nil if it may. A change
// that breaks consumers of the old schema needs a new major version. A change that only adds fields
// needs at least a new minor version. No version ever means two structs. The error names a valid
// version.
func CheckSuccessor(old, next *Schema) error {
	if old.Name != next.Name {
		return fmt.Errorf("schema %s cannot follow %s: the names differ", next.Name, old.Name)
	}
	if next.Version.Compare(old.Version) < 0 {
		return fmt.Errorf("schema %s: version %s comes after %s: versions only rise", old.Name, next.Version,
			old.Version)
	}
	return collision(old, next, []*Schema{old, next})
}

// collision is CheckSuccessor for two schemas of one name, in their order. `all` are the schemas
// whose versions are taken.
func collision(old, next *Schema, all []*Schema) error {
	why := conflict(old, next)
	if why == "" {
		return nil
	}
	return &Mismatch{Producer: next, Consumer: old, Differences: Diff(next, old), rule: why + ": " + advice(all, next)}
}

// conflict says why `next` may not follow `old`, "" if it may.
func conflict(old, next *Schema) string {
	if old.Hash() == next.Hash() || old.Version.Major != next.Version.Major {
		return ""
	}
	if len(breaks(Diff(next, old))) > 0 {
		return fmt.Sprintf("readers of %s would misread it", old.Version)
	}
	if next.Version.Minor == old.Version.Minor {
		return fmt.Sprintf("it has fields that %s has not", old.Version)
	}
	return ""
}

// advice returns the version under which the schema is compatible with all registered ones: a minor
// version if possible, else the next major version.
func advice(all []*Schema, s *Schema) string {
	minor, major := uint64(s.Version.Minor), uint64(s.Version.Major)
	for _, other := range all {
		if other.Version.Major == s.Version.Major {
			minor = max(minor, uint64(other.Version.Minor)+1)
		}
		major = max(major, uint64(other.Version.Major))
	}
	try := *s
	if try.Version = (Version{s.Version.Major, uint32(minor), 0}); minor <= math.MaxUint32 && goesWith(all, &try) {
		return fmt.Sprintf("it needs version %s", try.Version)
	}
	if major == math.MaxUint32 {
		return "it needs a new major version, and there is none left: give it another name"
	}
	return fmt.Sprintf("it needs version %s", Version{Major: uint32(major) + 1})
}

// goesWith reports whether the schema, whose version is above all of its major version, may follow
// them.
func goesWith(all []*Schema, s *Schema) bool {
	for _, other := range all {
		if other.Version != s.Version && conflict(other, s) != "" {
			return false
		}
	}
	return true
}
