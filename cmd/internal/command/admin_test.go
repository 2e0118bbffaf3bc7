package command

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scene is a directory with the block "x": three messages, and a LATEST reader that holds the last
// message.
func scene(t *testing.T) (dir string, p *channel.Producer, c *channel.Consumer) {
	dir, err := os.MkdirTemp("/dev/shm", "datablock-admin-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	config := segment.DefaultConfig(segment.Ring)
	config.SlotSize, config.Directory = 64, dir
	p, err = channel.OpenProducer("x", config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	for range 3 {
		s, err := p.Claim(0)
		require.NoError(t, err)
		require.NoError(t, p.Commit(s, 1))
	}
	c, err = channel.OpenConsumer("x", segment.ConsumerOptions{Directory: dir, Delivery: segment.Latest,
		Name: "display"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = c.Next(0)
	require.NoError(t, err)
	return dir, p, c
}

func admin(args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

func TestExitCodesSayWhatHappened(t *testing.T) {
	dir, p, c := scene(t)
	for _, test := range []struct {
		code int
		args []string
	}{
		{exitOK, []string{"list"}},
		{exitOK, []string{"diagnose", "--shm-name", "x"}},
		{exitOK, []string{"diagnose", "--shm-name", dir + "/x", "--slot", "0"}},
		{exitOK, []string{"status", "--shm-name", "x"}},
		{exitOK, []string{"gc"}},
		{exitUsage, []string{"diagnose"}},
		{exitUsage, []string{"diagnose", "--shm-name", "x", "--slot", "1000"}},
		{exitUsage, []string{"diagnose", "--shm-name", "bad/name"}},
		{exitUsage, []string{"nonsense"}},
		{exitUsage, []string{"list", "--nonsense"}},
		{exitMissing, []string{"status", "--shm-name", "y"}},
		{exitRefused, []string{"unlink", "--shm-name", "x"}},
	} {
		code, _, errOut := admin(append(test.args, "--directory", dir)...)
		assert.Equal(t, test.code, code, "%v: %s", test.args, errOut)
		assert.Equal(t, code > exitProblems, errOut != "", "%v: a failure explains itself", test.args)
	}
	require.NoError(t, p.Close())
	require.NoError(t, c.Close())
	code, out, _ := admin("unlink", "--shm-name", "x", "--directory", dir)
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "removed x\n", out)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, files)
}

func TestTheToolSaysItsVersion(t *testing.T) {
	release = "1.2.3"
	defer func() { release = "" }()
	code, out, _ := admin("--version")
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "datablock-admin 1.2.3\n", out)
	code, out, _ = admin("--version", "--json")
	assert.Equal(t, exitOK, code)
	assert.JSONEq(t, `{"version": "1.2.3"}`, out)
	code, _, _ = admin("list", "--version")
	assert.Equal(t, exitUsage, code)
}

func TestDiagnosisNamesTheHolder(t *testing.T) {
	dir, p, _ := scene(t)
	claim, err := p.Claim(0)
	require.NoError(t, err)
	_, out, _ := admin("diagnose", "--shm-name", "x", "--directory", dir)
	assert.Contains(t, out, `"display"`)
	assert.Contains(t, out, "WRITING")
	assert.Contains(t, out, "0 stuck")

	_, out, _ = admin("diagnose", "--shm-name", "x", "--directory", dir, "--json")
	var d struct {
		Block blockJSON
		Slots []slotJSON
	}
	require.NoError(t, json.Unmarshal([]byte(out), &d))
	assert.EqualValues(t, 3, d.Block.NextID)
	assert.Equal(t, "WRITING", d.Slots[claim.Index()].State)
	assert.EqualValues(t, os.Getpid(), d.Slots[claim.Index()].WriteLock)
}

func TestStatusShowsEveryParticipant(t *testing.T) {
	dir, _, _ := scene(t)
	_, out, _ := admin("status", "--shm-name", "x", "--directory", dir, "--json")
	var s struct{ Participants []rowJSON }
	require.NoError(t, json.Unmarshal([]byte(out), &s))
	require.Len(t, s.Participants, 2)
	assert.Equal(t, "producer", s.Participants[0].Role)
	assert.Equal(t, "display", s.Participants[1].Name)
	assert.Equal(t, "LATEST", s.Participants[1].Delivery)
	assert.Len(t, s.Participants[1].Pins, 1)
	assert.True(t, s.Participants[1].Alive)
	_, out, _ = admin("status", "--shm-name", "x", "--directory", dir)
	assert.NotContains(t, out, "\x1b", "no colour where nobody looks")
}

func TestNothingIsReleasedThatLives(t *testing.T) {
	dir, p, _ := scene(t)
	claim, err := p.Claim(0)
	require.NoError(t, err)
	slot := strconv.Itoa(int(claim.Index()))
	code, _, errOut := admin("release-zombie-writer", "x", "--slot", slot, "--directory", dir)
	assert.Equal(t, exitRefused, code, errOut)
	code, out, _ := admin("release-zombie-readers", "x", "--slot", slot, "--directory", dir)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "nothing to do")
	code, out, _ = admin("cleanup-heartbeats", "x", "--timeout", "0s", "--directory", dir)
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "removed 0\n", out)
	code, _, errOut = admin("status", "--directory", dir)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, "--shm-name")
	code, _, _ = admin("diagnose", "x", "--slot", "-5", "--directory", dir)
	assert.Equal(t, exitUsage, code)
}

func TestAConsumersNameCannotCommandTheTerminal(t *testing.T) {
	dir, _, _ := scene(t)
	c, err := channel.OpenConsumer("x", segment.ConsumerOptions{Directory: dir, Name: "a\x1b[31m\n\xffz"})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	for _, command := range []string{"status", "diagnose"} {
		_, out, _ := admin(command, "x", "--directory", dir)
		assert.NotContains(t, out, "\x1b")
		assert.NotContains(t, out, "\xff")
	}
	_, out, _ := admin("status", "x", "--directory", dir)
	assert.Contains(t, out, "a?[31m??z")
}

func TestTheAdviceCanBeTypedAsItIsPrinted(t *testing.T) {
	dir, p, c := scene(t)
	for range 8 - 3 {
		s, err := p.Claim(0)
		require.NoError(t, err)
		require.NoError(t, p.Commit(s, 1))
	}
	lossless, err := channel.OpenConsumer("x", segment.ConsumerOptions{Directory: dir, Delivery: segment.Lossless,
		Name: "log"})
	require.NoError(t, err)
	defer lossless.Close()
	require.NoError(t, c.Close())
	for range 8 {
		s, err := p.Claim(0)
		require.NoError(t, err)
		require.NoError(t, p.Commit(s, 1))
	}
	waits := make(chan error, 1)
	go func() {
		_, err := p.Claim(segment.Forever)
		waits <- err
	}()
	command := regexp.MustCompile(`datablock-admin (evict .* --force)`)
	var advice []string
	require.Eventually(t, func() bool {
		_, out, _ := admin("diagnose", "--shm-name", "x", "--directory", dir)
		advice = command.FindStringSubmatch(out)
		return advice != nil
	}, 10*time.Second, time.Millisecond)
	code, _, errOut := admin(append(strings.Fields(advice[1]), "--yes")...)
	assert.Equal(t, exitOK, code, errOut)
	assert.NoError(t, <-waits, "the producer goes on")
}
