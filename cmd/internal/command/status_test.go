package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
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
	looks, moved, window := 0, false, int64(0)
	for lines.Scan() {
		var s statusJSON
		require.NoError(t, json.Unmarshal(lines.Bytes(), &s), "one look is one line")
		looks++
		window = s.Metrics.RateMs
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
	assert.Less(t, window, time.Minute.Milliseconds())
	assert.Positive(t, window)
	assert.Equal(t, exitOK, <-ended)
}

func TestStatusShowsFigures(t *testing.T) {
	dir, _, _ := scene(t)
	_, out, _ := admin("status", "--shm-name", "x", "--directory", dir, "--json")
	var s statusJSON
	require.NoError(t, json.Unmarshal([]byte(out), &s))
	assert.EqualValues(t, 3, s.Metrics.Written)
	assert.EqualValues(t, 1, s.Participants[1].Read)
	assert.Eventually(t, func() bool {
		_, out, _ := admin("status", "--shm-name", "x", "--directory", dir, "--json")
		require.NoError(t, json.Unmarshal([]byte(out), &s))
		return s.Metrics.RateMs > 0 && s.Participants[1].RateMs > 0
	}, 10*time.Second, time.Millisecond)
	_, out, _ = admin("status", "--shm-name", "x", "--directory", dir)
	assert.Contains(t, out, " messages/s since the block was made, aborted 0")
	assert.Contains(t, out, "\nRATE is messages a second since the block was made (producer) or since the attach")
	code, _, errOut := admin("status", "--shm-name", "x", "--directory", dir, "--watch=1ms")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, "at least 10ms")
}

func TestAWatchSaysWhichIntervalItsRatesAreOf(t *testing.T) {
	dir, _, _ := scene(t)
	a := &app{out: &output{to: io.Discard}, directory: dir}
	first, err := a.look("x", nil)
	require.NoError(t, err)
	second, err := a.look("x", first)
	require.NoError(t, err)
	var out bytes.Buffer
	a.out = &output{to: &out}
	require.NoError(t, a.showStatus(second, true))
	assert.Regexp(t, `\n0 messages/s in the last \S+, aborted 0`, out.String())
	assert.Regexp(t, `\nRATE is messages a second in the last \S+\n`, out.String())
}

func TestStatusNamesTheChecksums(t *testing.T) {
	dir := t.TempDir()
	for _, algorithm := range []datablock.ChecksumAlgorithm{datablock.AlgorithmCRC32C, datablock.AlgorithmBLAKE2b} {
		config := datablock.DefaultConfig(datablock.Ring)
		config.SlotSize, config.Directory, config.Flags = 8, dir, config.Flags|datablock.UnlinkOnClose
		config.Checksum, config.Algorithm = datablock.ChecksumEnforced, algorithm
		p, err := datablock.OpenProducer("x", config)
		require.NoError(t, err)
		_, out, _ := admin("status", "--shm-name", "x", "--directory", dir)
		assert.Contains(t, out, "checksums ENFORCED ("+algorithm.String()+")")
		_, out, _ = admin("status", "--shm-name", "x", "--directory", dir, "--json")
		var s statusJSON
		require.NoError(t, json.Unmarshal([]byte(out), &s))
		assert.Equal(t, "ENFORCED", s.Block.Checksum)
		assert.Equal(t, algorithm.String(), s.Block.Algorithm)
		require.NoError(t, p.Close())
	}
}
