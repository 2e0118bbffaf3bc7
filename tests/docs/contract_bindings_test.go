package docs_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	rustComment  = regexp.MustCompile(`^\s*//[/!] ?(.*)`)
	rustExample  = regexp.MustCompile("(?s)```.*?```")
	rustImpl     = regexp.MustCompile(`^impl(?:<.*?>)? (?:(.* )for )?(\w+)`)
	rustType     = regexp.MustCompile(`^pub (?:unsafe )?(?:struct|enum|trait) (\w+)`)
	rustFunction = regexp.MustCompile(`^\s*(pub )?(?:const |unsafe )*fn (\w+)`)
	rustField    = regexp.MustCompile(`^\s+(?:pub )?(\w+): [^=]+,$`) // of a struct, or a setter
	nodeHeading  = regexp.MustCompile(`^export (?:class|interface|namespace) (\w+)`)
	nodeMember   = regexp.MustCompile(`^(?:export |readonly |static |private )*(?:function )?([\w.\[\]]+)`)
)

// functionsOfRust reads a file of the crate. The group of a method is its type and the module.
func functionsOfRust(t *testing.T, path, heading string) (found []described) {
	t.Helper()
	var module, comment, declaration []string
	owner, hidden, ofTrait, inMacro := "", false, false, false
	types := map[string]string{}
	for _, line := range strings.Split(read(t, path), "\n") {
		text := strings.TrimSpace(line)
		if m := rustComment.FindStringSubmatch(line); m != nil {
			if strings.HasPrefix(text, "//!") {
				module = append(module, m[1])
			} else {
				comment = append(comment, m[1])
			}
			continue
		}
		said := rustText(comment)
		if m := rustType.FindStringSubmatch(line); m != nil {
			types[m[1]], owner, ofTrait = said, m[1], strings.Contains(line, "trait ")
		} else if m := rustImpl.FindStringSubmatch(line); m != nil {
			owner, ofTrait = m[2], false
			if m[1] != "" { // the trait documents its functions
				owner = ""
			}
		} else if line == "}" {
			owner, ofTrait = "", false
		} else if text == "setters! {" || text == "}" {
			inMacro = text == "setters! {"
		}
		m, name := rustFunction.FindStringSubmatch(line), ""
		switch field := rustField.FindStringSubmatch(line); {
		case strings.HasPrefix(text, "#[") || declaration != nil && !strings.HasSuffix(text, "{"):
			hidden = hidden || text == "#[doc(hidden)]"
			if declaration != nil {
				declaration = append(declaration, text)
			}
			continue
		case declaration != nil:
			declaration = append(declaration, text)
			m, name = rustFunction.FindStringSubmatch(declaration[0]), ""
		case field != nil && (inMacro || strings.HasPrefix(text, "pub ")):
			declaration, name = []string{"field " + text}, field[1]
		case m != nil && (m[1] != "" || ofTrait):
			declaration = []string{text}
			if !strings.HasSuffix(text, "{") && !strings.HasSuffix(text, ";") {
				continue
			}
		}
		if declaration != nil && !hidden {
			if name == "" {
				name = m[2]
			}
			found = append(found, described{owner + "::" + name, strings.Join(declaration, " "), said,
				types[owner] + " " + rustText(module), heading})
		}
		comment, declaration, hidden = nil, nil, false
	}
	return found
}

func rustText(lines []string) string {
	return strings.Join(strings.Fields(rustExample.ReplaceAllString(strings.Join(lines, "\n"), "")), " ")
}

func TestEveryFunctionOfRustStatesItsContract(t *testing.T) {
	var functions []described
	var heading []string
	for _, line := range strings.Split(read(t, "bindings/rust/src/lib.rs"), "\n") {
		if strings.HasPrefix(line, "//!") {
			heading = append(heading, strings.TrimPrefix(line, "//!"))
		}
	}
	for _, pattern := range []string{"*.rs", "recovery/*.rs"} {
		files, err := filepath.Glob(filepath.Join(root(t), "bindings/rust/src", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			path, err := filepath.Rel(root(t), file)
			if err != nil {
				t.Fatal(err)
			}
			functions = append(functions, functionsOfRust(t, path, rustText(heading))...)
		}
	}
	testContract(t, "Rust", functions, 200)
}

// functionsOfNode reads the declarations of the package.
func functionsOfNode(t *testing.T) (found []described) {
	t.Helper()
	heading, text, _ := strings.Cut(read(t, "bindings/node/index.d.ts"), "*/")
	owner, kind, group, comment, open := "", "", "", "", false
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch m := nodeHeading.FindStringSubmatch(line); {
		case open || strings.HasPrefix(line, "/**"):
			if !open {
				comment = ""
			}
			comment += line + "\n"
			open = !strings.Contains(line, "*/")
			continue
		case m != nil && !strings.HasSuffix(line, "}"):
			owner, kind, group = m[1]+".", "function ", plainText(comment)
			if strings.HasPrefix(line, "export interface") {
				kind = "field "
			}
		case line == "}":
			owner = ""
		case strings.HasSuffix(line, ";") && !strings.HasPrefix(line, "private ") &&
			(owner != "" || strings.HasPrefix(line, "export function")):
			name := nodeMember.FindStringSubmatch(line)[1]
			found = append(found, described{owner + name, kind + line, plainText(comment), group, plainText(heading)})
		}
		comment = ""
	}
	return found
}

func TestEveryFunctionOfNodeStatesItsContract(t *testing.T) {
	testContract(t, "Node.js", functionsOfNode(t), 100)
}
