package tidy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func body(lines int, line string) string { return strings.Repeat(line+"\n", lines) }

// Each rule finds its fault, where it is, and says nothing about the same text without the fault.
func TestEachRuleFindsItsFault(t *testing.T) {
	long := strings.Repeat("word ", 21) // 105 columns
	sentence := strings.Repeat("The consumer releases the message. ", 60)
	cases := []struct {
		rule, path  string
		fault, good string
		line        int
	}{
		{"wide-prose", "a.md", "# Title\n\n" + long, "# Title\n\n" + long[:100], 3},
		{"wide-prose", "a.go", "package a\n\n// " + long, "package a\n\n// " + long[:90], 3},
		{"wide-prose", "a.py", "\"\"\"Text.\n\n" + long + "\n\"\"\"", "\"\"\"Text.\n\n" + long[:90] + "\n\"\"\"", 3},
		{"wide-prose", "a.c", "/*\n * " + long + "\n */", "/*\n * " + long[:90] + "\n */", 2},
		{"wide-code", "a.c", "int a;\nint b = " + strings.Repeat("1 + ", 30) + "1;", "int a;\nint b = " + strings.Repeat("1 + ", 25) + "1;", 2},
		{"wide-code", "a.md", "```c\nint b = " + strings.Repeat("1 + ", 30) + "1;\n```", "```c\nint b = 1;\n```", 2},
		{"long-function", "a.go", "package a\n\nfunc a() {\n" + body(70, "\ta()") + "}", "package a\n\nfunc a() {\n" + body(68, "\ta()") + "}", 3},
		{"long-function", "a.c", "static int a(int b)\n{\n" + body(70, "    b++;") + "}", "static int a(int b)\n{\n" + body(67, "    b++;") + "}", 1},
		{"long-function", "a.cpp", "namespace x {\nvoid A::b() noexcept {\n" + body(70, "    if (a) { b(); }") + "}\n}", "namespace x {\nvoid A::b() noexcept {\n" + body(60, "    b();") + "}\n}", 2},
		{"long-function", "a.py", "class A:\n    def b(self,\n          c: int) -> int:\n" + body(70, "        c += 1") + "\na = 1", "class A:\n    def b(self) -> int:\n" + body(60, "        c += 1"), 2},
		{"long-file", "a.c", body(601, "int a;"), body(600, "int a;"), 1},
		{"long-paragraph", "a.md", "# A\n\n" + body(9, "Text."), "# A\n\n" + body(8, "Text.") + "\n" + body(8, "- Item."), 3},
		{"pronouns", "a.md", sentence + strings.Repeat("It is who it is. ", 10), sentence, 1},
		{"pronouns", "include/a.h", "/* " + sentence + strings.Repeat("It is who it is. ", 10) + " */", "/* " + sentence + " */", 1},
		{"phrase", "a.md", "Text.\nWhoever reads, and whoever writes.", "Text.\nThe consumer reads.", 2},
		{"phrase", "a.go", "package a\n\n// The producer is told.", "package a\n\nvar told = \"it is told\"", 3},
	}
	seen := map[string]bool{}
	for i, c := range cases {
		t.Run(fmt.Sprintf("%d %s %s", i, c.rule, c.path), func(t *testing.T) {
			of := func(content string) (found []finding) {
				for _, one := range look(newText(c.path, languageOf(c.path), content)) {
					if one.rule == c.rule {
						found = append(found, one)
					}
				}
				return found
			}
			if found := of(c.fault); len(found) != 1 || found[0].line != c.line {
				t.Errorf("found %v, and expected one in line %d", found, c.line)
			}
			if found := of(c.good); len(found) != 0 {
				t.Errorf("found %v in a text without the fault", found)
			}
		})
		seen[c.rule] = true
	}
	for _, rule := range strings.Fields(subjectsOfRules) {
		if !seen[rule] {
			t.Errorf("no case shows that %s finds anything", rule)
		}
	}
}

func TestALargePackageIsFound(t *testing.T) {
	large := []*text{newText("a/a.go", "go", body(3000, "//")), newText("a/b.go", "go", body(2001, "//")), newText("a/b_test.go", "go", body(3000, "//"))}
	if found := packages(large); found["a"].weight != 5001 {
		t.Errorf("found %v, and expected 5001 lines", found)
	}
	if found := packages(large[1:]); len(found) != 0 {
		t.Errorf("found %v in a package of 2001 lines", found)
	}
}

// Trailing comments, strings with comment signs in them, and apostrophes.
func TestCommentsAreDistinguishedFromCode(t *testing.T) {
	for _, c := range []struct {
		path, content string
		want          []kind
	}{
		{"a.go", "package a // b\n\nvar b = \"// c\"\n/* d\ne */\nvar c = `\n// f\n`", []kind{code, blank, code, comment, comment, code, code, code}},
		{"a.cpp", "auto a = 1'000; // b\nchar c = '\"';\n// d\nauto e = \"/*\";\nint f;", []kind{code, code, comment, code, code}},
		{"a.py", "def a():\n    \"\"\"B.\n\n    C.\n    \"\"\"\n    d = \"\"\"\n    # e\n    \"\"\"\n    # f", []kind{code, comment, comment, comment, comment, code, code, code, comment}},
		{"a.sh", "#!/bin/sh\n# b\nc=${d#e}", []kind{code, comment, code}},
	} {
		if got := newText(c.path, languageOf(c.path), c.content).kinds; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, and expected %v", c.path, got, c.want)
		}
	}
}
