package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/schema"
)

// path returns the words that a user types to run a command.
func path(cmd *cobra.Command) []string { return strings.Fields(cmd.CommandPath())[1:] }

func TestEveryCommandExplainsItself(t *testing.T) {
	for _, cmd := range commands((&app{}).root()) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			assert.NotEmpty(t, cmd.Short)
			assert.NotEqual(t, exitHelp(), cmd.Long, "more than the exit codes")
			assert.Contains(t, cmd.Example, "  "+strings.TrimSuffix(cmd.CommandPath(), " completion"))
			code, out, errOut := admin(append(path(cmd), "--help")...)
			assert.Equal(t, exitOK, code)
			assert.Empty(t, errOut)
			for code, meaning := range exitMeanings {
				assert.Contains(t, out, fmt.Sprintf("%d %s", code, meaning))
			}
			assert.Contains(t, out, cmd.Example)
			if !cmd.Hidden && cmd.Name() != "help" {
				_, helped, _ := admin(append([]string{"help"}, path(cmd)...)...)
				assert.Equal(t, out, helped)
			}
		})
	}
}

func TestExamplesCanBeTyped(t *testing.T) {
	for _, cmd := range commands((&app{}).root()) {
		for line := range strings.Lines(cmd.Example) {
			_, typed, is := strings.Cut(line, "datablock-admin ")
			require.True(t, is, line)
			if end := strings.IndexAny(typed, ">|)\n"); end >= 0 {
				typed = typed[:end]
			}
			found, rest, err := (&app{}).root().Find(strings.Fields(typed))
			require.NoError(t, err)
			assert.NoError(t, found.ParseFlags(rest), line)
			assert.NoError(t, found.ValidateArgs(found.Flags().Args()), line)
			assert.NoError(t, found.ValidateRequiredFlags(), line)
		}
	}
}

func TestWrongUsageSaysWhatToDo(t *testing.T) {
	alone := map[string]bool{"list": true, "gc": true, "help": true, "schema": true, "schema list": true, "": true,
		"check": true, "top": true, "serve": true}
	for _, cmd := range commands((&app{}).root()) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			code, out, errOut := admin(append(path(cmd), "--nonsense")...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, out)
			assert.Contains(t, errOut, "--nonsense")
			assert.Contains(t, errOut, "use it as "+cmd.CommandPath())
			assert.Contains(t, errOut, cmd.CommandPath()+" --help")

			if alone[strings.Join(path(cmd), " ")] {
				return
			}
			code, out, errOut = admin(path(cmd)...)
			assert.Equal(t, exitUsage, code)
			assert.Empty(t, out)
			assert.Contains(t, strings.TrimPrefix(errOut, "datablock-admin: "), cmd.CommandPath()+" ", "how to call it")
		})
	}
	for said, args := range map[string][]string{
		`there is no command "lits": did you mean list?`: {"lits"},
		`there is no command "shwo"`:                     {"schema", "shwo"},
		`there is no command "list nonsense"`:            {"help", "list", "nonsense"},
		"--slot is missing: the slot, as diagnose shows it; use it as datablock-admin force-reset-slot --shm-name " +
			"NAME --slot N": {"force-reset-slot", "--shm-name", "x"},
		`not for "tcsh"`: {"completion", "tcsh"},
		"--slot abc: not a whole number from 0 to 4294967295; use it as datablock-admin diagnose": {"diagnose", "x",
			"--slot", "abc"},
		"--slot -5: not a whole number":          {"diagnose", "x", "--slot", "-5"},
		"--slot 99999999999: not a whole number": {"diagnose", "x", "--slot", "99999999999"},
		"--timeout 5: not a time: say 500ms, 5s or 24h; use it as datablock-admin cleanup-heartbeats": {
			"cleanup-heartbeats", "x", "--timeout", "5"},
		"--timeout is missing: how long a durable consumer must have been dead": {
			"cleanup-heartbeats", "x"},
		"--timeout: a value is missing: how long a durable consumer must have been dead": {
			"cleanup-heartbeats", "x", "--timeout"},
		"--watch soon: not a time":                                      {"status", "x", "--watch=soon"},
		"--json maybe: say true or false, or only --json":               {"list", "--json=maybe"},
		"there is no option --nonsense; use it as datablock-admin list": {"list", "--nonsense"},
		"there is no option -z":                                         {"list", "-z"},
		"SCHEMA is missing; use it as datablock-admin schema show SCHEMA": {
			"schema", "show"},
		"PRODUCER and CONSUMER are missing; use it as datablock-admin schema diff PRODUCER CONSUMER": {
			"schema", "diff"},
		"CONSUMER is missing":          {"schema", "check", "a"},
		`"b" is one argument too many`: {"schema", "hash", "a", "b"},
		`"camera" is one argument too many; use it as datablock-admin list`: {"list", "camera"},
		"SHELL is missing": {"completion"},
		"--watch 500ms: say --watch=500ms, with = and without a space": {
			"status", "--shm-name", "x", "--watch", "500ms"},
		"--watch 1s: say --watch=1s, with = and without a space": {
			"status", "--watch", "1s"},
		"--watch 2s: say --watch=2s, with = and without a space (and --shm-name 2s, if it is a block that is": {
			"status", "x", "--watch", "2s"},
	} {
		code, _, errOut := admin(args...)
		assert.Equal(t, exitUsage, code, "%v", args)
		assert.Contains(t, errOut, said)
		assert.Contains(t, errOut, "datablock-admin: ")
	}
}

// document is the one JSON document in the output.
func document(t *testing.T, out string) (document any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(out))
	require.NoError(t, d.Decode(&document), "%q", out)
	if err := d.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one document: %s", out)
	}
	return document
}

// succeeding returns arguments with which each command succeeds, on the block "x" and on the block
// "s", which has the schema in the file.
func succeeding(t *testing.T, file string) map[string]string {
	return map[string]string{
		"": "list", "schema": "list",
		"list": "", "diagnose": "--shm-name x", "status": "--shm-name x",
		"echo":                   "--shm-name x --count 1",
		"release-zombie-readers": "--shm-name x --slot 0", "release-zombie-writer": "--shm-name x --slot 0",
		"cleanup-heartbeats": "--shm-name x --timeout 0s", "validate": "--shm-name x --repair",
		"auto-recover": "--shm-name x --yes", "force-reset-slot": "--shm-name x --slot 0 --force --yes",
		"force-reset-all": "--shm-name x --force --yes", "evict": "--shm-name x --row 1 --force --yes",
		"history": "--shm-name x", "unlink": "--shm-name x --force", "gc": "",
		"schema show": "block:s", "schema hash": "block:s", "schema check": "block:s " + file,
		"schema diff": "block:s " + file, "schema generate": "--lang c block:s",
		"schema register": file, "schema list": "", "completion": "bash", "help": "list", "generate": t.TempDir(),
		"serve": "--listen 127.0.0.1:0",
		"rate":  "--shm-name x --window 10ms --count 1", "check": "x", "top": "x --once --interval 10ms",
	}
}

// TestEveryCommandPrintsOneJSONDocument runs each command on a block with a producer and a reader,
// once so that it succeeds and once so that it fails.
func TestEveryCommandPrintsOneJSONDocument(t *testing.T) {
	s, err := schema.Parse(sampleText)
	require.NoError(t, err)
	file := schemaFile(t, sampleText)
	arguments := succeeding(t, file)
	missing := strings.NewReplacer("name x", "name nobody", "block:s", "block:nobody")
	for _, cmd := range commands((&app{}).root()) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			typed, known := arguments[strings.Join(path(cmd), " ")]
			require.True(t, known, "a new command: say with what it succeeds")
			t.Setenv("DATABLOCK_SCHEMAS", t.TempDir())
			dir, _, _ := scene(t)
			config := segment.DefaultConfig(segment.Ring)
			config.Directory, config.Schema = dir, s
			p, err := channel.OpenProducer("s", config)
			require.NoError(t, err)
			defer func() { _ = p.Close() }()
			call := func(typed string) (int, string, string) {
				return admin(append(path(cmd), append(strings.Fields(typed), "--directory", dir, "--json")...)...)
			}
			fails := func(expected int, typed string) {
				t.Helper()
				code, out, errOut := call(typed)
				assert.Equal(t, expected, code, "%s: %s", typed, errOut)
				failure, _ := document(t, out).(map[string]any)
				assert.EqualValues(t, expected, failure["exit_code"])
				assert.Equal(t, errOut, fmt.Sprintf("datablock-admin: %s\n", failure["error"]))
			}

			fails(exitUsage, typed+" --nonsense")
			if cmd.Name() != "check" && cmd.Name() != "top" { // they take any number of blocks
				fails(exitUsage, typed+" one too many")
			}
			if nobody := missing.Replace(typed); nobody != typed {
				fails(exitMissing, nobody)
				fails(exitUsage, strings.NewReplacer("name x", "name bad/name", "block:s",
					"block:bad/name").Replace(typed))
			}
			if cmd.Name() == "serve" {
				defer terminated(t)()
			}
			code, out, errOut := call(typed)
			assert.Equal(t, exitOK, code, errOut)
			assert.Empty(t, errOut)
			document(t, out)
		})
	}
}

func TestARepairThatFailsPrintsOneJSONDocument(t *testing.T) {
	dir, _, _ := scene(t)
	f, err := os.OpenFile(dir+"/x", os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte{0xfc, 0xff, 0xff, 0, 0, 0, 0, 0}, 8192) // the entry of message 0, and its producer lives
	require.NoError(t, err)
	code, out, errOut := admin("validate", "x", "--repair", "--yes", "--json", "--directory", dir)
	assert.Equal(t, exitRefused, code)
	assert.NotEmpty(t, errOut)
	found, _ := document(t, out).(map[string]any)
	assert.Equal(t, false, found["healthy"])
	assert.NotEmpty(t, found["result"])
}
