package command

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/schema"
)

// fullDisk refuses every write.
type fullDisk struct{ asked bool }

func (d *fullDisk) Write([]byte) (int, error) {
	d.asked = true
	return 0, errors.New("no space left on device")
}

// TestOutputThatCannotBeWrittenIsAFailure for every command, as text and as JSON.
func TestOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	s, err := schema.Parse(sampleText)
	require.NoError(t, err)
	arguments := succeeding(t, schemaFile(t, sampleText))
	for _, cmd := range commands((&app{}).root()) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			for _, more := range []string{"", " --json"} {
				t.Setenv("DATABLOCK_SCHEMAS", t.TempDir())
				dir, _, _ := scene(t)
				config := segment.DefaultConfig(segment.Ring)
				config.Directory, config.Schema = dir, s
				p, err := channel.OpenProducer("s", config)
				require.NoError(t, err)
				defer func() { _ = p.Close() }()
				var disk fullDisk
				var said bytes.Buffer
				typed := arguments[strings.Join(path(cmd), " ")] + more
				code := run(append(path(cmd), append(strings.Fields(typed), "--directory", dir)...), &disk, &said)
				if !disk.asked && more == "" {
					continue // it prints nothing
				}
				require.True(t, disk.asked)
				assert.Equal(t, exitFailed, code, "%s: %s", typed, said.String())
				assert.Equal(t, "datablock-admin: the output could not be written, and is incomplete: no space left "+
					"on device\n", said.String())
			}
		})
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	var said bytes.Buffer
	assert.Equal(t, exitFailed, run([]string{"list", "--directory", t.TempDir()}, full, &said))
	assert.Contains(t, said.String(), "no space left on device")
}

func TestNegativeTimesAreRefused(t *testing.T) {
	dir, _, _ := scene(t)
	for _, typed := range []string{"cleanup-heartbeats x --timeout -5s", "diagnose x --stuck-after -1s",
		"auto-recover x --dry-run --stuck-after -1s", "status x --watch=-1s"} {
		code, out, errOut := admin(append(strings.Fields(typed), "--directory", dir)...)
		assert.Equal(t, exitUsage, code, "%s: %s", typed, errOut)
		assert.Empty(t, out, typed)
	}
}
