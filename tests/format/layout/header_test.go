package layout_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"datablock/internal/layout"
)

const prefix = "DATABLOCK_LAYOUT_"

var (
	wordEnd    = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	acronymEnd = regexp.MustCompile(`([A-Z])([A-Z][a-z])`)
)

// cName returns the C name of a constant of layout.go: HdrSlotCount is
// DATABLOCK_LAYOUT_HDR_SLOT_COUNT.
func cName(goName string) string {
	spaced := acronymEnd.ReplaceAllString(wordEnd.ReplaceAllString(goName, "${1}_$2"), "${1}_$2")
	return prefix + strings.ToUpper(spaced)
}

// compiler returns the C compiler of the tests: CC, or cc.
func compiler() string {
	if cc := os.Getenv("CC"); cc != "" {
		return cc
	}
	return "cc"
}

// runC compiles a program that includes the public headers, and returns the lines that it prints.
func runC(t *testing.T, body string) []string {
	t.Helper()
	return runProgram(t, "#include <datablock.h>\n#include <datablock_layout.h>\n", body)
}

func runProgram(t *testing.T, includes, body string) []string {
	t.Helper()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "program.c"), filepath.Join(dir, "program")
	text := includes + "#include <inttypes.h>\n#include <stdio.h>\nint main(void) {\n" + body + "return 0;\n}\n"
	ok(t, os.WriteFile(source, []byte(text), 0o600))
	out, err := exec.Command(compiler(), "-std=c11", "-O1", "-Wall", "-Werror", "-I", filepath.Join(root(t), "include"),
		"-o", program, source).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = exec.Command(program).Output()
	ok(t, err)
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// macros returns the values of all object-like macros of the layout header, as the compiler sees
// them.
func macros(t *testing.T) map[string]uint64 {
	t.Helper()
	out, err := exec.Command(compiler(), "-std=c11", "-E", "-dM",
		filepath.Join(root(t), "include/datablock_layout.h")).Output()
	ok(t, err)
	var body strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^#define (`+prefix+`\w+) .+$`).FindAllStringSubmatch(string(out), -1) {
		if m[1] == prefix+"INLINE" || m[1] == prefix+"LINKAGE" { // how the functions are declared
			continue
		}
		fmt.Fprintf(&body, "printf(\"%s %%\" PRIu64 \"\\n\", (uint64_t)(%s));\n", m[1], m[1])
	}
	values := map[string]uint64{}
	for _, line := range runC(t, body.String()) {
		name, number, _ := strings.Cut(line, " ")
		values[name], err = strconv.ParseUint(number, 10, 64)
		ok(t, err)
	}
	return values
}

func TestHeaderRepeatsEveryConstant(t *testing.T) {
	d, c := readDefinition(t), macros(t)
	for name, want := range d.values {
		switch got, defined := c[cName(name)]; {
		case !defined:
			t.Errorf("include/datablock_layout.h lacks %s, which is %d in layout.go", cName(name), want)
		case got != want:
			t.Errorf("%s is %d in include/datablock_layout.h and %d in layout.go", cName(name), got, want)
		}
		delete(c, cName(name))
	}
	for name := range c {
		t.Errorf("include/datablock_layout.h defines %s, layout.go does not", name)
	}
}

func TestHeaderAssertsEveryOffset(t *testing.T) {
	header := readText(t, "include/datablock_layout.h")
	for name := range readDefinition(t).offsets {
		short := strings.TrimPrefix(cName(name), prefix)
		asserted := regexp.MustCompile(`(?m)^DATABLOCK_LAYOUT_(FIELD\(\w+, \w+, ` + short + `|ASSERT\(.*\b` + prefix +
			short + `)\);`)
		if !asserted.MatchString(header) {
			t.Errorf("include/datablock_layout.h asserts of no struct that %s is where layout.go says", name)
		}
	}
}

// packedEntries and packedClaims have literal words, so that Go and C cannot change together
// unnoticed.
var (
	packedEntries = []struct {
		id   uint64
		slot uint32
		word uint64
	}{
		{0, 0, 0x0000000001000000},
		{0, 1, 0x0000000001000004},
		{7, 3, 0x000000000800000C},
		{1<<40 - 2, layout.MaxSlots - 1, 0xFFFFFFFFFFFFFFF8},
		{1<<40 - 1, 5, 0x0000000000000014},
		{1 << 40, 5, 0x0000000001000014},
		{0x0123456789ABCDEF, 0x2AAAAA, 0x6789ABCDF0AAAAA8},
	}
	packedClaims = []struct{ epoch, generation, word uint64 }{
		{0, 0, 0x8000000000000000},
		{1, 1, 0x8000800000000001},
		{1<<16 - 1, 1<<47 - 1, 0xFFFFFFFFFFFFFFFF},
		{1 << 16, 1 << 47, 0x8000000000000000},
		{0x12345, 0xABCDEF0123456789, 0x91A2EF0123456789},
	}
)

func TestPackedWordsAgree(t *testing.T) {
	nears := []uint64{0, 1, 1000, 1<<39 - 1, 1 << 39, 1<<40 - 1, 1 << 40, 1<<40 + 1, 1<<63 + 12345}
	distances := []int64{0, 1, -1, 8, -8, 1<<39 - 1, -(1<<39 - 1)}

	var body strings.Builder
	line := func(expression string, args ...any) {
		fmt.Fprintf(&body, "printf(\"%%\" PRIu64 \"\\n\", (uint64_t)("+expression+"));\n", args...)
	}
	var want []uint64
	for _, e := range packedEntries {
		line("datablock_layout_entry(UINT64_C(%d), %d)", e.id, e.slot)
		line("datablock_layout_entry_slot(UINT64_C(%d))", e.word)
		line("datablock_layout_entry_empty(UINT64_C(%d))", e.word)
		if got := layout.Entry(e.id, e.slot); got != e.word {
			t.Errorf("Entry(%d, %d) = %#x, expected %#x", e.id, e.slot, got, e.word)
		}
		if got := layout.EntrySlot(e.word); got != e.slot || layout.EntryEmpty(e.word) {
			t.Errorf("entry %#x: slot %d, empty %v, expected slot %d", e.word, got, layout.EntryEmpty(e.word), e.slot)
		}
		want = append(want, e.word, uint64(e.slot), 0)
	}
	line("datablock_layout_entry_empty(DATABLOCK_LAYOUT_ENTRY_NONE)")
	if !layout.EntryEmpty(layout.EntryNone) {
		t.Error("EntryNone is not empty")
	}
	want = append(want, 1)
	for _, c := range packedClaims {
		line("datablock_layout_claim(UINT64_C(%d), UINT64_C(%d))", c.epoch, c.generation)
		line("datablock_layout_claim_generation(UINT64_C(%d))", c.word)
		if got := layout.Claim(c.epoch, c.generation); got != c.word {
			t.Errorf("Claim(%d, %d) = %#x, expected %#x", c.epoch, c.generation, got, c.word)
		}
		want = append(want, c.word, layout.ClaimGeneration(c.word))
	}
	for _, near := range nears {
		for _, distance := range distances {
			id := near + uint64(distance)
			if distance < 0 && id > near {
				continue // there is no message before the first one
			}
			entry := layout.Entry(id, 9)
			line("datablock_layout_entry_id(UINT64_C(%d), UINT64_C(%d))", entry, near)
			if got := layout.EntryID(entry, near); got != id {
				t.Errorf("EntryID(%#x, %d) = %d, expected %d", entry, near, got, id)
			}
			want = append(want, id)
		}
	}
	got := runC(t, body.String())
	if len(got) != len(want) {
		t.Fatalf("the C program printed %d lines, expected %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != strconv.FormatUint(want[i], 10) {
			t.Errorf("line %d of the C program: %s, Go has %d", i, got[i], want[i])
		}
	}
}
