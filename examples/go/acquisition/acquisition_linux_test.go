package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

const (
	count = 40000
	rate  = 20000
)

// The test binary is also the program.
func TestMain(m *testing.M) {
	if os.Getenv("ACQUISITION") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type program struct {
	cmd  *exec.Cmd
	said bytes.Buffer
}

func start(t *testing.T, directory string, args ...string) *program {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	p := &program{cmd: exec.Command(executable, args...)}
	p.cmd.Env = append(os.Environ(), "ACQUISITION=1", "DATABLOCK_DIR="+directory)
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

func (p *program) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait()
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok && status.Signaled(), "%v ended before it was killed: %s", p.cmd.Args, &p.said)
}

func (p *program) end(t *testing.T) string {
	t.Helper()
	watchdog := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer watchdog.Stop()
	require.NoError(t, p.cmd.Wait(), "%v: %s", p.cmd.Args, &p.said)
	return p.said.String()
}

// waitForSamples waits until the file has this many samples.
func waitForSamples(t *testing.T, path string, samples int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() >= samples*sampleBytes
	}, time.Minute, time.Millisecond)
}

func TestEverySampleIsInTheFileWhoeverIsKilled(t *testing.T) {
	directory, file := t.TempDir(), filepath.Join(t.TempDir(), "samples")
	acquire := []string{"acquire", fmt.Sprint(count), fmt.Sprint(rate)}
	instrument := start(t, directory, acquire...)
	var display *datablock.Consumer
	for turn := range int64(3) {
		recorder := start(t, directory, "record", file)
		waitForSamples(t, file, count/5*(turn+1))
		if turn == 0 {
			// From here on another consumer is attached. So a lack of consumers is not the reason
			// why nothing is overwritten.
			var err error
			display, err = datablock.OpenConsumer(block,
				datablock.ConsumerOptions{Delivery: datablock.Latest, Directory: directory})
			require.NoError(t, err)
			defer display.Close()
		}
		recorder.kill(t)
		tear(t, file)
		waitUntilHeldUp(t, directory)
	}
	instrument.kill(t)
	instrument = start(t, directory, acquire...)
	recorder := start(t, directory, "record", file)
	instrument.end(t)
	require.NoError(t, display.Close())
	recorder.end(t)

	assert.Equal(t, "all 40000 samples are in the file, each once and in order\n",
		start(t, directory, "check", file, fmt.Sprint(count)).end(t))
	left, err := filepath.Glob(filepath.Join(directory, "*"))
	require.NoError(t, err)
	assert.Empty(t, left, "the block is still there")
}

// waitUntilHeldUp waits for backpressure: the instrument waits for the dead recorder's cursor.
func waitUntilHeldUp(t *testing.T, directory string) {
	t.Helper()
	waits := func() uint64 {
		metrics, _, err := datablock.ReadMetrics(block, directory)
		require.NoError(t, err)
		return metrics.Waits
	}
	before := waits()
	require.Eventually(t, func() bool { return waits() > before }, 10*time.Second, time.Millisecond)
}

// tear leaves the file as after a kill of the recorder within a write.
func tear(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.Write(make([]byte, sampleBytes/2))
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

func TestWhatWasWrittenAndNotReleasedIsInTheFileOnce(t *testing.T) {
	t.Setenv("DATABLOCK_DIR", t.TempDir())
	path := filepath.Join(t.TempDir(), "samples")
	require.NoError(t, acquire(100, 1e6))

	consumer, err := attach()
	require.NoError(t, err)
	file, err := os.Create(path)
	require.NoError(t, err)
	message, err := consumer.Next(0)
	require.NoError(t, err)
	_, err = store(file, []datablock.ReadSlot{message}, 0)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, consumer.Close()) // the cursor stays before the message

	require.NoError(t, record(path))
	assert.NoError(t, check(path, 100))
}
