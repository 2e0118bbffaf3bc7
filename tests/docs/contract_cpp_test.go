package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

var (
	blockComment = regexp.MustCompile(`(?s)/\*.*?\*/`)
	emptyLine    = regexp.MustCompile(`\n[ \t]*\n`)
	functionName = regexp.MustCompile(`(operator ?[^\s\w(]+|operator[ \w:]+|[~\w]+)\(`)
	thrown       = regexp.MustCompile(`(error|exception)::$|\berror::`) // a class of exceptions
	initializers = regexp.MustCompile(`\)( noexcept)? : .*`)
	sameClass    = regexp.MustCompile(`\b(\w+)\((?:const )?(\w+) &&?\w*\)`) // of a copy or a move
)

// comments finds the comment of the declaration that begins behind `start`. A comment speaks for
// the declarations below it, up to an empty line.
func (s *scanner) comments(start int) {
	begin := start + len(s.text[start:]) - len(strings.TrimLeft(s.text[start:], " \t\n"))
	_, above, _ := strings.Cut(s.original[start:min(begin, s.at)], "\n")
	if found := blockComment.FindAllStringIndex(above, -1); found != nil {
		last := found[len(found)-1]
		s.comment, above = plainText(above[last[0]:last[1]]), above[last[1]:]
	} else {
		above = "\n" + above
	}
	if emptyLine.MatchString(above) {
		s.comment = ""
	}
}

// describe notes a function for the test of its contract. Not described are definitions of what is
// declared elsewhere, destructors, comparisons, and the copies and moves of an object.
func (s *scanner) describe(prefix, text string) {
	m := functionName.FindStringSubmatch(text)
	if m == nil || strings.Contains(text, "friend ") || strings.Contains(text, "using ") ||
		strings.Contains(text, "= de") || strings.Contains(text, "static_assert") ||
		!strings.Contains(prefix, "::") && strings.HasSuffix(text, ";") ||
		regexp.MustCompile(`\w::[~\w]+\(`).MatchString(text) {
		return
	}
	name := m[1]
	if c := sameClass.FindStringSubmatch(text); strings.HasPrefix(name, "~") || name == "operator=" ||
		c != nil && c[1] == c[2] {
		return
	}
	if thrown.MatchString(prefix) && strings.HasSuffix(prefix, name+"::") || name == strings.ToUpper(name) {
		return
	}
	comment := s.comment
	if strings.HasPrefix(comment, "The same") && len(s.described) != 0 {
		comment = s.described[len(s.described)-1].comment + " " + comment
	}
	declaration := initializers.ReplaceAllString(text, ")$1")
	s.described = append(s.described, described{prefix + name, declaration, comment, s.group, ""})
}

func TestEveryFunctionOfCPPStatesItsContract(t *testing.T) {
	heading := plainText(blockComment.FindString(read(t, "include/datablock.hpp")))
	functions := declared(t, "*.hpp", "*/*.hpp").described
	for i := range functions {
		functions[i].heading = heading
	}
	testContract(t, "C++", functions, 150)
}
