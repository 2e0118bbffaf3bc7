// Package windows has the tests of processes that share a block on Windows. They run on Windows, or
// under Wine: run.py builds them and the worker.
package windows

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/core/coretest"
	"datablock/internal/core/recovery"
)

const (
	deadline  = time.Minute // bounds every wait; reaching it is a failure
	killed    = 137         // exit code of a process that died at a crash point
	blockName = "exchange"
)

// worker is a process with the line protocol of tests/README.md.
type worker struct {
	t     testing.TB
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	ended chan struct{}
}

// start starts a worker. variables are more of its environment.
func start(t testing.TB, variables []string, arguments ...string) *worker {
	program := os.Getenv("DATABLOCK_TEST_WORKER")
	require.NotEmpty(t, program, "DATABLOCK_TEST_WORKER names worker.exe: see run.py")
	w := &worker{t: t, name: strings.Join(arguments[:2], " "), cmd: exec.Command(program, arguments...),
		lines: make(chan string, 1000), ended: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), variables...)
	w.cmd.Stderr = os.Stderr
	var err error
	w.in, err = w.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, w.cmd.Start())
	go func() {
		defer close(w.ended)
		defer close(w.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			w.lines <- strings.TrimSpace(scanner.Text())
		}
		_ = w.cmd.Wait()
	}()
	t.Cleanup(func() { w.kill() })
	return w
}

// next is the next line, or false if the process has ended.
func (w *worker) next() (string, bool) {
	select {
	case line, ok := <-w.lines:
		return line, ok
	case <-time.After(deadline):
		require.FailNow(w.t, w.name+" says nothing")
		return "", false
	}
}

// expect fails unless the next line matches a pattern. It returns the groups of the pattern.
func (w *worker) expect(pattern string) []string {
	line, _ := w.next()
	m := regexp.MustCompile("^" + pattern + "$").FindStringSubmatch(line)
	require.NotNil(w.t, m, "%s said %q, and not %s", w.name, line, pattern)
	return m[1:]
}

func (w *worker) send(lines ...string) {
	for _, line := range lines {
		_, _ = fmt.Fprintln(w.in, line) // the process may have died
	}
}

// kill ends the process by TerminateProcess, and waits for its end.
func (w *worker) kill() {
	_ = w.cmd.Process.Kill()
	for range w.lines { // what it has said before
	}
	select {
	case <-w.ended:
	case <-time.After(deadline):
		w.t.Error(w.name + " does not end")
	}
}

// died waits for the end of a process, and reports whether it died at a crash point.
func (w *worker) died() bool {
	_ = w.in.Close()
	for {
		if _, ok := w.next(); !ok {
			break
		}
	}
	<-w.ended
	return w.cmd.ProcessState.ExitCode() == killed
}

// block is a directory with one block.
type block struct {
	testing.TB
	dir string
}

func newBlock(t testing.TB) block { return block{t, coretest.Directory(t)} }

func (b block) produce(variables []string, options ...string) *worker {
	return start(b, variables, append([]string{"produce", blockName, "--dir=" + b.dir, "--slot-size=200"},
		options...)...)
}

func (b block) consume(variables []string, options ...string) *worker {
	return start(b, variables, append([]string{"consume", blockName, "--dir=" + b.dir, "--slot-size=200"},
		options...)...)
}

// reader starts a consumer that reads to the end of the stream.
func (b block) reader(options ...string) *worker {
	w := b.consume(nil, options...)
	w.expect("attached")
	w.send("read 0")
	return w
}

func (b block) healthy() {
	found, err := recovery.ValidateIntegrity(blockName, b.dir)
	require.NoError(b, err)
	require.True(b, found.Healthy(), found.Message())
}

// empty checks that nothing is left of the block, whatever the names of the files.
func (b block) empty() {
	left := func() (names []string) {
		all, err := os.ReadDir(b.dir)
		require.NoError(b, err)
		for _, each := range all {
			names = append(names, each.Name())
		}
		return names
	}
	_, err := recovery.List(b.dir) // removes what the dead have left under names of the platform
	require.NoError(b, err)
	assert.Eventually(b, func() bool { return len(left()) == 0 }, deadline, 10*time.Millisecond)
	assert.Empty(b, left())
}
