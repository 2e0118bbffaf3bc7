//go:build !windows

package process_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Ctrl-C ends the demo at any moment: with its consumers running, with a reader that hangs, with
// the producer in the middle of a message, and between two producers.
func TestDemoInterrupted(t *testing.T) {
	demo := built("demo", "orchestrate")
	if demo == "" {
		t.Skip("NOT SHOWN: DATABLOCK_BUILD names no build with the demo (make demo)")
	}
	for moment, line := range map[string]string{
		"at its start": `^A producer`, "reading": `^checker +\|`, "hanging": `^reader +\| holding`,
		"claiming": `^producer +\| claimed`, "without a producer": `producer pid \d+ DEAD`,
		"finale": `^The producer closes`,
	} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.Command(demo, "--quick")
			cmd.Env = append(os.Environ(), "DATABLOCK_DIR="+dir)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			watchdog := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
			defer watchdog.Stop()

			var said []string
			wanted := regexp.MustCompile(line)
			interrupted := false
			for lines := bufio.NewScanner(out); lines.Scan(); {
				said = append(said, lines.Text())
				if !interrupted && wanted.MatchString(lines.Text()) {
					interrupted = true
					require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
				}
			}
			_ = cmd.Wait()
			require.True(t, interrupted, "it never said %q:\n%s", line, strings.Join(said, "\n"))
			assert.Equal(t, 130, cmd.ProcessState.ExitCode(), "%s", strings.Join(said, "\n"))
			assert.Equal(t, "interrupted; nothing was left behind", said[len(said)-1])
			left, err := filepath.Glob(filepath.Join(dir, "*"))
			require.NoError(t, err)
			assert.Empty(t, left)
			assert.Empty(t, processesNaming(t, dir))
		})
	}
}

// processesNaming returns the pids of the processes with this directory in their environment.
func processesNaming(t *testing.T, dir string) (pids []string) {
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	for _, file := range files {
		environment, _ := os.ReadFile(file) // the process may have ended
		if strings.Contains(string(environment), "DATABLOCK_DIR="+dir+"\x00") {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}
