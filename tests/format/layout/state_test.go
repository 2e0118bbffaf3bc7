package layout_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"datablock/internal/core/channel"
)

// field is a field of a struct, as a compiler laid it out.
type field struct {
	name         string
	offset, size uintptr
}

// otherNames has the fields of the inline header that have another name in channel. An empty name
// means that only C has the field.
var otherNames = map[string]string{
	"producer.retired_count": "retireCount", "producer.free_slots": "freePtr", "producer.retired": "retiredPtr",
	"producer.pinned": "pinnedPtr", "producer.pins": "pinsPtr",
	"producer.expected": "expectedPtr", "producer.claims": "claimsPtr",
	"consumer.row": "rowPtr", "consumer.join_epoch": "joining", "consumer.delivery": "deliveryNumber",
	"producer.reserved": "_", "consumer.polling": "_", "hold.reserved": "_",
}

// goName returns channel's name of a field of a struct of the inline header.
func goName(name, field string) string {
	if other, differs := otherNames[name+"."+field]; differs {
		return other
	}
	return field
}

// sameName compares the names, whose words each language joins in its own way.
func sameName(c, goes string) bool {
	return strings.EqualFold(strings.ReplaceAll(c, "_", ""), strings.ReplaceAll(goes, "_", "")) &&
		(c == "_") == (goes == "_")
}

// inlineState is the part of the inline header with the private structs.
const inlineState = "include/datablock/detail/state.h"

var (
	comments     = regexp.MustCompile(`(?s)/\*.*?\*/`)
	inlineStruct = regexp.MustCompile(`(?s)typedef struct datablock_inline_(\w+) \{(.*?)\} datablock_inline_\w+;`)
	member       = regexp.MustCompile(`^\w+ \**(\w+)(\[\w+\])?$`)
)

// inlineStructs returns the layout of the named structs of the inline header, from the compiler.
// The last field of each represents its end.
func inlineStructs(t *testing.T, names ...string) map[string][]field {
	t.Helper()
	var body strings.Builder
	found := map[string][]field{}
	for _, m := range inlineStruct.FindAllStringSubmatch(
		comments.ReplaceAllString(readText(t, inlineState), ""), -1) {
		for _, line := range strings.Split(m[2], ";") {
			line = strings.Join(strings.Fields(line), " ")
			if line == "" {
				continue
			}
			declared := member.FindStringSubmatch(strings.TrimPrefix(line, "struct "))
			if declared == nil {
				t.Fatalf("%s: a member of datablock_inline_%s cannot be read: %s", inlineState, m[1], line)
			}
			fmt.Fprintf(&body,
				"printf(\"%s %s %%zu %%zu\\n\", offsetof(datablock_inline_%s, %s), sizeof "+
					"((datablock_inline_%s *)0)->%s);\n", m[1], declared[1], m[1], declared[1], m[1], declared[1])
		}
		fmt.Fprintf(&body, "printf(\"%s end %%zu %%zu\\n\", sizeof(datablock_inline_%s), (size_t)0);\n", m[1], m[1])
	}
	for _, line := range runProgram(t, "#include <datablock_inline.h>\n", body.String()) {
		var name string
		var f field
		_, err := fmt.Sscan(line, &name, &f.name, &f.offset, &f.size)
		ok(t, err)
		found[name] = append(found[name], f)
	}
	for _, name := range names {
		if len(found[name]) < 2 {
			t.Fatalf("%s: no struct datablock_inline_%s was found", inlineState, name)
		}
	}
	return found
}

// fieldsOf returns Go's layout of a struct.
func fieldsOf(of reflect.Type) (fields []field) {
	for i := range of.NumField() {
		f := of.Field(i)
		fields = append(fields, field{f.Name, f.Offset, f.Type.Size()})
	}
	return append(fields, field{"end", of.Size(), 0})
}

// The Go half and the C half of the library, and inline code, use the same memory.
func TestStatesAreTheSameInGoAndC(t *testing.T) {
	holds, _ := reflect.TypeFor[channel.ConsumerState]().FieldByName("holds")
	states := map[string]reflect.Type{
		"block": reflect.TypeFor[channel.BlockState](), "producer": reflect.TypeFor[channel.ProducerState](),
		"consumer": reflect.TypeFor[channel.ConsumerState](),
		"hold":     holds.Type.Elem(),
	}
	inline := inlineStructs(t, "block", "producer", "consumer", "hold")
	for name, state := range states {
		c, g := inline[name], fieldsOf(state)
		for i := range max(len(c), len(g)) {
			switch {
			case i >= len(c):
				t.Errorf("channel.%s.%s has nothing in datablock_inline_%s", state.Name(), g[i].name, name)
			case i >= len(g):
				t.Errorf("datablock_inline_%s.%s has nothing in channel.%s", name, c[i].name, state.Name())
			case !sameName(goName(name, c[i].name), g[i].name) || c[i].offset != g[i].offset || c[i].size != g[i].size:
				t.Errorf("datablock_inline_%s.%s is %d bytes at %d, and channel.%s has there: %s, %d bytes at %d", name,
					c[i].name, c[i].size, c[i].offset, state.Name(), g[i].name, g[i].size, g[i].offset)
			}
		}
	}
}
