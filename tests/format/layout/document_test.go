package layout_test

import (
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
)

// table is one table of the document: the cells of its head and of its rows.
type table struct {
	heading string
	head    []string
	rows    [][]string
}

func readTables(t *testing.T) []table {
	t.Helper()
	var tables []table
	heading, inside := "", false
	for _, line := range strings.Split(readText(t, "docs/segment-format.md"), "\n") {
		if strings.HasPrefix(line, "#") {
			heading = line
		}
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !inside:
			tables, inside = append(tables, table{heading: heading, head: cells}), true
		case !strings.HasPrefix(cells[0], "---"):
			last := &tables[len(tables)-1]
			last.rows = append(last.rows, cells)
		}
	}
	return tables
}

// number reads `4096`, `0xFF` and sums such as `2^40 + 4096` and `2^64 - 1`.
func number(t *testing.T, text string) uint64 {
	t.Helper()
	var sum uint64
	sign := uint64(1)
	for _, term := range strings.Fields(text) {
		if term == "+" || term == "-" {
			sign = map[string]uint64{"+": 1, "-": ^uint64(0)}[term]
			continue
		}
		if power, is := strings.CutPrefix(term, "2^"); is {
			n, err := strconv.Atoi(power)
			ok(t, err)
			sum += sign * (1 << n) // 2^64 is 0 here, which is right
			continue
		}
		n, err := strconv.ParseUint(term, 0, 64)
		ok(t, err)
		sum += sign * n
	}
	return sum
}

var named = regexp.MustCompile("^`(\\w+)`$")

func TestDocumentNamesEveryConstantWithItsValue(t *testing.T) {
	left := readDefinition(t).values
	all := readDefinition(t).values
	for _, tab := range readTables(t) {
		column := map[string]int{"offset": 2, "value": 1}[tab.head[0]]
		if column == 0 {
			continue
		}
		for _, row := range tab.rows {
			m := named.FindStringSubmatch(row[column])
			if m == nil {
				continue
			}
			switch want, defined := all[m[1]]; {
			case !defined:
				t.Errorf("%s: layout.go has no %s", tab.heading, m[1])
			case want != number(t, row[0]):
				t.Errorf("%s: %s is %s here and %d in layout.go", tab.heading, m[1], row[0], want)
			}
			delete(left, m[1])
		}
	}
	for name, value := range left {
		if ast.IsExported(name) {
			t.Errorf("docs/segment-format.md does not mention %s = %d", name, value)
		}
	}
}

func TestDocumentLeavesNoByteOut(t *testing.T) {
	// Where each table of words begins and ends.
	extents := map[string][2]uint64{
		"word magic data": {0, 4096}, "word lines": {4096, 8192}, "slot header": {0, 64},
		"checksum": {0, 32}, "word control": {0, 4096},
		"row": {0, 512}, "lock": {0, 64}, "zone": {0, 64}, "log header": {0, 128}, "record": {0, 128},
	}
	for _, tab := range readTables(t) {
		if tab.head[0] != "offset" {
			continue
		}
		key := tab.head[2]
		switch {
		case strings.Contains(tab.heading, "Immutable header"):
			key += " magic data"
		case strings.Contains(tab.heading, "Mutable lines"):
			key += " lines"
		case strings.Contains(tab.heading, "shared words"):
			key += " control"
		}
		extent, known := extents[key]
		if !known {
			t.Fatalf("a table of offsets that no region is known for: %s, %v", tab.heading, tab.head)
		}
		delete(extents, key)
		at := extent[0]
		for _, row := range tab.rows {
			if number(t, row[0]) != at {
				t.Errorf("%s: %s is at %s, the row before ends at %d", tab.heading, row[2], row[0], at)
			}
			at = number(t, row[0]) + number(t, row[1])
		}
		if at != extent[1] {
			t.Errorf("%s: the table ends at %d, the region at %d", tab.heading, at, extent[1])
		}
	}
	for key := range extents {
		t.Errorf("no table for region %q", key)
	}
}

func TestDocumentedSizesAreTheRealOnes(t *testing.T) {
	for _, tab := range readTables(t) {
		if tab.head[0] != "slot_count" {
			continue
		}
		for _, row := range tab.rows {
			var n [7]uint64
			for i := range n {
				n[i] = number(t, row[i])
			}
			dir := t.TempDir()
			policy := map[uint64]segment.Policy{1: segment.Single, 2: segment.DoubleBuffer}[n[0]]
			p, err := channel.OpenProducer("sizes", segment.Config{
				Policy: policy, SlotCount: uint32(n[0]), SpareSlots: uint32(n[1]), SlotSize: n[2],
				Alignment:     uint32(n[3]),
				ConsumerLimit: uint32(n[4]), Directory: dir,
			})
			ok(t, err)
			files, err := os.ReadDir(dir)
			ok(t, err)
			sizes := map[bool]uint64{}
			for _, f := range files {
				info, err := f.Info()
				ok(t, err)
				sizes[strings.HasSuffix(f.Name(), ".ctl")] = uint64(info.Size())
			}
			if sizes[false] != n[5] || sizes[true] != n[6] {
				t.Errorf("%v: the data file has %d bytes, the control file %d", row, sizes[false], sizes[true])
			}
			ok(t, p.Close())
		}
		return
	}
	t.Fatal("docs/segment-format.md has no table of example sizes")
}

func TestDocumentedBytesAreTheRealOnes(t *testing.T) {
	dir := t.TempDir()
	p, err := channel.OpenProducer("tiny",
		segment.Config{Policy: segment.DoubleBuffer, SpareSlots: 2, SlotSize: 100, ConsumerLimit: 1, Directory: dir})
	ok(t, err)
	defer p.Close()
	slot, err := p.Claim(0)
	ok(t, err)
	ok(t, p.Commit(slot, copy(slot.Data(), "hello")))

	controls, err := filepath.Glob(filepath.Join(dir, "tiny.*.ctl"))
	ok(t, err)
	files := map[string]string{"data file": filepath.Join(dir, "tiny"), "control file": controls[0]}
	example := regexp.MustCompile(`^    ([0-9a-f]{8})  ((?:[0-9a-fx]{2} {1,2}){15}[0-9a-fx]{2})  `)
	var content []byte
	lines := 0
	for _, line := range strings.Split(readText(t, "docs/segment-format.md"), "\n") {
		if path, is := files[strings.TrimSpace(line)]; is {
			content, err = os.ReadFile(path)
			ok(t, err)
		}
		m := example.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		lines++
		at := int(number(t, "0x"+m[1]))
		for i, want := range strings.Fields(m[2]) {
			if got := fmt.Sprintf("%02x", content[at+i]); want != "xx" && got != want {
				t.Errorf("byte %#x of the example is %s, documented as %s in %q", at+i, got, want, line)
			}
		}
	}
	if lines < 20 {
		t.Errorf("found only %d lines of bytes in docs/segment-format.md", lines)
	}
}
