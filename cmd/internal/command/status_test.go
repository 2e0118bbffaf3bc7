package command

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatusIsWatchedUntilSomebodySaysStop(t *testing.T) {
	dir, p, _ := scene(t)
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		code := run([]string{"status", "--shm-name", "x", "--directory", dir, "--json", "--watch=20ms"}, writer,
			io.Discard)
		_ = writer.Close()
		ended <- code
	}()
	lines := bufio.NewScanner(reader)
	looks, moved := 0, false
	for lines.Scan() {
		var s statusJSON
		require.NoError(t, json.Unmarshal(lines.Bytes(), &s), "one look is one line")
		looks++
		moved = moved || looks > 1 && s.Metrics.Rate > 0 && s.Metrics.Written > 3
		if moved {
			require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGINT))
			break
		}
		slot, err := p.Claim(0)
		require.NoError(t, err)
		require.NoError(t, p.Commit(slot, 1))
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	assert.True(t, moved)
	assert.Equal(t, exitOK, <-ended)
}

func TestStatusShowsFigures(t *testing.T) {
	dir, _, _ := scene(t)
	_, out, _ := admin("status", "--shm-name", "x", "--directory", dir, "--json")
	var s statusJSON
	require.NoError(t, json.Unmarshal([]byte(out), &s))
	assert.EqualValues(t, 3, s.Metrics.Written)
	assert.EqualValues(t, 1, s.Participants[1].Read)
	code, _, errOut := admin("status", "--shm-name", "x", "--directory", dir, "--watch=1ms")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, "at least 10ms")
}
