package docs_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// aspect is something that the comment of a public function must state. A comment states it itself,
// or the comment of its group does (a section of datablock.h, a type of Go), or the heading of the
// whole interface. `concerns` says from its declaration whether a function has the aspect.
type aspect struct {
	name     string
	concerns *regexp.Regexp
	own      *regexp.Regexp // in the comment, or in that of the group, if not ownOnly
	heading  *regexp.Regexp // in the heading; nil: the heading cannot state it for a function
	spares   *regexp.Regexp // what the declaration states itself, or cannot need; nil: none
}

func words(expression string) *regexp.Regexp { return regexp.MustCompile(`(?is)` + expression) }

// aspects is the one place that defines what a comment must state.
var aspects = map[string][]aspect{
	"C": {
		{"units", words(`\b(timeout_ms|timeout_ns|length|capacity|size|count)\b`),
			words(`bytes|milliseconds|nanoseconds|number of|capacity|up to|messages|consumers|timeout`),
			words(`timeouts are .int64_t. milliseconds`), nil},
		{"ownership", words(`\*`),
			words(`memory|caller|valid|freed|frees|NULL|buffer`),
			words(`caller owns out structs.*keeps no pointer`), nil},
		{"blocking", words(`\btimeout_ms\b`), words(`\bwaits?\b|sleeps|errors: as`), nil, nil},
		{"blocking", words(`.`), words(`\bwaits?\b|blocks briefly`),
			words(`a function without .timeout_ms. does not wait for a message, a free slot or a lock of the block`),
			nil},
		{"thread safety", words(`\(.*\bdatablock_(producer|consumer|observer|participant)\b`), nil,
			words(`a handle may be used by one thread at a time`), nil},
		{"thread safety", words(`.`), words(`any thread|this thread`),
			words(`a function without a handle may be called from any thread`), nil},
		{"errors", words(`.`),
			words(`errors?:|no errors?|never fails|never NULL|returns|as above|FAILED|UNSAFE|does nothing`), nil, nil},
	},
	"Go": {
		{"units", words(`\b(timeout|age|retention)\b.*Duration|\bsize\b|\blength\b`),
			words(`bytes|timeout|length|wait|older|time`), words(`timeouts are the same everywhere`), nil},
		{"ownership", words(`\[\]byte|unsafe\.Pointer|\*\w`),
			words(`owns|copy|copies|in place|until|memory|close`),
			words(`the block owns the data|the caller owns what a function returns`), nil},
		{"blocking", words(`\btimeout\b`), words(`\bwaits?\b|\bwaiting\b|errors: as|as \[?\w+\.\w+`), nil, nil},
		{"blocking", words(`.`),
			words(`\bwaits?\b`),
			words(`call without a timeout waits for no other participant|nothing here waits`), nil},
		{"thread safety", words(`.`),
			words(`goroutine`), words(`every other function may be called from any goroutine`), nil},
		{"errors", words(`\berror\b`), words(`errors?\b|Err[A-Z]\w+|fails`), nil, nil},
	},
	"Python": {
		{"units", words(`\b(timeout|wait|retention)\b`), nil, words(`timeouts are seconds`), nil},
		{"units", words(`\b(length|size|capacity|alignment|most|first|\w+_ns|\w+_size)\b`),
			words(`\b(bytes|nanoseconds|messages|number)\b`), nil, nil},
		{"ownership", words(`-> .*(memoryview|NDArray|ReadSlot|ReadBatch|WriteSlot)`),
			words(`in place|cop(y|ies)|until|valid|\bheld\b|ends when|releases`), nil, nil},
		{"ownership", words(`.`), nil, words(`owns what a function returns, unless .*in place`), nil},
		{"blocking", words(`\btimeout\b`), words(`\bwait(s|ing)?\b|raises as|see .\w+`), nil, nil},
		{"blocking", words(`.`), nil,
			words(`a call without a timeout does not wait for a message, a free slot or a lock`), nil},
		{"thread safety", words(`.`), nil,
			words(`one thread at a time may use .*every other function may be called from any thread`), nil},
		{"errors", words(`.`), words(`raises?\b|does nothing|see .\w+`), nil, words(`^property`)},
	},
	"Rust": {
		{"units", words(`\b(length|size|alignment|len|limit|count|\w+_size|\w+_ns|\w+_ms|\w+_bytes)\b`),
			words(`\b(bytes|nanoseconds|milliseconds|messages|consumers|slots|how many)\b`), nil,
			words(`Duration|^field .*_(ns|ms): `)},
		{"ownership", words(`.`), nil,
			words(`compiler refuses a program that uses .*dropped is aborted or released`), nil},
		{"blocking", words(`\bTimeout\b`), words(`\bwait(s|ing)?\b`), nil,
			words(`^field|^pub (const )?fn \w+\(\)`)},
		{"blocking", words(`.`), nil,
			words(`every other function waits for no message, no free slot and no lock`), nil},
		{"thread safety", words(`.`), nil,
			words(`are \S*send\S* and not \S*sync\S*: one thread at a time.*by every thread`), nil},
		{"errors", words(`-> .*\bResult\b`), words(`errors?:|no errors|errors are|\[.error::\w+.\]`), nil, nil},
	},
	"Node.js": {
		{"units", words(`\btimeout\b`), nil, words(`timeouts are milliseconds`), nil},
		{"units", words(`\b(length|size|alignment|older|retention|(?-i:\w+(Size|Ms|Ns)))\b`),
			words(`\b(bytes|milliseconds|nanoseconds)\b`), nil, words(`^field \w+Ms: `)},
		{"ownership", words(`[:<] ?(Buffer|ReadSlot|WriteSlot|Received|Observation)\b`),
			words(`memory of the block|cop(y|ies)|\bholds?\b|claims?|until`), nil, nil},
		{"ownership", words(`.`), nil, words(`belongs to the program`), nil},
		{"blocking", words(`Promise|AsyncGenerator`), words(`\bwait(s|ing)?\b`), nil, nil},
		{"blocking", words(`.`), nil, words(`no call waits on the thread of the event loop`), nil},
		{"thread safety", words(`.`), nil, words(`one thread of javascript`), nil},
		{"errors", words(`\(`), words(`errors?:|no errors|does nothing`), nil, words(`^field|readonly`)},
	},
	"C++": {
		{"units", words(`\btimeout_ms\b`), nil, words(`timeouts are milliseconds`), nil},
		{"units", words(`\b(length|capacity|size|alignment|count|threshold|timeout|\w+_ms|\w+_ns)\b`),
			words(`\b(bytes|milliseconds|nanoseconds|number of|messages|consumers|how many)\b`), nil,
			words(`\btimeout_ms\b|\b(bytes|milliseconds|nanoseconds|messages|consumers)\)|\bT &`)},
		{"ownership", words(`(\*|&|span<.*>|string_view) \w+\(|operator(->|\*)\(|for_c\(`),
			words(`valid|until|\bowns?\b|cop(y|ies)|\*this|points? into|closes the handle`), nil,
			words(` (data|bytes|text|as)\(`)},
		{"ownership", words(`.`), nil,
			words(`views .*data\(\), bytes\(\), text\(\) and as\(\)\) point into the block.*valid until.*` +
				`arguments are read during the call only`), nil},
		{"blocking", words(`\btimeout_ms\b`), words(`\bwaits?\b|errors: as`), nil, nil},
		{"blocking", words(`.`), nil,
			words(`a function without .timeout_ms. does not wait for a message, a free slot or a lock`), nil},
		{"thread safety", words(`.`), nil,
			words(`belong to one thread at a time.*a function without such an object may be called from any thread`),
			nil},
		{"errors", words(`.`), words(`errors?:|(^|\. )throws|they throw nothing|setters check nothing`), nil,
			words(`\bnoexcept\b`)},
	},
}

// described is a public function with the comments that speak for it.
type described struct{ name, declaration, comment, group, heading string }

func (d described) lacks(a aspect) bool {
	if !a.concerns.MatchString(d.declaration) || a.spares != nil && a.spares.MatchString(d.declaration) {
		return false
	}
	ownOnly := a.name == "units" || a.name == "blocking" // the group has such words by chance
	if a.own != nil && (a.own.MatchString(d.comment) || !ownOnly && a.own.MatchString(d.group)) {
		return false
	}
	return a.heading == nil || !a.heading.MatchString(d.heading)
}

func testContract(t *testing.T, language string, functions []described, least int) {
	t.Helper()
	if len(functions) < least {
		t.Fatalf("only %d functions of %s were found: are they still written as this test looks for them?",
			len(functions), language)
	}
	for _, f := range functions {
		for _, a := range aspects[language] {
			if f.lacks(a) {
				t.Errorf("%s: neither the comment nor its group states %s", f.name, a.name)
			}
		}
	}
}

var (
	sectionTitle = regexp.MustCompile(`(?m)^/\* -{4} .*? -{4,} \*/$`)
	headerItem   = regexp.MustCompile(`(?ms)/\*(?:[^*]|\*[^/])*\*/|^DATABLOCK_API[^;]*;|^[ \t]*\n`)
	functionOfC  = regexp.MustCompile(`\b(datablock_\w+)\(`)
)

// functionsOfC reads datablock.h. A comment speaks for the functions below it, up to an empty line;
// a comment above an empty line is that of its section.
func functionsOfC(t *testing.T) (found []described) {
	t.Helper()
	sections := sectionTitle.Split(read(t, "include/datablock.h"), -1)
	heading := plainText(sections[0])
	for _, section := range sections {
		items := headerItem.FindAllString(section, -1)
		comment, group := "", ""
		from := len(found)
		for i, item := range items {
			switch {
			case strings.HasPrefix(item, "/*"):
				comment = plainText(item)
				if i+1 < len(items) && strings.TrimSpace(items[i+1]) == "" {
					group += comment
				}
			case strings.TrimSpace(item) == "":
				comment = ""
			default:
				declaration := strings.Join(strings.Fields(item), " ")
				name := functionOfC.FindStringSubmatch(declaration)[1]
				found = append(found, described{name, declaration, comment, "", heading})
			}
		}
		for i := from; i < len(found); i++ {
			found[i].group = group
		}
	}
	return found
}

var commentSigns = regexp.MustCompile(`/\*\*?|\*/|\n[ \t]*\*`)

// plainText is the text of a comment in one line.
func plainText(comment string) string {
	return strings.Join(strings.Fields(commentSigns.ReplaceAllString(comment, " ")), " ")
}

func TestEveryFunctionOfCStatesItsContract(t *testing.T) {
	testContract(t, "C", functionsOfC(t), 70)
}

// functionsOfGo reads a public package. The group of a method is its type.
func functionsOfGo(t *testing.T, folder string) (found []described) {
	t.Helper()
	set := token.NewFileSet()
	paths, err := filepath.Glob(filepath.Join(root(t), folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(set, files, folder)
	if err != nil {
		t.Fatal(err)
	}
	add := func(name, group string, f *doc.Func) {
		source := read(t, filepath.Join(folder, filepath.Base(set.Position(f.Decl.Pos()).Filename)))
		from, to := set.Position(f.Decl.Pos()).Offset, set.Position(f.Decl.Type.End()).Offset
		found = append(found, described{name, source[from:to], f.Doc, group,
			strings.Join(strings.Fields(pkg.Doc), " ")})
	}
	for _, f := range pkg.Funcs {
		add(f.Name, "", f)
	}
	for _, of := range pkg.Types {
		for _, f := range of.Funcs {
			add(f.Name, "", f)
		}
		for _, f := range of.Methods {
			if !ofTheLanguage[f.Name] {
				add(of.Name+"."+f.Name, of.Doc, f)
			}
		}
	}
	return found
}

func TestEveryFunctionOfGoStatesItsContract(t *testing.T) {
	testContract(t, "Go", functionsOfGo(t, "."), 90)
	testContract(t, "Go", functionsOfGo(t, "schema"), 15)
}

func TestEveryFunctionOfPythonStatesItsContract(t *testing.T) {
	var functions []described
	for _, f := range imported(t).Functions {
		functions = append(functions, described{f[0], f[1], f[2], f[3], f[4]})
	}
	testContract(t, "Python", functions, 130)
}
