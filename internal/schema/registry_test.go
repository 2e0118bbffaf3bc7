package schema

import (
	"fmt"
	"os"
	"path/filepath"
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
		{"schema A 1.5.0 { a: u32; }", "it needs version 2.0.0"}, // what 1.1.0 has added is gone
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

	for reference, version := range map[string]string{"A": "2.0.0", "A@1": "1.1.0", "A@1.0": "1.0.5", "A@1.0.0": "1.0.0", "B@0": "0.1.0"} {
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
	require.NoError(t, d.Register(parse(t, "schema A 1.0.0 { a: u32; }")))
	file := d.path(parse(t, "schema A 1.0.0 { a: u32; }"))
	for _, text := range []string{"schema A 1.0.1 { a: u32; }", "schema", string(make([]byte, MaxText+1))} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := d.Lookup("A")
		assert.ErrorContains(t, err, file)
	}
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.Mkdir(file, 0o700))
	_, err := d.List()
	assert.ErrorContains(t, err, "not a regular file")
}

// Whoever registers at the same moment: what is there afterwards goes together.
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
	t.Setenv("DATABLOCK_SCHEMAS", "/a/b")
	d, err := DefaultDirectory()
	require.NoError(t, err)
	assert.Equal(t, Directory("/a/b"), d)
	t.Setenv("DATABLOCK_SCHEMAS", "")
	t.Setenv("XDG_DATA_HOME", "/x")
	d, err = DefaultDirectory()
	require.NoError(t, err)
	assert.Equal(t, Directory("/x/datablock/schemas"), d)
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("HOME", "/h")
	d, err = DefaultDirectory()
	require.NoError(t, err)
	assert.Equal(t, Directory("/h/.local/share/datablock/schemas"), d)
}
