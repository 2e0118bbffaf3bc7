package schema

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// numbered returns the golden schemas and some more. Each has its own name, so that a
// single file can contain all.
func numbered(t *testing.T) (all []*Schema) {
	for _, g := range goldens(t) {
		all = append(all, parse(t, g.Text))
	}
	all = append(all, parse(t, "schema A { a_b: u8; aB: u32; A_b: u8; padding0_: u8; last: u64; }"))
	for i, s := range all {
		s.Name = fmt.Sprintf("Schema%d", i)
	}
	return all
}

func generate(t *testing.T, s *Schema, language string) string {
	t.Helper()
	text, err := Generate(s, language)
	require.NoError(t, err)
	return text
}

func run(t *testing.T, directory, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = directory
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// The compilers check the layout, because the generated code contains the checks.
func TestGeneratedForC(t *testing.T) {
	for language, compiler := range map[string][]string{"c": {"cc", "-std=c11", "-x", "c"},
		"cpp": {"c++", "-std=c++17", "-x", "c++"}} {
		var b strings.Builder
		for _, s := range numbered(t) {
			b.WriteString(generate(t, s, language))
		}
		file := filepath.Join(t.TempDir(), "schemas.h")
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o600))
		run(t, ".", compiler[0], append(compiler[1:], "-Wall", "-Wextra", "-Werror", "-Wno-pedantic", "-fsyntax-only",
			file)...)
		assert.Greater(t, strings.Count(b.String(), "offsetof"), 200)
	}
}

func TestGeneratedForGo(t *testing.T) {
	directory, made := t.TempDir(), 0
	require.NoError(t, os.WriteFile(filepath.Join(directory, "go.mod"), []byte("module schemas\n\ngo 1.24\n"), 0o600))
	for i, s := range numbered(t) {
		if s.Size > 1<<30 {
			continue // more than a Go type may have
		}
		text, err := Generate(s, "go")
		if err != nil {
			assert.ErrorContains(t, err, "encoding/binary")
			continue
		}
		made++
		require.NoError(t, os.WriteFile(filepath.Join(directory, fmt.Sprintf("s%d.go", i)), []byte(text), 0o600))
	}
	run(t, directory, "go", "build", "-buildvcs=false", "./...")
	assert.Greater(t, made, 50)
}

func TestGeneratedForPython(t *testing.T) {
	python := filepath.Join("..", "..", ".venv", "bin", "python")
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		python = "python3"
	}
	if out, err := exec.Command(python, "-c", "import numpy").CombinedOutput(); err != nil {
		t.Skipf("NOT SHOWN: what is generated for Python: %v %s", err, out)
	}
	var b strings.Builder
	for _, s := range numbered(t) {
		if s.Size > 1<<30 {
			continue // more than NumPy can have in one item
		}
		b.WriteString(generate(t, s, "python"))
		fmt.Fprintf(&b, "assert %[1]s_DTYPE.itemsize == ctypes.sizeof(%[1]s)\nfor name in %[1]s_DTYPE.names:\n    "+
			"assert %[1]s_DTYPE.fields[name][1] == getattr(%[1]s, name).offset, name\n    assert "+
			"%[1]s_DTYPE.fields[name][0].itemsize == getattr(%[1]s, name).size, name\n", s.Name)
	}
	file := filepath.Join(t.TempDir(), "schemas.py")
	require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o600))
	run(t, ".", python, "-W", "error", file)
}

func TestUnknownLanguage(t *testing.T) {
	_, err := Generate(parse(t, reading), "cobol")
	assert.ErrorContains(t, err, "use one of c, cpp, go, python")
}
