package modules

import (
	"slices"
	"strings"
	"testing"
)

const belowSegment = "internal/core/status internal/crash internal/layout internal/platform schema"

// layers has, for each package of the library, the packages of the library that it may import.
// docs/architecture.md has the same order.
var layers = map[string]string{
	"internal/layout":        "",
	"internal/crash":         "",
	"internal/platform":      "internal/crash internal/layout",
	"schema":                 "internal/layout internal/platform",
	"internal/core/status":   "",
	"internal/core/segment":  belowSegment,
	"internal/core/channel":  "internal/core/segment " + belowSegment,
	"internal/core/recovery": "internal/core/segment " + belowSegment,
}

// TestImportsGoDownwards: a package of the core imports only what is below it. Only the tests use
// coretest.
func TestImportsGoDownwards(t *testing.T) {
	const list = "{{.ImportPath}} {{range .Imports}}{{.}} {{end}}"
	found := 0
	out := run(t, ".", "go", "list", "-f", list, ".", "./capi", "./schema", "./internal/...")
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		package_ := strings.TrimPrefix(words[0], "datablock/")
		allowed, inner := layers[package_]
		if inner {
			found++
		}
		for _, imported := range words[1:] {
			below, own := strings.CutPrefix(imported, "datablock/")
			switch {
			case own && below == "internal/core/coretest":
				t.Errorf("%s imports coretest, which is for tests", package_)
			case own && inner && !slices.Contains(strings.Fields(allowed), below):
				t.Errorf("%s imports %s, which is not below it", package_, below)
			case inner && imported == "C":
				t.Errorf("%s imports C, which only the boundary does", package_)
			}
		}
	}
	if found != len(layers) {
		t.Errorf("found %d of the %d packages", found, len(layers))
	}
}
