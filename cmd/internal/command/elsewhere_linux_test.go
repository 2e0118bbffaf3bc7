package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func needsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT SHOWN: other users and namespaces: it takes root to make them")
	}
}

// fromElsewhere runs the tool in its own process. The program and arguments in before start the
// tool, as another user if attributes says so.
func fromElsewhere(t *testing.T, attributes *syscall.SysProcAttr, before []string, args ...string) (code int, out,
	errOut string) {
	t.Helper()
	before = append(before, "/proc/self/exe") // no path leads another user to this program
	if len(before) > 1 {
		own, err := os.Executable()
		require.NoError(t, err)
		before[len(before)-1] = own
	}
	c := exec.Command(before[0], append(before[1:], args...)...)
	c.Env = append(os.Environ(), "DATABLOCK_TEST_TOOL=1")
	c.SysProcAttr = attributes
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err := c.Run()
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		require.NoError(t, err)
	}
	return c.ProcessState.ExitCode(), o.String(), e.String()
}

func user(uid, gid uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: []uint32{gid}}}
}

// left is a block that no process has open, with files of the given owner and mode.
func left(t *testing.T, uid, gid int, mode uint32) (dir string) {
	dir, err := os.MkdirTemp("/dev/shm", "datablock-admin-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777|os.ModeSticky))
	config := segment.DefaultConfig(segment.Ring)
	config.SlotSize, config.Directory, config.Mode = 64, dir, mode
	p, err := channel.OpenProducer("x", config)
	require.NoError(t, err)
	require.NoError(t, p.Close())
	files, err := filepath.Glob(dir + "/*")
	require.NoError(t, err)
	for _, file := range files {
		require.NoError(t, os.Chown(file, uid, gid))
	}
	return dir
}

func TestAnotherUserIsShownWhatMayNotBeRead(t *testing.T) {
	needsRoot(t)
	dir := left(t, 1001, 3000, 0o600)
	code, out, errOut := fromElsewhere(t, user(1002, 3000), nil, "list", "--directory", dir)
	assert.Equal(t, exitProblems, code, errOut)
	assert.Contains(t, out, "UNREADABLE")
	assert.Contains(t, out, "\nx: ")
	assert.Contains(t, out, "permission denied: uid 1002 may not read the file")
	assert.NotContains(t, out, "no blocks")
	code, _, errOut = fromElsewhere(t, user(1002, 3000), nil, "status", "x", "--directory", dir)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, fmt.Sprintf("open %s/x: permission denied: uid 1002 may not read the file %s/x, "+
		"which belongs to uid 1001 and gid 3000 and has mode 0600; the mode that its producer asks for", dir, dir))
}

func TestWhoMayNotRemoveABlockIsToldWhy(t *testing.T) {
	needsRoot(t)
	dir := left(t, 1001, 3000, 0o660)
	code, _, errOut := fromElsewhere(t, user(1002, 3000), nil, "unlink", "x", "--directory", dir)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, dir+" is a sticky directory, and "+dir+"/x belongs to uid 1001: only that user, uid "+
		"0, who has the directory, and root may remove or replace it, whatever its mode")
	assert.NotContains(t, errOut, "the mode that its producer asks for")

	require.NoError(t, os.Chmod(dir, 0o755))
	_, _, errOut = fromElsewhere(t, user(1002, 3000), nil, "unlink", "x", "--directory", dir)
	assert.Contains(t, errOut,
		"uid 1002 may not change names in the directory "+dir+", which belongs to uid 0 and gid 0 and has mode 0755")
	require.NoError(t, os.Chmod(dir, 0o711))
	code, _, errOut = fromElsewhere(t, user(1002, 3000), nil, "list", "--directory", dir)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "uid 1002 may not list the directory "+dir)
	require.NoError(t, os.Chmod(dir, 0o700))
	_, _, errOut = fromElsewhere(t, user(1002, 3000), nil, "status", "x", "--directory", dir)
	assert.Contains(t, errOut, "uid 1002 may not look for files in the directory "+dir)
}

// heldUp is the block "x". Its producer waits for a reader in another process, which is started
// with these attributes.
func heldUp(t *testing.T, attributes *syscall.SysProcAttr) (dir string) {
	dir, p, c := scene(t)
	require.NoError(t, c.Close())
	reader := exec.Command("/proc/self/exe")
	reader.Env, reader.SysProcAttr = append(os.Environ(), asReader+"="+dir), attributes
	input, err := reader.StdinPipe()
	require.NoError(t, err)
	output, err := reader.StdoutPipe()
	require.NoError(t, err)
	if err := reader.Start(); err != nil {
		t.Skipf("NOT SHOWN: a reader in another namespace: %v", err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "holding <nil>\n", line)
	claimed := make(chan struct{})
	go func() {
		defer close(claimed)
		for {
			s, err := p.Claim(segment.Forever)
			if err != nil {
				return
			}
			_ = p.Commit(s, 1)
		}
	}()
	t.Cleanup(func() {
		p.Interrupt()
		<-claimed
		_ = input.Close()
		_ = reader.Wait()
	})
	require.Eventually(t, func() bool {
		d, err := recovery.DiagnoseAfter("x", dir, time.Millisecond)
		require.NoError(t, err)
		for _, s := range d.Slots {
			if s.Stuck {
				return true
			}
		}
		return false
	}, 20*time.Second, 5*time.Millisecond)
	return dir
}

func TestNoPidOfAnotherNamespaceIsAdvisedToBeSignalled(t *testing.T) {
	needsRoot(t)
	dir := heldUp(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID})
	code, out, _ := admin("diagnose", "x", "--stuck-after", "1ms", "--directory", dir)
	assert.Equal(t, exitProblems, code)
	assert.Contains(t, out, "pid 1 of another pid namespace (")
	assert.Contains(t, out, "process 1 of another pid namespace (")
	assert.Contains(t, out, "evict")
	assert.NotContains(t, out, "kill")
	_, out, _ = admin("diagnose", "x", "--stuck-after", "1ms", "--directory", dir, "--json")
	var d struct{ Slots []slotJSON }
	require.NoError(t, json.Unmarshal([]byte(out), &d))
	found := 0
	for _, s := range d.Slots {
		for _, h := range s.Holders {
			assert.True(t, h.OtherPIDNamespace)
			assert.NotZero(t, h.PIDNamespace)
			found++
		}
	}
	assert.NotZero(t, found)
	_, out, _ = admin("auto-recover", "x", "--dry-run", "--stuck-after", "1ms", "--directory", dir)
	assert.Contains(t, out, "pid 1 of another pid namespace (")
	_, out, _ = admin("status", "x", "--directory", dir)
	assert.Contains(t, out, "in another pid namespace (")
}

// TestAgesAcrossTimeNamespaces runs the tool where CLOCK_MONOTONIC is a day ahead, or an hour
// behind.
func TestAgesAcrossTimeNamespaces(t *testing.T) {
	needsRoot(t)
	if err := exec.Command("unshare", "-T", "--fork", "--monotonic", "86400", "true").Run(); err != nil {
		t.Skipf("NOT SHOWN: time namespaces: unshare cannot make one here: %v", err)
	}
	in := func(seconds int) []string {
		return []string{"unshare", "-T", "--fork", "--monotonic", fmt.Sprint(seconds)}
	}
	dir, p, _ := scene(t)
	_, err := p.Claim(0)
	require.NoError(t, err)
	code, out, errOut := fromElsewhere(t, nil, in(86400), "diagnose", "x", "--directory", dir)
	assert.Equal(t, exitOK, code, errOut)
	assert.Contains(t, out, "WRITING")
	assert.Contains(t, out, "0 stuck", "a claim that has just begun")

	dir = heldUp(t, nil)
	ahead := -min(3600, int(time.Duration(monotonic(t)).Seconds())/2) // the clock cannot be negative
	for _, seconds := range []int{86400, ahead} {
		code, out, _ = fromElsewhere(t, nil, in(seconds), "diagnose", "x", "--stuck-after", "1ms", "--directory", dir,
			"--json")
		assert.Equal(t, exitProblems, code, "a reader that hangs is shown, %d s ahead", seconds)
		var d struct{ Slots []slotJSON }
		require.NoError(t, json.Unmarshal([]byte(out), &d))
		for _, s := range d.Slots {
			assert.Less(t, s.StuckForMs, time.Minute.Milliseconds(), "%d s ahead", seconds)
		}
	}
}

func monotonic(t *testing.T) int64 {
	text, err := os.ReadFile("/proc/uptime")
	require.NoError(t, err)
	var up float64
	_, err = fmt.Sscan(string(text), &up)
	require.NoError(t, err)
	return int64(up * float64(time.Second))
}

// TestAForcedResetThatLeavesSomethingFails: the error names what is left, and the next command.
func TestAForcedResetThatLeavesSomethingFails(t *testing.T) {
	dir := heldUp(t, nil)
	for _, more := range []string{"", "--json"} {
		code, out, errOut := admin(strings.Fields("force-reset-all x --force --yes --directory " + dir + " " + more)...)
		assert.Equal(t, exitProblems, code, errOut)
		assert.Contains(t, out, "done, and something is left: ")
		assert.Contains(t, out, "datablock-admin evict --shm-name "+dir+"/x --row ")
	}
}

func TestAnAdminShowsNoMoreThanAPersonReads(t *testing.T) {
	dir := left(t, os.Getuid(), os.Getgid(), 0o600)
	config := segment.DefaultConfig(segment.Ring)
	config.SlotSize, config.SlotCount, config.Directory = 8, 4096, dir
	p, err := channel.OpenProducer("many", config)
	require.NoError(t, err)
	for range config.SlotCount {
		s, err := p.Claim(0)
		require.NoError(t, err)
		require.NoError(t, p.Commit(s, 1))
	}
	require.NoError(t, p.Close())
	file, err := os.OpenFile(dir+"/many", os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()
	for at := int64(8192); at < 8192+8*3000; at += 8 { // the ring
		_, err = file.WriteAt([]byte{0xff}, at+4)
		require.NoError(t, err)
	}
	_, out, _ := admin("validate", "many", "--directory", dir)
	assert.Less(t, strings.Count(out, "\n"), 30)
	assert.Contains(t, out, "more (--json shows 1000)")
	code, out, errOut := admin("validate", "many", "--repair", "--yes", "--directory", dir)
	assert.Equal(t, exitOK, code, errOut)
	assert.Less(t, strings.Count(out, "\n"), 60)
	assert.Contains(t, out, "more repairs")
	assert.Contains(t, out, "healthy")
}
