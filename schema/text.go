package schema

import (
	"fmt"
	"strings"
)

// Text returns the schema in the text form, for readers. It parses to the same schema. Offsets,
// sizes and alignments appear only where they differ from the result of the rules.
func (s *Schema) Text() string {
	var b strings.Builder
	packed := s.packed()
	if packed {
		b.WriteString("packed ")
	}
	fmt.Fprintf(&b, "schema %s %s ", s.Name, s.Version)
	s.write(&b, packed, "")
	b.WriteString("\n")
	return b.String()
}

// packed reports whether the struct is written as packed.
func (l *Layout) packed() bool {
	if l.Align != 1 {
		return false
	}
	natural := uint64(1)
	for _, f := range l.Fields {
		natural = max(natural, f.Type.Align())
	}
	return natural > 1
}

func (l *Layout) write(b *strings.Builder, packed bool, indent string) {
	b.WriteString("{\n")
	end := uint64(0)
	for _, f := range l.Fields {
		fmt.Fprintf(b, "%s    %s: ", indent, f.Name)
		if f.Type.Kind == Struct {
			p := f.Type.Nested.packed()
			if p {
				b.WriteString("packed ")
			}
			f.Type.Nested.write(b, p, indent+"    ")
		} else {
			b.WriteString(f.Type.Kind.String())
		}
		for _, d := range f.Type.Dims {
			fmt.Fprintf(b, "[%d]", d)
		}
		if f.Offset != place(end, f.Type, packed) {
			fmt.Fprintf(b, " @ %d", f.Offset)
		}
		b.WriteString(";\n")
		end = f.end()
	}
	b.WriteString(indent + "}")
	rule := Layout{Fields: l.Fields}
	rule.close(packed)
	aligned := l.Align != rule.Align
	if aligned {
		rule = Layout{Fields: l.Fields, Align: l.Align}
		rule.close(packed)
	}
	if l.Size != rule.Size {
		fmt.Fprintf(b, " size %d", l.Size)
	}
	if aligned {
		fmt.Fprintf(b, " align %d", l.Align)
	}
}
