package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const reference = "docs/api.md"

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	spelt    = regexp.MustCompile(`^([A-Za-z_]\w*(?:(?:\.|::)\w+)*)(?:<[^>]*>)?(?:\((.*)\))?$`)
	keyword  = regexp.MustCompile(`(\w+)=`)
	ofC      = regexp.MustCompile(`\bdatablock_\w+(?:\.h)?`)
	heading  = []string{"C", "C++", "Go", "Python"}
)

// language has the names of one language: those that the reference must have, and those that it may
// have.
type language struct {
	required, known map[string]bool
	parameters      map[string][]string
	fields          bool
}

// knows reports whether the language has this name. The reference names a field of C with its
// struct; the test does not read the headers in such detail.
func (l *language) knows(name string) bool {
	of, field, isField := strings.Cut(name, ".")
	return l.known[name] || isField && l.fields && l.known[of] && l.known[field]
}

func languages(t *testing.T) map[string]*language {
	t.Helper()
	c, cpp, py := declared(t, "*.h", "*/*/*.h"), declared(t, "*.hpp", "*/*.hpp"), imported(t)
	goNames, goMembers := exported(t)
	inC := union(c.functions)
	for name := range c.functions {
		if strings.HasPrefix(name, "datablock_inline_") { // the parts of the inline functions
			delete(inC, name)
		}
	}
	inCPP := union(cpp.functions, cpp.types)
	for name := range declared(t, "*_schema.h", "*/schema.hpp").constants {
		// the parts of the macros
		if strings.HasPrefix(name, "DATABLOCK_SCHEMA_") || strings.HasPrefix(name, "DATABLOCK_HPP_") {
			continue
		}
		if c.constants[name] {
			inC[name] = true
		} else if cpp.constants[name] {
			inCPP[name] = true
		}
	}
	return map[string]*language{
		"C":      {required: inC, known: c.words, fields: true},
		"C++":    {required: inCPP, known: union(inCPP, cpp.constants)},
		"Go":     {required: goNames, known: union(goNames, goMembers)},
		"Python": {required: set(py.Names), known: union(set(py.Names), set(py.Members)), parameters: py.Parameters},
	}
}

func TestTheReferenceNamesEveryPublicNameAndNoOther(t *testing.T) {
	named := namesIn(t, reference)
	for name, l := range languages(t) {
		t.Run(name, func(t *testing.T) {
			if len(l.required) < 50 {
				t.Fatalf("only %d public names were found: are they still written as this test looks for them?",
					len(l.required))
			}
			missing := union(l.required)
			for _, span := range named[name] {
				m := spelt.FindStringSubmatch(span)
				if m == nil {
					t.Errorf("%s: `%s` in the column %s is no name", reference, span, name)
					continue
				}
				delete(missing, m[1])
				if !l.knows(m[1]) {
					t.Errorf("%s names %s, which %s has not", reference, m[1], name)
				}
				for _, k := range keyword.FindAllStringSubmatch(m[2], -1) {
					if !slices.Contains(l.parameters[m[1]], k[1]) {
						t.Errorf("%s names a parameter %s of %s, which %s has not", reference, k[1], m[1], name)
					}
				}
			}
			for _, lack := range sorted(missing) {
				t.Errorf("%s does not name %s of %s", reference, lack, name)
			}
		})
	}
}

func TestTheFunctionsOfCThatPagesNameExist(t *testing.T) {
	c := declared(t, "*.h", "*/*/*.h", "*.hpp", "*/*.hpp")
	for _, page := range []string{reference, "docs/choosing.md", "docs/getting-started.md", "README.md"} {
		for _, name := range ofC.FindAllString(read(t, page), -1) {
			if !c.words[name] && name != "datablock_ctypes" && !strings.HasSuffix(name, "_") &&
				!strings.HasSuffix(name, ".h") {
				t.Errorf("%s names %s, which no header has", page, name)
			}
		}
	}
}

// namesIn returns the code spans in the column of each language, from the tables whose heading
// names languages.
func namesIn(t *testing.T, page string) map[string][]string {
	t.Helper()
	named := map[string][]string{}
	var columns []string
	for _, line := range strings.Split(read(t, page), "\n") {
		if !strings.HasPrefix(line, "|") {
			columns = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if columns == nil {
			for _, cell := range cells {
				columns = append(columns, strings.TrimSpace(cell))
			}
			continue
		}
		for i, cell := range cells {
			if i < len(columns) && slices.Contains(heading, columns[i]) {
				for _, m := range codeSpan.FindAllStringSubmatch(cell, -1) {
					named[columns[i]] = append(named[columns[i]], m[1])
				}
			}
		}
	}
	return named
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), page))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func set(names []string) map[string]bool {
	s := map[string]bool{}
	for _, name := range names {
		s[name] = true
	}
	return s
}

func union(sets ...map[string]bool) map[string]bool {
	all := map[string]bool{}
	for _, s := range sets {
		for name := range s {
			all[name] = true
		}
	}
	return all
}

func sorted(s map[string]bool) []string {
	var names []string
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
