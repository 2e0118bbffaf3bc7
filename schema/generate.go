package schema

import (
	"fmt"
	"slices"
	"strings"
)

// natural returns the largest alignment of the fields, and whether each field is at a multiple of
// its own alignment: what compilers do by default.
func (l *Layout) natural() (align uint64, placed bool) {
	align, placed = 1, true
	for _, f := range l.Fields {
		align = max(align, f.Type.Align())
		placed = placed && f.Offset%f.Type.Align() == 0
	}
	return align, placed
}

// Languages are the languages that Generate knows.
var Languages = []string{"c", "cpp", "go", "python"}

// Generate returns source code of a type with the schema's layout in a language. The code checks
// the layout at compile time where the language can do so. Where a language cannot express a layout
// (an alignment, or a gap inside packed structs), the code uses padding.
//
// Errors: an unknown language; a layout that Go cannot express.
func Generate(s *Schema, language string) (string, error) {
	switch language {
	case "c", "cpp":
		return generateC(s, language == "cpp"), nil
	case "go":
		return generateGo(s)
	case "python":
		return generatePython(s), nil
	}
	return "", fmt.Errorf("the language %q: use one of %s", language, strings.Join(Languages, ", "))
}

// ---- C and C++ ----

var ofC = map[Kind]string{I8: "int8_t", I16: "int16_t", I32: "int32_t", I64: "int64_t", U8: "uint8_t", U16: "uint16_t",
	U32: "uint32_t", U64: "uint64_t", F32: "float", F64: "double", Bool: "bool", Char: "char"}

func generateC(s *Schema, cpp bool) string {
	var b strings.Builder
	assert, include := "_Static_assert", "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n"
	if cpp {
		assert, include = "static_assert", "#include <cstddef>\n#include <cstdint>\n"
	}
	fmt.Fprintf(&b, "/* Schema %s %s. */\n%s\n", s.Name, s.Version, include)
	writeC(&b, s.Name, &s.Layout)
	assertC(&b, assert, s.Name, &s.Layout)
	return b.String()
}

// writeC writes the inner structs first. All gaps are members, so that the compiler decides
// nothing. Attributes express a layout that the compiler would not choose.
func writeC(b *strings.Builder, name string, l *Layout) {
	for _, f := range l.Fields {
		if f.Type.Kind == Struct {
			writeC(b, name+"_"+f.Name, f.Type.Nested)
		}
	}
	attributes := ""
	switch natural, placed := l.natural(); {
	case !placed || natural > l.Align:
		attributes = fmt.Sprintf("__attribute__((packed, aligned(%d))) ", l.Align)
	case natural < l.Align:
		attributes = fmt.Sprintf("__attribute__((aligned(%d))) ", l.Align)
	}
	fmt.Fprintf(b, "typedef struct %s%s {\n", attributes, name)
	at, gaps := uint64(0), 0
	gap := func(to uint64) {
		if to > at {
			fmt.Fprintf(b, "    uint8_t %s[%d];\n", unused(l, "padding", gaps), to-at)
			gaps++
		}
	}
	for _, f := range l.Fields {
		gap(f.Offset)
		of := ofC[f.Type.Kind]
		if f.Type.Kind == Struct {
			of = name + "_" + f.Name
		}
		fmt.Fprintf(b, "    %s %s%s;\n", of, inC(f.Name), brackets(f.Type.Dims))
		at = f.end()
	}
	gap(l.Size)
	fmt.Fprintf(b, "} %s;\n\n", name)
}

func assertC(b *strings.Builder, assert, name string, l *Layout) {
	fmt.Fprintf(b, "%s(sizeof(%s) == %d, \"the size of %s\");\n", assert, name, l.Size, name)
	for _, f := range l.Fields {
		fmt.Fprintf(b, "%s(offsetof(%s, %s) == %d, \"where %s.%s is\");\n", assert, name, inC(f.Name), f.Offset, name,
			f.Name)
	}
	for _, f := range l.Fields {
		if f.Type.Kind == Struct {
			assertC(b, assert, name+"_"+f.Name, f.Type.Nested)
		}
	}
}

// reservedInC are the words that C11 and C++20 reserve, as far as a field may have such a name.
const reservedInC = " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t " +
	"char32_t class compl concept const consteval constexpr constinit const_cast continue " +
	"co_await co_return co_yield decltype default delete do double dynamic_cast else enum explicit export extern " +
	"false float for friend goto if inline int long mutable namespace new noexcept not " +
	"not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires restrict return " +
	"short signed sizeof static static_assert static_cast struct switch template this " +
	"thread_local throw true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t " +
	"while xor xor_eq _Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert " +
	"_Thread_local NULL offsetof "

// inC returns a field's name in C. Where C or C++ reserves the word, an underscore follows.
func inC(name string) string {
	if strings.Contains(reservedInC, " "+name+" ") {
		return name + "_"
	}
	return name
}

func brackets(dims []uint64) (text string) {
	for _, d := range dims {
		text += fmt.Sprintf("[%d]", d)
	}
	return text
}

// unused returns a name that no field has.
func unused(l *Layout, stem string, number int) string {
	name := fmt.Sprintf("%s%d", stem, number)
	for slices.ContainsFunc(l.Fields, func(f Field) bool { return f.Name == name }) {
		name += "_"
	}
	return name
}

// ---- Go ----

var goOf = map[Kind]string{I8: "int8", I16: "int16", I32: "int32", I64: "int64", U8: "uint8", U16: "uint16",
	U32: "uint32", U64: "uint64", F32: "float32", F64: "float64", Bool: "bool", Char: "byte"}

func generateGo(s *Schema) (string, error) {
	if err := inGo(&s.Layout); err != nil {
		return "", fmt.Errorf("schema %s has no type in Go: %w", s.Name, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "package schemas\n\nimport \"unsafe\"\n\n// %s is schema %s %s.\ntype %s ", exported(s.Name),
		s.Name, s.Version, exported(s.Name))
	writeGo(&b, &s.Layout, "")
	fmt.Fprintf(&b, "\n\n// The compiler's layout is the schema's.\nconst (\n\t_ = uint(unsafe.Sizeof(%[1]s{}) - "+
		"%[2]d)\n\t_ = uint(%[2]d - unsafe.Sizeof(%[1]s{}))\n", exported(s.Name), s.Size)
	for i, name := range exportedFields(&s.Layout) {
		fmt.Fprintf(&b, "\t_ = uint(unsafe.Offsetof(%[1]s{}.%[2]s) - %[3]d)\n\t_ = uint(%[3]d - "+
			"unsafe.Offsetof(%[1]s{}.%[2]s))\n", exported(s.Name), name, s.Fields[i].Offset)
	}
	b.WriteString(")\n")
	return b.String(), nil
}

// inGo reports why Go, which has no packed structs, cannot have the layout.
func inGo(l *Layout) error {
	natural := uint64(1)
	for _, f := range l.Fields {
		if f.Type.Kind == Struct {
			if err := inGo(f.Type.Nested); err != nil {
				return fmt.Errorf("field %q: %w", f.Name, err)
			}
		}
		natural = max(natural, f.Type.Align())
		if f.Offset%f.Type.Align() != 0 {
			return fmt.Errorf("field %q is at %d, and Go aligns it to %d: read its bytes with encoding/binary", f.Name,
				f.Offset, f.Type.Align())
		}
	}
	if natural != l.Align {
		return fmt.Errorf("an alignment of %d where Go has %d: read its bytes with encoding/binary", l.Align, natural)
	}
	return nil
}

func writeGo(b *strings.Builder, l *Layout, indent string) {
	b.WriteString("struct {\n")
	at := uint64(0)
	gap := func(to, align uint64) {
		if roundUp(at, align) != to {
			fmt.Fprintf(b, "%s\t_ [%d]byte\n", indent, to-at)
		}
	}
	names := exportedFields(l)
	for i, f := range l.Fields {
		gap(f.Offset, f.Type.Align())
		fmt.Fprintf(b, "%s\t%s %s", indent, names[i], brackets(f.Type.Dims))
		if f.Type.Kind == Struct {
			writeGo(b, f.Type.Nested, indent+"\t")
		} else {
			b.WriteString(goOf[f.Type.Kind])
		}
		option := ""
		if f.Type.Kind == Char {
			option = ",char"
		}
		fmt.Fprintf(b, " `datablock:\"%s%s\"`\n", f.Name, option)
		at = f.end()
	}
	gap(l.Size, l.Align)
	b.WriteString(indent + "}")
}

// exportedFields returns the names of a struct's fields in Go. If two fields would have the same
// name, the later one gets an underscore.
func exportedFields(l *Layout) (names []string) {
	for _, f := range l.Fields {
		name := exported(f.Name)
		for slices.Contains(names, name) {
			name += "_"
		}
		names = append(names, name)
	}
	return names
}

// exported turns timestamp_ns into TimestampNs.
func exported(name string) string {
	var b strings.Builder
	for _, part := range strings.Split(name, "_") {
		if part == "" {
			b.WriteByte('_')
			continue
		}
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	if c := b.String()[0]; c < 'A' || c > 'Z' {
		return "X" + b.String()
	}
	return b.String()
}

// ---- Python ----

var ofCtypes = map[Kind]string{I8: "c_int8", I16: "c_int16", I32: "c_int32", I64: "c_int64", U8: "c_uint8",
	U16: "c_uint16", U32: "c_uint32", U64: "c_uint64", F32: "c_float", F64: "c_double", Bool: "c_bool", Char: "c_char"}

var ofNumPy = map[Kind]string{I8: "i1", I16: "<i2", I32: "<i4", I64: "<i8", U8: "u1", U16: "<u2", U32: "<u4",
	U64: "<u8", F32: "<f4", F64: "<f8", Bool: "?", Char: "S"}

func generatePython(s *Schema) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\"\"\"Schema %s %s.\"\"\"\n\nimport ctypes\n\nimport numpy\n\n", s.Name, s.Version)
	writeCtypes(&b, s.Name, &s.Layout)
	fmt.Fprintf(&b, "assert ctypes.sizeof(%s) == %d\n", s.Name, s.Size)
	for _, f := range s.Fields {
		fmt.Fprintf(&b, "assert getattr(%s, %q).offset == %d\n", s.Name, f.Name, f.Offset)
	}
	fmt.Fprintf(&b, "\n%s_DTYPE = %s\n", s.Name, numPy(&s.Layout))
	return b.String()
}

func writeCtypes(b *strings.Builder, name string, l *Layout) {
	for _, f := range l.Fields {
		if f.Type.Kind == Struct {
			writeCtypes(b, name+"_"+f.Name, f.Type.Nested)
		}
	}
	fmt.Fprintf(b, "class %s(ctypes.Structure):\n", name)
	packed, natural := l.packedInPython()
	if packed {
		b.WriteString("    _pack_ = 1\n    _layout_ = \"ms\"\n")
		natural = 1
	}
	if natural < l.Align {
		fmt.Fprintf(b, "    _align_ = %d  # from Python 3.13 on\n", l.Align)
	}
	b.WriteString("    _fields_ = (\n")
	natural = l.alignInPython()
	at, gaps := uint64(0), 0
	gap := func(to, align uint64) {
		if !packed && roundUp(at, align) == to {
			return
		}
		if to > at {
			fmt.Fprintf(b, "        (%q, ctypes.c_uint8 * %d),\n", unused(l, "_gap", gaps), to-at)
			gaps++
		}
	}
	for _, f := range l.Fields {
		gap(f.Offset, f.Type.alignInPython())
		of := "ctypes." + ofCtypes[f.Type.Kind]
		if f.Type.Kind == Struct {
			of = name + "_" + f.Name
		}
		for _, d := range slices.Backward(f.Type.Dims) {
			of = fmt.Sprintf("(%s * %d)", of, d)
		}
		fmt.Fprintf(b, "        (%q, %s),\n", f.Name, of)
		at = f.end()
	}
	gap(l.Size, natural)
	b.WriteString("    )\n\n\n")
}

func (l *Layout) packedInPython() (packed bool, natural uint64) {
	natural, placed := l.natural()
	return !placed || natural > l.Align, natural
}

// alignInPython returns the alignment of a ctypes.Structure without _align_. Gaps are fields where
// the alignment alone would not make them.
func (l *Layout) alignInPython() (align uint64) {
	align = 1
	if packed, _ := l.packedInPython(); !packed {
		for _, f := range l.Fields {
			align = max(align, f.Type.alignInPython())
		}
	}
	return align
}

func (t Type) alignInPython() uint64 {
	if t.Kind == Struct {
		return t.Nested.alignInPython()
	}
	return t.Align()
}

// numPy returns a dtype. An array of char is a string of the same length, as in NumPy.
func numPy(l *Layout) string {
	var names, formats, offsets []string
	for _, f := range l.Fields {
		dims := f.Type.Dims
		of := fmt.Sprintf("%q", ofNumPy[f.Type.Kind])
		switch {
		case f.Type.Kind == Struct:
			of = numPy(f.Type.Nested)
		case f.Type.Kind == Char:
			n := uint64(1)
			if len(dims) > 0 {
				n, dims = dims[len(dims)-1], dims[:len(dims)-1]
			}
			of = fmt.Sprintf("\"S%d\"", n)
		}
		if len(dims) > 0 {
			of = fmt.Sprintf("(%s, (%s,))", of, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(dims)), ", "),
				"[]"))
		}
		names, formats, offsets = append(names, fmt.Sprintf("%q", f.Name)), append(formats, of),
			append(offsets, fmt.Sprint(f.Offset))
	}
	align := ""
	if natural, placed := l.natural(); placed && natural > 1 && natural == l.Align {
		align = ", align=True"
	}
	return fmt.Sprintf("numpy.dtype({\"names\": [%s], \"formats\": [%s], \"offsets\": [%s], \"itemsize\": %d}%s)",
		strings.Join(names, ", "), strings.Join(formats, ", "), strings.Join(offsets, ", "), l.Size, align)
}
