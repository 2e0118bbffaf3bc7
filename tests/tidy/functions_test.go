package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
)

// A function as the rules see it: where it begins, and how many lines it has.
type function struct {
	name         string
	first, lines int
}

// functions finds the functions of a file: Go's by its parser, Python's by indentation, others by their braces.
func (f *text) functions() []function {
	switch f.language {
	case "go":
		return f.functionsOfGo()
	case "python":
		return f.functionsOfPython()
	case "c", "c++", "rust", "java", "js":
		return f.functionsWithBraces()
	}
	return nil
}

func (f *text) functionsOfGo() (found []function) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, f.path, strings.Join(f.lines, "\n"), 0)
	if err != nil {
		return []function{{"does not parse: " + err.Error(), 1, 1 << 20}}
	}
	for _, declared := range file.Decls {
		if d, ok := declared.(*ast.FuncDecl); ok && d.Body != nil {
			first := set.Position(d.Pos()).Line
			found = append(found, function{d.Name.Name, first, set.Position(d.End()).Line - first + 1})
		}
	}
	return found
}

var definition = regexp.MustCompile(`^(\s*)(?:async )?def (\w+)`)

// functionsOfPython: a function ends before the first line that is indented no more than its beginning. Functions within it are part of it.
func (f *text) functionsOfPython() (found []function) {
	for i, line := range f.bare {
		m := definition.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		last, signature := i, true
		for j := i + 1; j < len(f.lines); j++ {
			if signature && !strings.HasSuffix(strings.TrimSpace(f.bare[j-1]), ":") {
				last = j
				continue
			}
			signature = false
			if f.kinds[j] == code && indent(f.lines[j]) <= len(m[1]) {
				break
			}
			if f.kinds[j] == code {
				last = j
			}
		}
		found = append(found, function{m[2], i + 1, last - i + 1})
	}
	return found
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }

var (
	named     = regexp.MustCompile(`([\w~]+)\s*\(`)
	statement = regexp.MustCompile(`^\s*(?:\}\s*)?(?:if|for|while|switch|do|else|catch|return|namespace|struct|class|enum|union|extern|typedef)\b`)
)

// functionsWithBraces: a pair of braces behind a parameter list, which lies in no other function.
func (f *text) functionsWithBraces() (found []function) {
	var head strings.Builder
	first, depth, inside := 0, 0, -1
	var current function
	directive := false
	for i, line := range f.bare {
		if directive || strings.HasPrefix(strings.TrimSpace(line), "#") {
			directive = strings.HasSuffix(strings.TrimRight(line, " \t"), "\\")
			continue
		}
		for _, r := range line {
			switch r {
			case '{':
				text := head.String()
				if m := named.FindStringSubmatch(text); inside < 0 && m != nil && !statement.MatchString(text) && !strings.Contains(text, "=") {
					inside, current = depth, function{name: m[1], first: first + 1}
				}
				depth++
				head.Reset()
			case '}':
				depth--
				if depth == inside {
					current.lines = i + 1 - current.first + 1
					found = append(found, current)
					inside = -1
				}
				head.Reset()
			case ';':
				head.Reset()
			default:
				if head.Len() == 0 {
					if r == ' ' || r == '\t' {
						continue
					}
					first = i
				}
				head.WriteRune(r)
			}
		}
		if head.Len() > 0 {
			head.WriteByte(' ')
		}
	}
	return found
}
