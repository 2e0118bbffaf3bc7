package schema

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Version is major.minor.patch. It is no part of a schema's hash.
type Version struct{ Major, Minor, Patch uint32 }

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Compare is -1, 0 or 1.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Patch, w.Patch))
}

// ParseVersion reads "2", "2.1" or "2.1.0"; what is left out is 0.
func ParseVersion(text string) (v Version, err error) {
	parts := strings.Split(text, ".")
	if len(parts) > 3 {
		return v, fmt.Errorf("the version %q: use major.minor.patch", text)
	}
	into := []*uint32{&v.Major, &v.Minor, &v.Patch}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return Version{}, fmt.Errorf("the version %q: use major.minor.patch, numbers up to %d", text, uint32(1<<32-1))
		}
		*into[i] = uint32(n)
	}
	return v, nil
}

// CheckSuccessor reports why `next` may not follow `old` under one name, nil if it may: what breaks readers of the old one needs a new major version, what only adds fields at least a new
// minor one, and no version ever means two structs.
func CheckSuccessor(old, next *Schema) error {
	if old.Name != next.Name {
		return fmt.Errorf("schema %s cannot follow %s: the names differ", next.Name, old.Name)
	}
	if next.Version.Compare(old.Version) < 0 {
		return fmt.Errorf("schema %s: version %s comes after %s: versions only rise", old.Name, next.Version, old.Version)
	}
	if old.Hash() == next.Hash() {
		return nil
	}
	breaking := len(breaks(Diff(next, old))) > 0
	switch {
	case breaking && next.Version.Major == old.Version.Major:
		return &Mismatch{Producer: next, Consumer: old, Differences: Diff(next, old), rule: fmt.Sprintf("readers of %s would misread it: it needs version %d.0.0", old.Version, old.Version.Major+1)}
	case !breaking && next.Version.Major == old.Version.Major && next.Version.Minor == old.Version.Minor:
		return &Mismatch{Producer: next, Consumer: old, Differences: Diff(next, old), rule: fmt.Sprintf("it has fields that %s has not: it needs version %d.%d.0", old.Version, old.Version.Major, old.Version.Minor+1)}
	}
	return nil
}
