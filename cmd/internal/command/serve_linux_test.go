package command

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// terminated sends SIGTERM to this process, again and again, until it is called: a server within
// the process ends as soon as it waits for the signal.
func terminated(_ *testing.T) (end func()) {
	ignored, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(ignored, syscall.SIGTERM)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
				_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
			}
		}
	}()
	return func() {
		close(done)
		time.Sleep(20 * time.Millisecond) // a signal may be on its way
		signal.Stop(ignored)
	}
}

// served starts the tool as a server, in a process of its own, and returns its first line as JSON.
func served(t *testing.T, args ...string) (c *exec.Cmd, said map[string]string, log *bytes.Buffer) {
	t.Helper()
	own, err := os.Executable()
	require.NoError(t, err)
	log = &bytes.Buffer{}
	c = exec.Command(own, append([]string{"serve", "--listen", "127.0.0.1:0", "--json"}, args...)...)
	c.Env = append(os.Environ(), "DATABLOCK_TEST_TOOL=1")
	c.Stderr = log
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	require.NoError(t, json.NewDecoder(out).Decode(&said))
	return c, said, log
}

func TestAServerEndsWithExitCode0(t *testing.T) {
	dir, _, _ := scene(t)
	for _, with := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		c, said, log := served(t, "--directory", dir)
		answer, err := http.Get(said["address"] + "api/v1/events")
		require.NoError(t, err)
		defer answer.Body.Close()
		assert.Empty(t, said["token"])
		require.NoError(t, c.Process.Signal(with))
		require.NoError(t, c.Wait(), log)
		assert.Empty(t, log.String())
	}
}

func TestActionsAreLoggedOnTheStandardError(t *testing.T) {
	dir, _, _ := scene(t)
	c, said, log := served(t, "--directory", dir, "--actions")
	require.NotEmpty(t, said["token"])
	post := func(path, body string) map[string]any {
		r, err := http.NewRequest("POST", said["address"]+"api/v1/blocks/x/"+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+said["token"])
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		var content map[string]any
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&content))
		require.Equal(t, 200, answer.StatusCode, content)
		return content
	}
	found := post("actions/dry-run", `{"action":"evict","row":1,"force":true}`)
	confirmation, _ := found["confirmation"].(string)
	post("actions", `{"action":"evict","row":1,"force":true,"confirmation":"`+confirmation+`"}`)
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	require.NoError(t, c.Wait())
	assert.Contains(t, log.String(), `datablock-admin serve: evict row 1 by force on block "x"`)
	_, out, _ := admin("history", "x", "--directory", dir)
	assert.Contains(t, out, "evicted the consumer")
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	dir, _, _ := scene(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	for _, test := range []struct {
		code int
		said string
		args []string
	}{
		{exitFailed, "address already in use: is another server running?", []string{"--listen", busy.Addr().String()}},
		{exitUsage, "can be reached from other machines", []string{"--listen", ":7411"}},
		{exitUsage, "use it as datablock-admin serve", []string{"--listen", "7411"}},
		{exitUsage, "no such file", []string{"--token-file", filepath.Join(dir, "missing")}},
		{exitUsage, "--interval soon: not a time", []string{"--interval", "soon"}},
		{exitMissing, "list the blocks", []string{"--directory", filepath.Join(dir, "missing")}},
	} {
		code, out, errOut := admin(append([]string{"serve", "--directory", dir}, test.args...)...)
		assert.Equal(t, test.code, code, "%v: %s", test.args, errOut)
		assert.Contains(t, errOut, test.said)
		assert.Empty(t, out)
	}
}
