package schema

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func versions(t *testing.T, d Directory) (all []string) {
	t.Helper()
	list, err := d.List()
	require.NoError(t, err)
	for _, s := range list {
		all = append(all, s.Name+"@"+s.Version.String())
	}
	return all
}

func TestRegistryKeepsTheVersionRules(t *testing.T) {
	d := Directory(filepath.Join(t.TempDir(), "not", "there", "yet"))
	_, err := d.List()
	require.ErrorIs(t, err, ErrNoDirectory)
	require.ErrorContains(t, err, string(d))
	for _, c := range []struct{ text, says string }{
		{"schema A 1.0.0 { a: u32; }", ""},
		{"schema A 1.0.0 { a: u32; }", ""},
		{"schema A 1.0.0 { a: i32; }", "is there, and is another struct"},
		{"schema A 1.0.1 { a: u32; b: u32; }", "it needs version 1.1.0"},
		{"schema A 1.1.0 { a: u32; b: u32; }", ""},
		{"schema A 1.2.0 { a: i32; }", "it needs version 2.0.0"},
		{"schema A 2.0.0 { a: i32; }", ""},
		{"schema A 1.0.5 { a: u32; }", ""},
		{"schema A 1.5.0 { a: u32; }", "it needs version 3.0.0"}, // what 1.1.0 has added is gone
		{"schema B 0.1.0 { a: i32; }", ""},
		{"schema C { a: i32; }", "has no version"},
	} {
		err := d.Register(parse(t, c.text))
		if c.says == "" {
			assert.NoError(t, err, c.text)
		} else {
			assert.ErrorContains(t, err, c.says, c.text)
		}
	}
	assert.Equal(t, []string{"A@1.0.0", "A@1.0.5", "A@1.1.0", "A@2.0.0", "B@0.1.0"}, versions(t, d))
	files, err := os.ReadDir(string(d))
	require.NoError(t, err)
	assert.Len(t, files, 5, "nothing else is left there")

	for reference, version := range map[string]string{"A": "2.0.0", "A@1": "1.1.0", "A@1.0": "1.0.5",
		"A@1.0.0": "1.0.0", "B@0": "0.1.0"} {
		s, err := d.Lookup(reference)
		require.NoError(t, err)
		assert.Equal(t, version, s.Version.String(), reference)
	}
	_, err = d.Lookup("A@3")
	assert.ErrorIs(t, err, ErrNotRegistered)
	assert.ErrorContains(t, err, "which has versions 1.0.0, 1.0.5, 1.1.0, 2.0.0")
	_, err = d.Lookup("D")
	assert.ErrorIs(t, err, ErrNotRegistered)
	for _, bad := range []string{"", "../A", "A@x", "A@1.2.3.4"} {
		_, err = d.Lookup(bad)
		assert.ErrorContains(t, err, "the reference", bad)
	}
}

func TestRegistryNoticesChangedFiles(t *testing.T) {
	d := Directory(t.TempDir())
	one := parse(t, "schema A 1.0.0 { a: u32; }")
	require.NoError(t, d.Register(one))
	file := d.path(one)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("// BLAKE2b-256 %x\n%s", one.Hash(), one.Text()), string(whole))
	for _, text := range []string{"schema A 1.0.1 { a: u32; }", "schema", string(make([]byte, maxFile+1)),
		strings.Replace(string(whole), "u32", "i32", 1), "// BLAKE2b-256 \n" + one.Text()} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := d.Lookup("A")
		assert.ErrorContains(t, err, file)
		assert.ErrorContains(t, d.Register(one), file)
	}
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.Mkdir(file, 0o700))
	_, err = d.List()
	assert.ErrorContains(t, err, "not a regular file")
}

// A text of the largest size fits with its hash.
func TestRegistryTakesTheLargestSchema(t *testing.T) {
	d := Directory(t.TempDir())
	var body strings.Builder
	for i := range 700 {
		fmt.Fprintf(&body, "%s%04d: u8;", strings.Repeat("n", 59), i)
	}
	s := parse(t, "schema A 1.0.0 { "+body.String()+" }")
	require.Greater(t, len(contents(s)), MaxText*3/4)
	require.NoError(t, d.Register(s))
	found, err := d.Lookup(s.Name)
	require.NoError(t, err)
	assert.Equal(t, s.Hash(), found.Hash())
}

// A file that an operator has written has no hash. Registering the same schema adds it.
func TestRegistryReadsFilesWithoutHash(t *testing.T) {
	d := Directory(t.TempDir())
	one := parse(t, "schema A 1.0.0 { a: u32; }")
	require.NoError(t, os.WriteFile(d.path(one), []byte("schema A 1.0.0 { a: u32; } // by hand"), 0o600))
	s, err := d.Lookup("A@1")
	require.NoError(t, err)
	assert.Equal(t, one.Hash(), s.Hash())
	require.NoError(t, d.Register(one))
	text, err := os.ReadFile(d.path(one))
	require.NoError(t, err)
	assert.Equal(t, string(contents(one)), string(text))
	files, err := os.ReadDir(string(d))
	require.NoError(t, err)
	assert.Len(t, files, 1, "nothing else is left there")
}

func TestADamagedFileSpoilsOnlyItself(t *testing.T) {
	d := Directory(t.TempDir())
	for _, text := range []string{"schema S 1.0.0 { a: u32; }", "schema S 2.0.0 { x: u8; }",
		"schema O 1.0.0 { x: u8; }"} {
		require.NoError(t, d.Register(parse(t, text)))
	}
	bad := filepath.Join(string(d), "S@1.0.0.schema")
	require.NoError(t, os.WriteFile(bad, []byte("x"), 0o600))
	for _, foreign := range []string{"S@02.0.0.schema", "S@3.schema", "notes.schema", "S@2.0.0.schema.bak",
		"S@x.schema", "@1.0.0.schema"} {
		require.NoError(t, os.WriteFile(filepath.Join(string(d), foreign), []byte("x"), 0o600))
	}
	for reference, version := range map[string]string{"S": "2.0.0", "S@2": "2.0.0", "O": "1.0.0"} {
		s, err := d.Lookup(reference)
		require.NoError(t, err, reference)
		assert.Equal(t, version, s.Version.String(), reference)
	}
	_, err := d.Lookup("S@1")
	assert.ErrorContains(t, err, bad)
	assert.ErrorContains(t, err, "S@1 means S@1.0.0")
	assert.NoError(t, d.Register(parse(t, "schema S 3.0.0 { z: u8; }")))
	assert.NoError(t, d.Register(parse(t, "schema O 1.1.0 { x: u8; y: u8; }")))
	assert.ErrorContains(t, d.Register(parse(t, "schema S 1.1.0 { a: u32; b: u8; }")), bad,
		"the rules of 1.x need to know what was in it")
	assert.ErrorContains(t, d.Register(parse(t, "schema S 1.0.0 { a: u32; }")), bad)

	list, err := d.List()
	assert.ErrorContains(t, err, bad)
	var all []string
	for _, s := range list {
		all = append(all, s.Name+"@"+s.Version.String())
	}
	assert.Equal(t, []string{"O@1.0.0", "O@1.1.0", "S@2.0.0", "S@3.0.0"}, all, "and the others are listed all the same")

	newest := filepath.Join(string(d), "S@3.1.0.schema")
	require.NoError(t, os.Mkdir(newest, 0o700))
	_, err = d.Lookup("S")
	assert.ErrorContains(t, err, newest, "an older one would be another answer")
	_, err = d.Lookup("S@3.0")
	assert.NoError(t, err)
}

// The version that the advice names can be registered at once.
// TestADanglingLinkIsNamed: it counts as a damaged file, and its version is taken.
func TestADanglingLinkIsNamed(t *testing.T) {
	d := Directory(t.TempDir())
	require.NoError(t, d.Register(parse(t, "schema A 1.0.0 { a: u32; }")))
	link := filepath.Join(string(d), "A@1.1.0.schema")
	require.NoError(t, os.Symlink("away", link))
	says := link + " cannot be read: it is a symbolic link that leads to no file (away); restore that file, or " +
		"remove the link"

	_, err := d.List()
	require.ErrorContains(t, err, says)
	for _, reference := range []string{"A", "A@1", "A@1.1"} {
		_, err = d.Lookup(reference)
		require.ErrorContains(t, err, says, reference)
	}
	for _, text := range []string{"schema A 1.1.0 { a: u32; b: u32; }", "schema A 1.2.0 { a: u32; b: u32; }"} {
		require.ErrorContains(t, d.Register(parse(t, text)), says)
	}
	target, err := os.Readlink(link)
	require.NoError(t, err)
	assert.Equal(t, "away", target, "the link is as it was")
	assert.NoFileExists(t, filepath.Join(string(d), "away"))

	require.NoError(t, d.Register(parse(t, "schema A 2.0.0 { a: i32; }")), "of another major version")
	require.NoError(t, d.Register(parse(t, "schema B 1.0.0 { a: i32; }")))
	require.NoError(t, os.Remove(link))
	assert.Equal(t, []string{"A@1.0.0", "A@2.0.0", "B@1.0.0"}, versions(t, d))

	registry := Directory(filepath.Join(t.TempDir(), "registry"))
	require.NoError(t, os.Symlink("away", string(registry)))
	_, err = registry.List()
	assert.ErrorContains(t, err, "it is a symbolic link that leads to no file (away)")
	assert.Error(t, registry.Register(parse(t, "schema A 1.0.0 { a: u32; }")))
}

func TestTheAdviceIsRight(t *testing.T) {
	for _, c := range []struct {
		there         []string
		text, version string
	}{
		{[]string{"1.0.0 { a: u32; b: f64; }", "2.0.0 { x: u8; }"}, "1.1.0 { a: u32; b: i64; }", "3.0.0"},
		{[]string{"1.0.0 { a: u32; b: f64; }", "2.0.0 { x: u8; }"}, "2.0.0 { a: u32; b: i64; }", "3.0.0"},
		{[]string{"1.0.0 { a: u32; }", "1.1.0 { a: u32; b: u32; }"}, "1.0.1 { a: u32; b: u32; c: u32; }", "1.2.0"},
		{[]string{"1.0.0 { a: u32; }", "1.1.0 { a: u32; b: u32; }"}, "1.0.1 { a: u32; c: u32; }", "2.0.0"},
		{[]string{"1.0.0 { a: u32; }"}, "1.0.0 { a: u32; b: u32; }", "1.1.0"},
		{[]string{"1.0.0 { a: u32; }", "4.0.0 { a: u8; }", "7.2.1 { a: u8; }"}, "1.0.0 { a: i32; }", "8.0.0"},
		{[]string{"4294967295.0.0 { a: u32; }"}, "4294967295.1.0 { a: i32; }", ""},
		{[]string{"1.4294967295.0 { a: u32; }"}, "1.4294967295.1 { a: u32; b: u8; }", "2.0.0"},
	} {
		d := Directory(t.TempDir())
		for _, there := range c.there {
			require.NoError(t, d.Register(parse(t, "schema S "+there)))
		}
		err := d.Register(parse(t, "schema S "+c.text))
		if c.version == "" {
			assert.ErrorContains(t, err, "there is none left: give it another name")
			continue
		}
		assert.ErrorContains(t, err, "it needs version "+c.version, c.text)
		_, body, _ := strings.Cut(c.text, " ")
		assert.NoError(t, d.Register(parse(t, "schema S "+c.version+" "+body)), c.text)
	}
}

// Several processes register at the same time: afterwards the registered schemas are compatible.
func TestRegistryRace(t *testing.T) {
	for round := range 20 {
		d := Directory(t.TempDir())
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				_ = d.Register(parse(t, fmt.Sprintf("schema A 1.%d.0 { a: u32; b%d: u32; }", i, i)))
				_ = d.Register(parse(t, "schema B 1.0.0 { a: u32; }"))
			})
		}
		all.Wait()
		list, err := d.List()
		require.NoError(t, err)
		for _, s := range list {
			there, err := d.fits(s)
			assert.True(t, there && err == nil, "round %d: %v", round, err)
		}
		assert.Contains(t, versions(t, d), "B@1.0.0")
	}
}

func TestDefaultDirectory(t *testing.T) {
	data, home, below := "XDG_DATA_HOME", "HOME", "/h/.local/share/datablock/schemas"
	named, absolute, inData := "/a/b", "/x", "/x/datablock/schemas"
	if runtime.GOOS == "windows" {
		data, home, below = "LOCALAPPDATA", "USERPROFILE", `C:\h\AppData\Local\DataBlock\schemas`
		named, absolute, inData = `C:\a\b`, `C:\x`, `C:\x\DataBlock\schemas`
	}
	is := func(directory string) {
		t.Helper()
		d, err := DefaultDirectory()
		require.NoError(t, err)
		assert.Equal(t, Directory(directory), d)
	}
	t.Setenv("DATABLOCK_SCHEMAS", named)
	is(named)
	t.Setenv("DATABLOCK_SCHEMAS", "")
	t.Setenv(data, absolute)
	is(inData)
	t.Setenv(home, filepath.Dir(absolute)+"h")
	t.Setenv(data, "relative")
	is(below)
	t.Setenv(data, "")
	is(below)
	t.Setenv(home, "")
	_, err := DefaultDirectory()
	assert.ErrorContains(t, err, "set DATABLOCK_SCHEMAS to its directory")
}
