// Command golang writes the reference pages of the public Go packages: one page for each package,
// one for each type, as MyST Markdown. Its arguments are the folder of the module and the folder of
// the pages.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/printer"
	"go/token"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// packages maps the import path of each public package to its folder.
var packages = [][2]string{{"datablock", "."}, {"datablock/schema", "schema"}}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: golang MODULE PAGES")
	}
	for _, p := range packages {
		w, err := newWriter(filepath.Join(os.Args[1], p[1]), p[0], filepath.Join(os.Args[2], filepath.Base(p[0])))
		if err == nil {
			err = w.write()
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

type writer struct {
	pkg  *doc.Package
	set  *token.FileSet
	out  string
	page bytes.Buffer
}

func newWriter(folder, path, out string) (*writer, error) {
	w := &writer{set: token.NewFileSet(), out: out}
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_windows.go") {
			continue
		}
		file, err := parser.ParseFile(w.set, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	w.pkg, err = doc.NewFromFiles(w.set, files, path)
	return w, err
}

func (w *writer) write() error {
	p := w.pkg
	w.line("# Package %s\n\n```go\nimport %q\n```\n", p.Name, p.ImportPath)
	w.text(p.Doc, 2)
	w.examples(p.Examples)
	w.values(p.Consts)
	w.values(p.Vars)
	for _, f := range p.Funcs {
		w.function(f, f.Name)
	}
	w.line("## Types\n\n```{toctree}\n:maxdepth: 1\n")
	for _, t := range p.Types {
		w.line("%s <%s>", t.Name, t.Name)
	}
	w.line("```\n")
	if err := w.save("index"); err != nil {
		return err
	}
	for _, t := range p.Types {
		if err := w.typePage(t); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) typePage(t *doc.Type) error {
	w.line("# %s\n", t.Name)
	w.symbol(t.Name, t.Decl, t.Doc, 2)
	w.examples(t.Examples)
	w.values(t.Consts)
	w.values(t.Vars)
	for _, f := range t.Funcs {
		w.function(f, f.Name)
	}
	for _, m := range t.Methods {
		w.function(m, t.Name+"."+m.Name)
	}
	return w.save(t.Name)
}

func (w *writer) function(f *doc.Func, name string) {
	w.line("## %s\n", strings.TrimPrefix(name, f.Recv+"."))
	w.symbol(name, f.Decl, f.Doc, 3)
	w.examples(f.Examples)
}

// values writes constants and variables; each name of a group is a symbol of its own.
func (w *writer) values(all []*doc.Value) {
	for _, v := range all {
		w.line("## %s\n", strings.Join(v.Names, ", "))
		for _, name := range v.Names[1:] {
			w.line("````{go:symbol} %s.%s\n:hidden:\n````\n", w.pkg.Name, name)
		}
		w.symbol(v.Names[0], v.Decl, v.Doc, 3)
	}
}

func (w *writer) examples(all []*doc.Example) {
	for _, e := range all {
		w.line("**Example** %s\n", strings.Trim(e.Name+" "+e.Suffix, " "))
		w.text(e.Doc, 4)
		var node any = e.Code
		if e.Play != nil {
			node = e.Play
		}
		w.line("```go\n%s\n```\n", w.source(&printer.CommentedNode{Node: node, Comments: e.Comments}))
	}
}

// symbol writes a declaration and its comment as one entry of the index. The comment is behind the
// directive, so that it may have titles.
func (w *writer) symbol(name string, declaration ast.Decl, text string, level int) {
	w.line("````{go:symbol} %s.%s\n````\n", w.pkg.Name, name)
	w.line("```go\n%s\n```\n", w.source(declaration))
	w.text(text, level)
}

func (w *writer) source(node any) string {
	var b bytes.Buffer
	config := printer.Config{Mode: printer.UseSpaces | printer.TabIndent, Tabwidth: 4}
	if err := config.Fprint(&b, w.set, node); err != nil {
		log.Fatal(err)
	}
	return b.String()
}

// anchor matches the names of titles, which the printer of Go writes and MyST does not read.
var anchor = regexp.MustCompile(`(?m) \{#[^}]*\}$`)

func (w *writer) text(text string, level int) {
	p := w.pkg.Printer()
	p.HeadingLevel = level
	p.DocLinkURL = w.target
	w.line("%s", anchor.ReplaceAllString(string(p.Markdown(w.pkg.Parser().Parse(text))), ""))
}

// target is the page of a symbol, seen from another page of the same package.
func (w *writer) target(l *comment.DocLink) string {
	pkg := w.pkg.Name
	if l.ImportPath != "" && l.ImportPath != w.pkg.ImportPath {
		if !strings.HasPrefix(l.ImportPath, "datablock") {
			return l.DefaultURL("https://pkg.go.dev/")
		}
		pkg = filepath.Base(l.ImportPath)
	}
	name := l.Name
	if l.Recv != "" {
		name = l.Recv + "." + name
	}
	return "#go-" + pkg + "." + name
}

func (w *writer) line(format string, values ...any) { fmt.Fprintf(&w.page, format+"\n", values...) }

func (w *writer) save(name string) error {
	defer w.page.Reset()
	if err := os.MkdirAll(w.out, 0o777); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.out, name+".md"), w.page.Bytes(), 0o666)
}
