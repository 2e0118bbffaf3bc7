package command

import (
	"encoding/json"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/schema"
)

func schemaFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.schema")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

const sampleText = "schema Sample 1.2.0 {\n    time: u64;\n    value: f64;\n}\n"

func TestSchemaOfABlock(t *testing.T) {
	dir := t.TempDir()
	s, err := schema.Parse(sampleText)
	require.NoError(t, err)
	config := segment.DefaultConfig(segment.Ring)
	config.Directory, config.Schema = dir, s
	config.ZoneSchema, err = schema.Parse("schema Settings 1.0.0 { gain: f64; }")
	require.NoError(t, err)
	p, err := channel.OpenProducer("x", config)
	require.NoError(t, err)
	defer p.Close()
	zone := config.ZoneSchema
	config.Schema, config.ZoneSchema, config.SlotSize = nil, nil, 8
	q, err := channel.OpenProducer("none", config)
	require.NoError(t, err)
	defer q.Close()

	code, out, _ := admin("schema", "show", "block:x", "--directory", dir)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "// 16 bytes, alignment 8, hash "+hashOf(s)+"\n"+sampleText)
	code, out, _ = admin("schema", "hash", "block:x", "--directory", dir)
	assert.Equal(t, exitOK, code)
	assert.Equal(t, hashOf(s)+"\n", out)
	var shown schemaJSON
	_, out, _ = admin("schema", "show", "block:x", "--directory", dir, "--json")
	require.NoError(t, json.Unmarshal([]byte(out), &shown))
	assert.Equal(t, schemaJSON{"Sample", "1.2.0", hashOf(s), 16, 8, "Sample{time:u64@0,value:f64@8}16/8", sampleText},
		shown)

	code, out, _ = admin("schema", "show", "block:x", "--zone", "--directory", dir)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out,
		"// 8 bytes, alignment 8, hash "+hashOf(zone)+"\nschema Settings 1.0.0 {\n    gain: f64;\n}\n")
	code, _, errOut := admin("schema", "show", "block:none", "--zone", "--directory", dir)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, `the flexible zone of block "none" has no schema`)
	code, _, errOut = admin("schema", "show", "block:none", "--directory", dir)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, `block "none" has no schema`)
	code, _, _ = admin("schema", "show", "block:nobody", "--directory", dir)
	assert.Equal(t, exitMissing, code)

	code, out, _ = admin("schema", "check", "block:x", schemaFile(t, "schema Sample 1.0.0 { time: u64; }"),
		"--directory", dir)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "fits")
	code, out, _ = admin("schema", "check", "--exact", "block:x", schemaFile(t, "schema Sample 1.0.0 { time: u64; }"),
		"--directory", dir)
	assert.Equal(t, exitProblems, code)
	assert.Contains(t, out, "exactly its own")
}

func hashOf(s *schema.Schema) string { return fmt.Sprintf("%x", s.Hash()) }

func TestSchemasCompared(t *testing.T) {
	a, b := schemaFile(t, sampleText), schemaFile(t, "schema Sample 1.2.0 { time: u64; value: f32; }")
	code, out, _ := admin("schema", "diff", a, b)
	assert.Equal(t, exitProblems, code)
	assert.Contains(t, out, `field "value" retyped: producer f64@8, consumer f32@8`)
	code, out, _ = admin("schema", "diff", a, a)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "the same")
	code, out, _ = admin("schema", "diff", a, b, "--json")
	assert.Equal(t, exitProblems, code)
	var d schemaDiffJSON
	require.NoError(t, json.Unmarshal([]byte(out), &d))
	assert.False(t, d.Compatible || d.Exact)
	assert.Equal(t, schema.Difference{Field: "value", Change: schema.Retyped, Producer: "f64@8", Consumer: "f32@8"},
		d.Differences[0])
	code, out, _ = admin("schema", "check", a, b, "--json")
	assert.Equal(t, exitProblems, code)
	assert.Contains(t, out, "schema differs: producer Sample 1.2.0")
}

func TestRegistry(t *testing.T) {
	registry := t.TempDir()
	code, out, _ := admin("schema", "list", "--registry", registry)
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "no schemas\n", out)
	nowhere := filepath.Join(registry, "nowhere")
	missing := func(args ...string) {
		t.Helper()
		code, _, errOut := admin(args...)
		assert.Equal(t, exitMissing, code)
		assert.Contains(t, errOut, nowhere)
		assert.Contains(t, errOut, "there is no such directory")
	}
	missing("schema", "list", "--registry", nowhere)
	missing("schema", "show", "--registry", nowhere, "registered:Sample@1")
	t.Setenv("DATABLOCK_SCHEMAS", nowhere)
	missing("schema", "list")
	t.Setenv("DATABLOCK_SCHEMAS", "")
	t.Setenv("XDG_DATA_HOME", nowhere)
	code, out, _ = admin("schema", "list")
	assert.Equal(t, exitOK, code, "nobody has registered anything yet")
	assert.Equal(t, "no schemas\n", out)
	code, out, _ = admin("schema", "register", "--registry", registry, schemaFile(t, sampleText))
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "registered Sample@1.2.0\n", out)
	code, _, errOut := admin("schema", "register", "--registry", registry,
		schemaFile(t, "schema Sample 1.3.0 { time: u64; }"))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "it needs version 2.0.0")
	code, out, _ = admin("schema", "list", "--registry", registry)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "Sample@1.2.0")
	code, out, _ = admin("schema", "show", "--registry", registry, "registered:Sample@1")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, sampleText)
	code, _, errOut = admin("schema", "show", "--registry", registry, "registered:Sample@3")
	assert.Equal(t, exitMissing, code)
	assert.Contains(t, errOut, "which has versions 1.2.0")
	var all []schemaJSON
	_, out, _ = admin("schema", "list", "--registry", registry, "--json")
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	assert.Len(t, all, 1)
}

func TestSchemaGenerated(t *testing.T) {
	a := schemaFile(t, sampleText)
	for language, line := range map[string]string{"c": "double value;", "cpp": "static_assert(sizeof(Sample) == 16",
		"go": "Value float64", "python": "class Sample(ctypes.Structure)"} {
		code, out, _ := admin("schema", "generate", "--lang", language, a)
		assert.Equal(t, exitOK, code)
		assert.Contains(t, out, line)
		if language == "go" {
			asGofmt, err := format.Source([]byte(out))
			require.NoError(t, err)
			assert.Equal(t, string(asGofmt), out)
		}
	}
	for _, bad := range [][]string{{"schema", "generate", a}, {"schema", "generate", "--lang", "cobol", a},
		{"schema", "show"}, {"schema", "show", "/nowhere/at/all"}} {
		code, _, errOut := admin(bad...)
		assert.Equal(t, exitUsage, code, "%v", bad)
		assert.NotEmpty(t, errOut)
	}
	code, _, errOut := admin("schema", "show", schemaFile(t, "schema A { a: f65; }"))
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, "line 1, column 15")
}
