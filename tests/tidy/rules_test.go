package tidy

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// The limits.
const (
	proseColumns    = 100
	codeColumns     = 120
	functionLines   = 70
	fileLines       = 600
	packageLines    = 5000
	paragraphLines  = 8
	pronounsInAK    = 20
	wordsForARate   = 200 // a shorter text has no rate
	subjectsOfRules = "wide-prose wide-code long-function long-file long-paragraph pronouns phrase"
)

// A finding is a place that a rule does not allow. It weighs 1, but for a rate, whose weight is the rate.
type finding struct {
	rule   string
	line   int
	weight int
	what   string
}

// look applies every rule to a file.
func look(f *text) (found []finding) {
	for _, rule := range []func(*text) []finding{width, functionLength, fileLength, paragraphs, pronouns, phrases} {
		found = append(found, rule(f)...)
	}
	return found
}

func width(f *text) (found []finding) {
	for i, line := range f.lines {
		switch n := columns(line); {
		case (f.kinds[i] == comment || f.kinds[i] == prose) && n > proseColumns && !isOneWord(line):
			found = append(found, finding{"wide-prose", i + 1, 1, fmt.Sprintf("%d columns: prose and comments have at most %d", n, proseColumns)})
		case (f.kinds[i] == code || f.kinds[i] == sample) && n > codeColumns:
			found = append(found, finding{"wide-code", i + 1, 1, fmt.Sprintf("%d columns: code has at most %d", n, codeColumns)})
		}
	}
	return found
}

// isOneWord: an address cannot be wrapped.
func isOneWord(line string) bool {
	words := strings.Fields(line)
	return len(words) <= 2 && strings.Contains(line, "://")
}

func functionLength(f *text) (found []finding) {
	for _, one := range f.functions() {
		if one.lines > functionLines {
			found = append(found, finding{"long-function", one.first, 1, fmt.Sprintf("%s has %d lines, at most %d: divide it", one.name, one.lines, functionLines)})
		}
	}
	return found
}

func fileLength(f *text) []finding {
	if f.language != "markdown" && len(f.lines) > fileLines {
		return []finding{{"long-file", 1, len(f.lines), fmt.Sprintf("%d lines, at most %d: a file has one subject", len(f.lines), fileLines)}}
	}
	return nil
}

var item = regexp.MustCompile(`^\s*([-*+]|\d+\.)\s|^#|^>|^!\[`)

func paragraphs(f *text) (found []finding) {
	if f.language != "markdown" {
		return nil
	}
	first := -1
	for i := 0; i <= len(f.lines); i++ {
		goes := i < len(f.lines) && f.kinds[i] == prose
		if first >= 0 && (!goes || item.MatchString(f.lines[i])) {
			if n := i - first; n > paragraphLines {
				found = append(found, finding{"long-paragraph", first + 1, 1, fmt.Sprintf("%d lines, at most %d: divide it, or make it a list", n, paragraphLines)})
			}
			first = -1
		}
		if goes && first < 0 {
			first = i
		}
	}
	return found
}

var (
	word    = regexp.MustCompile(`[A-Za-z][A-Za-z'’-]*`)
	pronoun = regexp.MustCompile(`(?i)\b(who|whoever|whom|somebody|nobody|everybody|those|that one|it|its)\b`)
)

// spoken is what a reader reads as text: the prose and the tables of a document, the comments of a public header. Code in backticks is left out.
func (f *text) spoken() string {
	header := path.Dir(f.path) == "include" || strings.HasPrefix(f.path, "include/")
	if f.language != "markdown" && !header {
		return ""
	}
	var all strings.Builder
	for i, line := range f.lines {
		if f.kinds[i] == prose || f.kinds[i] == table || header && f.kinds[i] == comment {
			all.WriteString(quoted.ReplaceAllString(line, " ") + "\n")
		}
	}
	return all.String()
}

var quoted = regexp.MustCompile("`[^`]*`")

func pronouns(f *text) []finding {
	text := f.spoken()
	words := len(word.FindAllString(text, -1))
	if words < wordsForARate {
		return nil
	}
	if rate := (1000*len(pronoun.FindAllString(text, -1)) + words - 1) / words; rate > pronounsInAK {
		return []finding{{"pronouns", 1, rate, fmt.Sprintf("%d pronouns in 1000 words (who, it, those, nobody …), at most %d: name the actor", rate, pronounsInAK)}}
	}
	return nil
}

// banned are phrases in which a reader has to guess the actor or the field's term.
var banned = []struct{ phrase, instead string }{
	{`\bhow manyth\b`, "generation"},
	{`\bfor people\b`, "informational"},
	{`\bwhoever\b`, "name the actor"},
	{`\b(is|are|was|be) told\b`, "gets status X, receives"},
	{`\b(lets?|letting) go of\b`, "releases"},
	{`\bthat one\b`, "name the thing"},
	{`(^|[.;:] |, )[Ww]ho (has|is|wants|sleeps|reads|writes|waits|finds|needs|may|comes|calls|holds)\b`, "name the actor"},
	{`\bby turns\b`, "alternately"},
	{`\bcomes? round\b`, "wraps, recurs"},
	{`\ball the same\b`, "nevertheless, or leave it out"},
	{`\bon the (\w+'s |other's )?heels\b`, "back-off, contention"},
	{`\bstands? back\b`, "backs off"},
}

var bans = func() (compiled []*regexp.Regexp) {
	for _, b := range banned {
		compiled = append(compiled, regexp.MustCompile(b.phrase))
	}
	return compiled
}()

func phrases(f *text) (found []finding) {
	if strings.HasPrefix(f.path, "tests/tidy/") || f.path == "docs/glossary.md" {
		return nil // they name the phrases
	}
	for i, line := range f.lines {
		if f.kinds[i] != prose && f.kinds[i] != table && f.kinds[i] != comment {
			continue
		}
		for b, ban := range bans {
			if m := ban.FindString(line); m != "" {
				found = append(found, finding{"phrase", i + 1, 1, fmt.Sprintf("%q: %s", strings.TrimSpace(m), banned[b].instead)})
			}
		}
	}
	return found
}

// packages are folders of Go sources with more lines than one can keep in mind. Tests do not count.
func packages(files []*text) map[string]finding {
	lines := map[string]int{}
	for _, f := range files {
		if f.language == "go" && !strings.HasSuffix(f.path, "_test.go") {
			lines[path.Dir(f.path)] += len(f.lines)
		}
	}
	found := map[string]finding{}
	for folder, n := range lines {
		if n > packageLines {
			found[folder] = finding{"long-package", 0, n, fmt.Sprintf("%d lines, at most %d: divide the package", n, packageLines)}
		}
	}
	return found
}
