package tidy

import "strings"

// A kind says what a line of a text is.
type kind int

const (
	code    kind = iota // also code with a comment behind it
	comment             // nothing but a comment, or a docstring
	prose               // Markdown
	table               // Markdown
	sample              // Markdown: code between fences, or indented
	blank
)

// A text is a file as the rules see it.
type text struct {
	path, language string
	lines          []string
	kinds          []kind
	bare           []string // the lines without comments and the contents of strings; not for Markdown
}

func newText(path, language, content string) *text {
	f := &text{path: path, language: language, lines: strings.Split(strings.TrimSuffix(content, "\n"), "\n")}
	f.kinds = make([]kind, len(f.lines))
	if language == "markdown" {
		f.sortMarkdown()
	} else {
		f.sortCode()
	}
	return f
}

func (f *text) sortMarkdown() {
	fenced := false
	for i, line := range f.lines {
		bare := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(bare, "```"):
			fenced = !fenced
			f.kinds[i] = sample
		case fenced, strings.HasPrefix(line, "    ") && (i == 0 || f.kinds[i-1] == blank || f.kinds[i-1] == sample):
			f.kinds[i] = sample
		case bare == "":
			f.kinds[i] = blank
		case strings.HasPrefix(bare, "|"):
			f.kinds[i] = table
		default:
			f.kinds[i] = prose
		}
	}
}

// notation is how a language writes comments and strings.
type notation struct {
	line       string
	from, to   string // a comment of several lines
	quotes     string
	raw        string // a quote whose string may have several lines and no escapes
	docstrings bool
}

var (
	likeC     = notation{line: "//", from: "/*", to: "*/", quotes: `"'`}
	notations = map[string]notation{
		"go":   {line: "//", from: "/*", to: "*/", quotes: `"'`, raw: "`"},
		"asm":  likeC,
		"c":    likeC,
		"c++":  likeC,
		"rust": {line: "//", from: "/*", to: "*/", quotes: `"`},
		"java": likeC, "promela": likeC,
		"js":     {line: "//", from: "/*", to: "*/", quotes: `"'`, raw: "`"},
		"python": {line: "#", quotes: `"'`, docstrings: true},
		"shell":  {line: "#"},
		"cmake":  {line: "#", quotes: `"`},
		"make":   {line: "#"},
	}
)

// sortCode walks through the characters once, and knows where comments and strings begin and end.
func (f *text) sortCode() {
	n := notations[f.language]
	f.bare = make([]string, len(f.lines))
	within := "" // the end of the comment, the docstring or the raw string that the line begins in
	remark := false
	for i, line := range f.lines {
		var kept strings.Builder
		words, remarks := false, within != "" && remark
		for at := 0; at < len(line); {
			rest := line[at:]
			switch {
			case within != "":
				end := strings.Index(rest, within)
				if end < 0 {
					at = len(line)
					break
				}
				at += end + len(within)
				within = ""
			case n.docstrings && (strings.HasPrefix(rest, `"""`) || strings.HasPrefix(rest, "'''")):
				within, remark = rest[:3], strings.TrimSpace(strings.TrimLeft(kept.String(), "rRfFbBuU")) == ""
				remarks = remarks || remark
				words = words || !remark
				at += 3
			case n.from != "" && strings.HasPrefix(rest, n.from):
				within, remark, remarks = n.to, true, true
				at += len(n.from)
			case strings.HasPrefix(rest, n.line) && startsComment(f.language, line, at):
				remarks = true
				at = len(line)
			case n.raw != "" && rest[0] == n.raw[0]:
				within, remark, words = n.raw, false, true
				at++
			case strings.IndexByte(n.quotes, rest[0]) >= 0 && closes(rest) > 0:
				kept.WriteString(`""`)
				words = true
				at += closes(rest)
			default:
				words = words || rest[0] != ' ' && rest[0] != '\t'
				kept.WriteByte(rest[0])
				at++
			}
		}
		f.bare[i] = kept.String()
		switch {
		case words:
			f.kinds[i] = code
		case remarks:
			f.kinds[i] = comment
		case strings.TrimSpace(line) == "":
			f.kinds[i] = blank
		}
	}
}

// startsComment: in a shell a # within a word is none, and neither is the first line of a script.
func startsComment(language, line string, at int) bool {
	if language == "shell" || language == "make" || language == "cmake" {
		return at == 0 && !strings.HasPrefix(line, "#!") || at > 0 && (line[at-1] == ' ' || line[at-1] == '\t')
	}
	return true
}

// closes is the length of the string or character at the beginning of s, or 0 where it has no end, as the apostrophe of a number.
func closes(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return 0
}

// columns counts a tab as four.
func columns(line string) int {
	count := 0
	for _, r := range line {
		if r == '\t' {
			count += 4 - count%4
		} else {
			count++
		}
	}
	return count
}
