// Package stores finds, in the sources, pairs of stores or system calls that other processes can
// see, without a crash point in between. No test can kill a process there.
package stores

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// open has the effects that are the last step on one of the paths to a place.
type open map[string]bool

func (o open) or(other open) open {
	all := maps.Clone(o)
	maps.Copy(all, other)
	return all
}

// Walker follows all paths through the functions of a package, and through their callees.
type Walker struct {
	fset  *token.FileSet
	funcs map[string][]*ast.FuncDecl // by name; several if they are methods of several types
	known map[*ast.FuncDecl]summary
	Gaps  map[string]bool // "function: effect → next effect"
}

// entry represents the last effect before the call of a function.
const entry = "entry"

// summary has the properties of a function that matter to its caller.
type summary struct {
	head    bool // the function may have an effect before its first crash point
	tail    bool // the function may return after an effect without a later crash point
	through bool // the function may return without an effect and without a crash point
}

// frame is a function on the current path.
type frame struct {
	name     string            // of the function
	types    map[string]string // of receiver and parameters
	head     bool
	deferred []*ast.CallExpr
	exits    open
	breaks   open
}

// Read parses the files of some directories that belong to every build.
func Read(directories ...string) (*Walker, error) {
	w := &Walker{fset: token.NewFileSet(), funcs: map[string][]*ast.FuncDecl{}, known: map[*ast.FuncDecl]summary{},
		Gaps: map[string]bool{}}
	var files []string
	for _, directory := range directories {
		some, err := filepath.Glob(filepath.Join(directory, "*.go"))
		if err != nil {
			return nil, err
		}
		files = append(files, some...)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "_on.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(w.fset, file, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				w.funcs[fn.Name.Name] = append(w.funcs[fn.Name.Name], fn)
			}
		}
	}
	return w, nil
}

// Walk follows the paths through every function.
func (w *Walker) Walk() {
	for _, name := range slices.Sorted(maps.Keys(w.funcs)) {
		for _, fn := range w.funcs[name] {
			w.summarize(fn)
		}
	}
}

func (w *Walker) text(n ast.Node) string {
	var b strings.Builder
	_ = printer.Fprint(&b, w.fset, n)
	return strings.Join(strings.Fields(b.String()), " ")
}

func typeName(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if of, ok := e.(*ast.SelectorExpr); ok { // of another package
		e = of.Sel
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	return typeName(fn.Recv.List[0].Type)
}

func fullName(fn *ast.FuncDecl) string {
	if r := receiver(fn); r != "" {
		return r + "." + fn.Name.Name
	}
	return fn.Name.Name
}

// summarize follows a function once. A recursive call adds nothing.
func (w *Walker) summarize(fn *ast.FuncDecl) summary {
	if s, known := w.known[fn]; known {
		return s
	}
	w.known[fn] = summary{through: true}
	f := &frame{name: fullName(fn), types: map[string]string{}, exits: open{}}
	fields := fn.Type.Params.List
	if fn.Recv != nil {
		fields = append(fn.Recv.List[:1:1], fields...)
	}
	for _, field := range fields {
		for _, id := range field.Names {
			f.types[id.Name] = typeName(field.Type)
		}
	}
	out := w.body(fn.Body, f, open{entry: true})
	s := summary{head: f.head, through: out[entry]}
	delete(out, entry)
	s.tail = len(out) > 0
	w.known[fn] = s
	return s
}

func (w *Walker) body(b *ast.BlockStmt, f *frame, in open) open {
	out, falls := w.block(b.List, f, in)
	if falls {
		f.exits = f.exits.or(out)
	}
	out = f.exits
	for _, d := range slices.Backward(f.deferred) {
		out = w.invoke(d, f, out)
	}
	return out
}

// literal follows a function literal at its call. A return in it does not leave the outer function.
func (w *Walker) literal(lit *ast.FuncLit, f *frame, in open) open {
	inner := *f
	inner.exits, inner.deferred = open{}, nil
	out := w.body(lit.Body, &inner, in)
	f.head = inner.head
	return out
}

func (w *Walker) block(list []ast.Stmt, f *frame, in open) (out open, falls bool) {
	for _, s := range list {
		if in, falls = w.statement(s, f, in); !falls {
			return in, false
		}
	}
	return in, true
}

// branches joins paths with a common beginning.
func (w *Walker) branches(f *frame, in open, ways ...[]ast.Stmt) (out open, falls bool) {
	out = open{}
	for _, way := range ways {
		if end, ok := w.block(way, f, in); ok {
			out, falls = out.or(end), true
		}
	}
	return out, falls
}

func (w *Walker) statement(s ast.Stmt, f *frame, in open) (out open, falls bool) {
	switch s := s.(type) {
	case nil:
		return in, true
	case *ast.BlockStmt:
		return w.block(s.List, f, in)
	case *ast.LabeledStmt:
		return w.statement(s.Stmt, f, in)
	case *ast.ReturnStmt:
		for _, e := range s.Results {
			in = w.expression(e, f, in)
		}
		f.exits = f.exits.or(in)
		return in, false
	case *ast.BranchStmt:
		f.breaks = f.breaks.or(in)
		return in, false
	case *ast.DeferStmt:
		f.deferred = append(f.deferred, s.Call)
		return in, true
	case *ast.IfStmt:
		return w.ifStatement(s, f, in)
	case *ast.ForStmt:
		in, _ = w.statement(s.Init, f, in)
		return w.loop(f, in, false, s.Cond, s.Post, s.Body)
	case *ast.RangeStmt:
		return w.loop(f, w.expression(s.X, f, in), true, nil, nil, s.Body)
	case *ast.SwitchStmt:
		return w.switchStatement(s, f, in)
	case *ast.AssignStmt:
		for _, e := range s.Rhs {
			in = w.expression(e, f, in)
		}
		for _, e := range s.Lhs {
			in = w.store(e, f, w.expression(e, f, in))
		}
		return in, true
	case *ast.IncDecStmt:
		return w.store(s.X, f, w.expression(s.X, f, in)), true
	case *ast.ExprStmt:
		return w.expression(s.X, f, in), true
	case *ast.DeclStmt:
		for _, d := range s.Decl.(*ast.GenDecl).Specs {
			if v, ok := d.(*ast.ValueSpec); ok {
				for _, e := range v.Values {
					in = w.expression(e, f, in)
				}
			}
		}
		return in, true
	}
	return in, true // nothing else is in these sources
}

func (w *Walker) ifStatement(s *ast.IfStmt, f *frame, in open) (out open, falls bool) {
	in, _ = w.statement(s.Init, f, in)
	yes, no := w.condition(s.Cond, f, in)
	out, falls = w.block(s.Body.List, f, yes)
	if !falls {
		out = open{}
	}
	end, ok := w.statement(s.Else, f, no)
	if ok {
		out = out.or(end)
	}
	return out, falls || ok
}

func (w *Walker) switchStatement(s *ast.SwitchStmt, f *frame, in open) (out open, falls bool) {
	in, _ = w.statement(s.Init, f, in)
	if s.Tag != nil {
		in = w.expression(s.Tag, f, in)
	}
	ways, always := [][]ast.Stmt{}, false
	for _, c := range s.Body.List {
		c := c.(*ast.CaseClause)
		for _, e := range c.List {
			in = in.or(w.expression(e, f, in))
		}
		ways, always = append(ways, c.Body), always || c.List == nil
	}
	if !always {
		ways = append(ways, nil)
	}
	return w.branches(f, in, ways...)
}

// condition follows the condition of a branch. A failed swap, or a file that could not be removed,
// has no effect on the path of the failure.
func (w *Walker) condition(e ast.Expr, f *frame, in open) (yes, no open) {
	text := w.text(e)
	out := w.expression(e, f, in)
	switch {
	case strings.HasPrefix(text, "!") && strings.Contains(text, ".CompareAndSwap("),
		strings.HasPrefix(text, "platform.Remove(") && strings.HasSuffix(text, "!= nil"):
		return in, out
	case strings.Contains(text, ".CompareAndSwap("),
		strings.HasPrefix(text, "platform.Remove(") && strings.HasSuffix(text, "== nil"):
		return out, in
	}
	return out, out
}

// loop follows the body twice, so that its end is followed by its beginning.
func (w *Walker) loop(f *frame, in open, ranges bool, condition ast.Expr, post ast.Stmt, body *ast.BlockStmt) (out open,
	falls bool) {
	outer := f.breaks
	f.breaks = open{}
	for range 2 {
		at, past := in, in
		if condition != nil {
			at, past = w.condition(condition, f, in)
		}
		end, ok := w.block(body.List, f, at)
		if ok {
			end, _ = w.statement(post, f, end)
			in = in.or(end)
		}
		in = in.or(f.breaks)
		out = past
	}
	out = out.or(f.breaks)
	if condition == nil && post == nil && !ranges {
		out = f.breaks // the loop ends in no other way
	}
	f.breaks = outer
	return out, true
}

// expression follows the calls of an expression, the inner ones first.
func (w *Walker) expression(e ast.Expr, f *frame, in open) open {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false // it is followed at its call
		case *ast.CallExpr:
			in = w.invoke(n, f, in)
			return false
		}
		return true
	})
	return in
}

// invoke follows a call: receiver, arguments, and then the function.
func (w *Walker) invoke(c *ast.CallExpr, f *frame, in open) open {
	if s, ok := c.Fun.(*ast.SelectorExpr); ok {
		in = w.expression(s.X, f, in)
	}
	for _, a := range c.Args {
		if lit, ok := a.(*ast.FuncLit); ok && strings.HasSuffix(w.text(c.Fun),
			"WithDeadRow") { // which has crash points around it
			w.literal(lit, f, open{})
		} else if ok {
			in = in.or(w.literal(lit, f, in))
		}
		in = w.expression(a, f, in)
	}
	switch fun := c.Fun.(type) {
	case *ast.FuncLit:
		return w.literal(fun, f, in)
	case *ast.Ident:
		if (fun.Name == "copy" || fun.Name == "clear") && mapped(w.text(c.Args[0])) {
			return w.effect(w.text(c), f, in)
		}
		return w.calls(fun.Name, "", c, f, in)
	case *ast.SelectorExpr:
		of, name := w.text(fun.X), fun.Sel.Name
		switch {
		case of == "crash" && name == "Point":
			return open{}
		case of == "platform" && noticed[name], name == "Reserve", swaps[name] && shared(of):
			return w.effect(w.text(c), f, in)
		case of == "platform" || of == "layout" || of == "errors" || of == "fmt" || of == "strings":
			return in
		case of == "segment":
			return w.calls(name, "", c, f, in)
		}
		return w.calls(name, w.ownerOf(fun.X, f), c, f, in)
	}
	return in
}

// ownerOf returns the type of an expression if its name determines the type.
func (w *Walker) ownerOf(e ast.Expr, f *frame) string {
	text := w.text(e)
	if t := f.types[text]; t != "" {
		return t
	}
	return map[string]string{"p": "Producer", "c": "Consumer", "b": "Segment", "a": "Attachment",
		"w": "recoverySession",
		"x": "inspection", "old": "Segment", "replacement": "Producer"}[text]
}

// embedded has the types from which a type gets methods.
var embedded = map[string][]string{
	"Producer": {"Producer", "Attachment", "Segment"}, "Consumer": {"Consumer", "Attachment", "Segment"},
	"Attachment": {"Attachment", "Segment"}, "recoverySession": {"recoverySession", "Segment"},
	"inspection": {"inspection", "view", "Segment"}, "view": {"view", "Segment"},
}

// calls follows the functions of this name. Among methods of several types it selects the owner's.
func (w *Walker) calls(name, owner string, c *ast.CallExpr, f *frame, in open) open {
	for _, t := range append(embedded[owner], owner) {
		for _, fn := range w.funcs[name] {
			if owner != "" && receiver(fn) == t {
				return w.passes(w.summarize(fn), c, f, in)
			}
		}
	}
	if owner != "" || len(w.funcs[name]) != 1 || receiver(w.funcs[name][0]) != "" {
		return in
	}
	return w.passes(w.summarize(w.funcs[name][0]), c, f, in)
}

// passes returns the open effects after a call.
func (w *Walker) passes(s summary, c *ast.CallExpr, f *frame, in open) open {
	this := f.name + ": " + w.text(c)
	if s.head {
		w.follow(this, f, in)
	}
	out := open{}
	if s.through {
		out = out.or(in)
	}
	if s.tail {
		out[this] = true
	}
	return out
}

// follow records the effect `this` as the next one after each open effect.
func (w *Walker) follow(this string, f *frame, in open) {
	for before := range in {
		if before == entry {
			f.head = true
		} else if before != this || !strings.Contains(this, ".CompareAndSwap(") { // a failed swap has no effect

			w.Gaps[before+" → "+strings.TrimPrefix(this, f.name+": ")] = true
		}
	}
}

// store follows an assignment to memory that other processes have mapped.
func (w *Walker) store(e ast.Expr, f *frame, in open) open {
	text := w.text(e)
	switch e := e.(type) {
	case *ast.StarExpr:
		if _, private := e.X.(*ast.Ident); private && !pointers[text] {
			return in
		}
	case *ast.IndexExpr:
		if !mapped(text) {
			return in
		}
	default:
		return in
	}
	return w.effect(text, f, in)
}

func (w *Walker) effect(text string, f *frame, in open) open {
	if slices.ContainsFunc(figures, func(word string) bool { return strings.Contains(text, word) }) {
		return in
	}
	this := f.name + ": " + text
	w.follow(this, f, in)
	return open{this: true}
}

func mapped(text string) bool {
	return text == "a.Ctl" || text == "b.Data" || strings.Contains(text, ".Ctl[") || strings.Contains(text, ".Data[") ||
		strings.Contains(text, "SlotChecksum(") || strings.Contains(text, "[layout.Slot")
}

// shared reports whether the operand of a swap is a word of a block, and not a coarse clock or an
// address.
func shared(of string) bool {
	return of != "unsafe" && !strings.Contains(of, "time.") && !slices.Contains(private, of)
}
