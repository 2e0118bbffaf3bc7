package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// header has the names that a header declares to its users: functions, types and constants below
// namespace datablock, such as "recovery::metrics" and "Producer::write".
type header struct {
	functions map[string]bool
	types     map[string]bool
	constants map[string]bool // and macros with arguments
	words     map[string]bool // every identifier in it
	described []described     // every function, constructors and operators included
}

var (
	noCode      = regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'`)
	directive   = regexp.MustCompile(`(?m)^[ \t]*#(?:[^\\\n]|\\.|\\\n)*`)
	macro       = regexp.MustCompile(`(?m)^#define (DATABLOCK_[A-Z0-9_]+)\(`)
	word        = regexp.MustCompile(`\w+`)
	nameSpace   = regexp.MustCompile(`\bnamespace (\w+)\s*$`)
	class       = regexp.MustCompile(`^(?:template <[^{}]*> ?)?(?:class|struct|union) [^(){}=]*$`)
	className   = regexp.MustCompile(`(\w+)(?:<.*>)?\s*(?::[^:].*)?$`)
	enumeration = regexp.MustCompile(`^(?:typedef )?enum\b(?: class)? ?(\w*)`)
	enumerator  = regexp.MustCompile(`(?:^|,)\s*(\w+)`)
	aliased     = regexp.MustCompile(`^(?:template <.*> )?using (\w+) =`)
	errorType   = regexp.MustCompile(`^DATABLOCK_HPP_ERROR\((\w+),`)
	constant    = regexp.MustCompile(`\bconstexpr [\w:]+ (\w+)\s*(?:=|$)`)
	called      = regexp.MustCompile(`([~\w:]*\w)\(`)
)

// declared reads public headers. It understands the part of C++ that they use.
func declared(t *testing.T, patterns ...string) *header {
	t.Helper()
	h := &header{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, nil}
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(root(t), "include", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no headers %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			h.read(string(text))
		}
	}
	return h
}

func (h *header) read(original string) {
	text := noCode.ReplaceAllStringFunc(original, blanks)
	for _, w := range word.FindAllString(text, -1) {
		h.words[w] = true
	}
	for _, m := range macro.FindAllStringSubmatch(text, -1) {
		h.constants[m[1]] = true
	}
	s := scanner{header: h, original: original, text: directive.ReplaceAllStringFunc(text, blanks)}
	s.declarations("", true, "")
}

// blanks has a blank for each byte, so that what follows keeps its place.
func blanks(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return ' '
	}, text)
}

type scanner struct {
	*header
	original       string
	text           string // without comments, directives and literals
	at             int
	comment, group string // of the declaration, and of the class that it is in
}

// declarations reads the contents of a namespace or a class up to the closing brace. `access` is
// the initial access of the class. Names that are not visible outside are skipped.
func (s *scanner) declarations(prefix string, reachable bool, access string) {
	start, parentheses, visible := s.at, 0, reachable && access != "private"
	pending := func() string { return strings.Join(strings.Fields(s.text[start:s.at]), " ") }
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '(':
			parentheses++
		case ')':
			parentheses--
		case ';':
			if parentheses == 0 {
				s.comments(start)
				s.declaration(prefix, pending()+";", visible)
				start = s.at + 1
			}
		case ':':
			if now := pending(); access != "" && (now == "public" || now == "private" || now == "protected") {
				visible = reachable && now == "public"
				start = s.at + 1
			}
		case '{':
			if parentheses != 0 { // of an initializer
				s.skip()
				continue
			}
			s.comments(start)
			s.braces(prefix, pending(), visible)
			start = s.at
			continue
		case '}':
			s.at++
			return
		}
		s.at++
	}
}

// braces reads from behind a declaration's opening brace to behind the closing brace.
func (s *scanner) braces(prefix, pending string, visible bool) {
	if m := nameSpace.FindStringSubmatch(pending); m != nil || pending == "extern" {
		inner := prefix
		if m != nil && m[1] != "datablock" {
			inner += m[1] + "::"
		}
		s.at++
		s.declarations(inner, visible && !strings.HasSuffix(inner, "detail::"), "")
		return
	}
	if m := enumeration.FindStringSubmatch(pending); m != nil {
		begin := s.at + 1
		s.skip()
		if visible {
			inner := prefix
			if strings.HasPrefix(pending, "enum class") {
				s.types[prefix+m[1]] = true
				inner += m[1] + "::"
			}
			for _, e := range enumerator.FindAllStringSubmatch(s.text[begin:s.at-1], -1) {
				s.constants[inner+e[1]] = true
			}
		}
		return
	}
	if class.MatchString(strings.TrimPrefix(pending, "typedef ")) {
		name := className.FindStringSubmatch(pending)[1]
		if visible {
			s.types[prefix+name] = true
		}
		s.at++
		access := "private"
		if strings.Contains(pending, "struct ") {
			access = "public"
		}
		outside := s.group
		s.group, s.comment = s.comment, ""
		s.declarations(prefix+name+"::", visible, access)
		s.group, s.comment = outside, ""
		return
	}
	s.declaration(prefix, pending, visible)
	s.skip()
}

func (s *scanner) declaration(prefix, text string, visible bool) {
	if visible {
		s.describe(prefix, text)
	}
	text = strings.TrimSuffix(text, ";")
	if !visible || strings.Contains(text, "friend ") || strings.Contains(text, "typedef ") ||
		strings.Contains(text, "operator") || strings.HasSuffix(text, "= delete") {
		return
	}
	inClass := strings.HasSuffix(prefix, "::") && s.types[strings.TrimSuffix(prefix, "::")]
	if m := aliased.FindStringSubmatch(text); m != nil {
		if !inClass { // in a class this is a declaration for templates
			s.types[prefix+m[1]] = true
		}
	} else if m := errorType.FindStringSubmatch(text); m != nil {
		s.types[prefix+m[1]] = true
	} else if m := constant.FindStringSubmatch(text); m != nil {
		s.constants[prefix+m[1]] = true
	} else if m := called.FindStringSubmatch(text); m != nil && function(prefix, m[1]) {
		s.functions[prefix+m[1]] = true
	}
}

// function reports whether a name before a parenthesis is the name of a function that is declared
// there.
func function(prefix, name string) bool {
	switch {
	// a definition of what is declared elsewhere; a destructor
	case strings.Contains(name, ":"), strings.Contains(name, "~"):
	case name != strings.ToLower(name), strings.HasSuffix(name, "_"): // a macro, a member that is initialized
	// a constructor, which is documented with its class
	case name == "static_assert", strings.HasSuffix(prefix, name+"::"):
	default:
		return true
	}
	return false
}

// skip moves behind the brace that closes the current one.
func (s *scanner) skip() {
	depth := 0
	for ; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				s.at++
				return
			}
		}
	}
}
