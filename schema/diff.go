package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Change is how a field differs.
type Change string

// The changes. If a field has several changes, the first of this list is reported.
const (
	Missing   Change = "missing"   // only the consumer has the field
	Added     Change = "added"     // only the producer has the field
	Renamed   Change = "renamed"   // the same place and type, another name
	Retyped   Change = "retyped"   // another type
	Resized   Change = "resized"   // another count
	Moved     Change = "moved"     // another offset
	Resizing  Change = "size"      // of the struct
	Realigned Change = "alignment" // of the struct
	OtherName Change = "name"      // of the schema
	Reordered Change = "reordered" // moved with others: the same fields in another order
)

// Difference is one difference of two schemas.
type Difference struct {
	Field    string `json:"field,omitempty"` // path of the field, "": the whole struct
	Change   Change `json:"change"`
	Producer string `json:"producer,omitempty"` // type@offset, "": missing
	Consumer string `json:"consumer,omitempty"`
}

func (d Difference) String() string {
	what := string(d.Change)
	if d.Field != "" {
		what = fmt.Sprintf("field %q %s", d.Field, d.Change)
	}
	text := fmt.Sprintf("%s: producer %s, consumer %s", what, orNone(d.Producer), orNone(d.Consumer))
	if d.Change == Realigned && (d.Producer == "1" || d.Consumer == "1") {
		text += " (1 is packed, as a NumPy dtype is without align=True)"
	}
	return text
}

func orNone(side string) string {
	if side == "" {
		return "has none"
	}
	return side
}

// Diff lists all differences of the schemas except the version. If the list is empty, the hashes
// are equal.
func Diff(producer, consumer *Schema) []Difference {
	var found []Difference
	if producer.Name != consumer.Name {
		found = append(found, Difference{Change: OtherName, Producer: producer.Name, Consumer: consumer.Name})
	}
	return append(found, diffLayouts("", &producer.Layout, &consumer.Layout)...)
}

func diffLayouts(path string, p, c *Layout) (found []Difference) {
	theirs := map[string]*Field{}
	for i := range p.Fields {
		theirs[p.Fields[i].Name] = &p.Fields[i]
	}
	wanted := map[string]bool{}
	for _, f := range c.Fields {
		wanted[f.Name] = true
	}
	renamed := map[string]bool{} // fields of the producer
	for i := range c.Fields {
		f := &c.Fields[i]
		if t := theirs[f.Name]; t != nil {
			found = append(found, diffField(path+f.Name, t, f)...)
			continue
		}
		d := Difference{Field: path + f.Name, Change: Missing, Consumer: side(f)}
		for _, t := range p.Fields {
			if !wanted[t.Name] && t.Offset == f.Offset && t.Type.String() == f.Type.String() {
				d.Change, d.Producer = Renamed, t.Name+" "+side(&t)
				renamed[t.Name] = true
			}
		}
		found = append(found, d)
	}
	for _, t := range p.Fields {
		if !wanted[t.Name] && !renamed[t.Name] {
			found = append(found, Difference{Field: path + t.Name, Change: Added, Producer: side(&t)})
		}
	}
	found = reordered(path, found, p, c)
	if p.Size != c.Size {
		found = append(found, Difference{Field: strings.TrimSuffix(path, "."), Change: Resizing,
			Producer: fmt.Sprint(p.Size), Consumer: fmt.Sprint(c.Size)})
	}
	if p.Align != c.Align {
		found = append(found, Difference{Field: strings.TrimSuffix(path, "."), Change: Realigned,
			Producer: fmt.Sprint(p.Align), Consumer: fmt.Sprint(c.Align)})
	}
	return found
}

// reordered reports fields that have moved because their order differs. It does not report the
// fields inside them, whose order belongs to their own struct.
func reordered(path string, found []Difference, p, c *Layout) []Difference {
	rank := map[string]int{}
	for i, f := range p.Fields {
		rank[f.Name] = i
	}
	var shared []Field // of the consumer, in its order
	for _, f := range c.Fields {
		if _, ok := rank[f.Name]; ok {
			shared = append(shared, f)
		}
	}
	if slices.IsSortedFunc(shared, func(a, b Field) int { return rank[a.Name] - rank[b.Name] }) {
		return found
	}
	for i := range found {
		if found[i].Change == Moved && !strings.Contains(found[i].Field[len(path):], ".") {
			found[i].Change = Reordered
		}
	}
	return found
}

func diffField(path string, p, c *Field) []Difference {
	change := Change("")
	switch {
	case p.Type.Kind != c.Type.Kind:
		change = Retyped
	case !slices.Equal(p.Type.Dims, c.Type.Dims):
		change = Resized
	case p.Offset != c.Offset:
		change = Moved
	}
	var found []Difference
	if change != "" {
		found = append(found, Difference{Field: path, Change: change, Producer: side(p), Consumer: side(c)})
	}
	if p.Type.Kind == Struct && c.Type.Kind == Struct {
		found = append(found, diffLayouts(path+".", p.Type.Nested, c.Type.Nested)...)
	}
	return found
}

// side describes a field as one side has it. Of a struct it says only that the field is a struct,
// because its fields are compared separately.
func side(f *Field) string {
	t := Type{Kind: f.Type.Kind, Dims: f.Type.Dims, Nested: f.Type.Nested}
	if t.Kind == Struct {
		text := "struct"
		for _, d := range t.Dims {
			text += fmt.Sprintf("[%d]", d)
		}
		return fmt.Sprintf("%s@%d", text, f.Offset)
	}
	return fmt.Sprintf("%s@%d", t, f.Offset)
}

// breaks returns the differences that keep a consumer from reading the producer's messages. These
// are all differences, except fields that the producer added at the top level, and the larger
// struct size that follows from them.
func breaks(differences []Difference) (breaking []Difference) {
	for _, d := range differences {
		top := !strings.Contains(d.Field, ".")
		if top && d.Change == Added || d.Field == "" && d.Change == Resizing && larger(d) || d.Field == "" &&
			d.Change == Realigned {
			continue
		}
		breaking = append(breaking, d)
	}
	return breaking
}

func larger(d Difference) bool {
	return len(d.Producer) > len(d.Consumer) || len(d.Producer) == len(d.Consumer) && d.Producer > d.Consumer
}

// Mode is how closely the schemas have to match.
type Mode uint8

// The modes.
const (
	// Compatible: the same name and major version. The producer has every field of the consumer,
	// with the same type, count and offset.
	Compatible Mode = iota
	Exact           // and the hashes are equal
)

// Mismatch says why a consumer cannot read the messages of a producer.
type Mismatch struct {
	Producer, Consumer *Schema
	Differences        []Difference
	rule               string
}

const named = 8 // differences in a message

func (m *Mismatch) Error() string {
	text := fmt.Sprintf("schema differs: producer %s %s, consumer %s %s", m.Producer.Name, m.Producer.Version,
		m.Consumer.Name, m.Consumer.Version)
	if m.rule != "" {
		text += "; " + m.rule
	}
	for i, d := range m.Differences {
		if i == named {
			text += fmt.Sprintf("; and %d more", len(m.Differences)-named)
			break
		}
		text += "; " + d.String()
	}
	return text
}

// OtherSchema says why two schemas are not the same: the differences, and the major version where
// it differs.
func OtherSchema(producer, consumer *Schema) *Mismatch {
	m := &Mismatch{Producer: producer, Consumer: consumer, Differences: Diff(producer, consumer)}
	if producer.Name == consumer.Name && producer.Version.Major != consumer.Version.Major {
		m.rule = majors(producer.Version, consumer.Version)
	}
	return m
}

// majors says why two major versions are incompatible. The program of a schema without a version
// mostly forgot to give one.
func majors(producer, consumer Version) string {
	for _, side := range []struct {
		name       string
		own, other Version
	}{{"producer", producer, consumer}, {"consumer", consumer, producer}} {
		if side.own == (Version{}) {
			return fmt.Sprintf("the %s's schema has no version (0.0.0): give it one, such as %s, where it is described",
				side.name, side.other)
		}
	}
	return "another major version is another struct"
}

// Check reports why a consumer that expects `consumer` cannot read messages of `producer`; nil if
// it can. The error is a *Mismatch.
func Check(producer, consumer *Schema, mode Mode) error {
	differences := Diff(producer, consumer)
	m := &Mismatch{Producer: producer, Consumer: consumer, Differences: differences}
	switch {
	case producer.Name == consumer.Name && producer.Version.Major != consumer.Version.Major:
		m.rule = majors(producer.Version, consumer.Version)
		return m
	case mode == Exact && len(differences) > 0:
		m.rule = "the consumer asks for exactly its own"
		return m
	}
	if m.Differences = breaks(differences); len(m.Differences) > 0 {
		return m
	}
	return nil
}
