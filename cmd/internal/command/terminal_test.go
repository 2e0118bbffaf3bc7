package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
	"datablock/cmd/internal/pulse"
)

// screen is datablock-admin top in a terminal of tmux.
type screen struct {
	t      *testing.T
	socket string
}

func onScreen(t *testing.T, dir string, width, height int, args ...string) *screen {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skipf("NOT SHOWN: top in a terminal: %v", err)
	}
	home, err := os.MkdirTemp("", "datablock-tmux-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	s := &screen{t, filepath.Join(home, "socket")}
	words := append([]string{os.Args[0], "top", "--directory", dir}, args...)
	for i, word := range words {
		words[i] = "'" + word + "'"
	}
	t.Setenv("DATABLOCK_TEST_TOOL", "1")
	t.Setenv("LC_ALL", "C.UTF-8")
	s.tmux("new-session", "-d", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height),
		strings.Join(words, " ")+"; echo ended with $?; read wait")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the screen at the end:\n%s", s.text())
		}
		_ = exec.Command("tmux", "-S", s.socket, "kill-server").Run()
	})
	return s
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", s.socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
	require.NoError(s.t, err, "tmux %v: %s", args, out)
	return string(out)
}

func (s *screen) press(keys ...string) {
	s.t.Helper()
	s.tmux(append([]string{"send-keys"}, keys...)...)
}

func (s *screen) text() string { return s.tmux("capture-pane", "-p") }

// wait waits until the screen matches all expressions.
func (s *screen) wait(expressions ...string) (text string) {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for _, e := range expressions {
		for text = s.text(); !regexp.MustCompile(e).MatchString(text); text = s.text() {
			if time.Now().After(deadline) {
				s.t.Fatalf("the screen does not show %s:\n%s", e, text)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return text
}

// matches compares every line of the screen with a line of expressions.
func (s *screen) matches(expected string) {
	s.t.Helper()
	want := strings.Split(strings.Trim(expected, "\n"), "\n")
	compare := func() (line int, got string) {
		lines := strings.Split(strings.TrimRight(s.text(), "\n"), "\n")
		for i, e := range want {
			if got = ""; i < len(lines) {
				got = strings.TrimRight(lines[i], " ")
			}
			if !regexp.MustCompile("^" + e + "$").MatchString(got) {
				return i, got
			}
		}
		return -1, ""
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		line, got := compare()
		if line < 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("line %d is\n%s\nand not as\n%s\nin\n%s", line+1, got, want[line], s.text())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestTopInATerminal(t *testing.T) {
	dir := blocksIn(t)
	producer := start(t, dir, pulse.Plan{Produce: []string{"camera"}, Every: 2 * time.Millisecond, Schema: true})
	start(t, dir, pulse.Plan{Produce: []string{"a_quiet_block"}, Count: 3, Every: time.Millisecond})
	reader := start(t, dir, pulse.Plan{Consume: "camera", Delivery: datablock.Lossless, Every: 20 * time.Millisecond,
		Name: "lo\x1b[31mgger"})
	s := onScreen(t, dir, 80, 24, "--interval", "100ms")
	s.matches(`
DataBlock  \d\d:\d\d:\d\d  2 blocks, 1 consumer  sort name  .*
 NAME         SCHEMA    POLICY   MSG/S  BYTES/S FILL CONS    LAG     AGE MSG/S
   CONSUMER   DELIVERY  STATE    MSG/S   MISSED   HELD UP    LAG     AGE PID
▸a_quiet_blo… -         RING         0      0 B    -    0      0       - ▁+
 camera       Reading   RING    +[\d.]+ +[\d.]+ .?i?B +\d+%    1 +\d+ +\d\S+ .*[▁▂▃▄▅▆▇█]
   lo\?\[31mgg… LOSSLESS  alive   +[\d.]+ +0 +\d\S+ +\d+.? +>?\d\S+ ` + strconv.Itoa(reader.Process.Pid) + `
`)
	s.wait(`(?m)^↑↓ select .* q quit$`)
	s.press("s")
	s.wait(`sort msg/s `, `(?m)^ camera[^▸]*▸a_quiet`)
	s.press("R")
	s.wait(`reversed `, `(?m)^▸a_quiet.*\n camera`)
	s.press("/")
	s.press("-l", "CAM")
	s.wait(`(?m)^filter: CAM_$`, `1 of 2 blocks`, `(?m)^▸camera`)
	s.press("Enter")
	s.wait(`filter "CAM"`, `(?m)^↑↓ select`)

	s.press("Enter")
	s.matches(`
camera  live \(pid ` + strconv.Itoa(producer.Process.Pid) + `\)  Reading 1\.0\.0  [\d.]+ messages/s  .*/s
message \d+, 64 bytes

count: \d+
position: \[\d+, -?[\de.-]+, -1\.5\]
pose:
  x: \d
  y: 0
  angle: 0
label: "pulse"
`)
	s.press("x")
	s.wait(`(?m)^00000030  65 00 00 .*  e\.\.\.`)
	s.press("g")
	s.wait(`(?m)^count: \d+  min \d+  max \d+  in 30s$`, `[\x{2801}-\x{28ff}]`, `(?m)^ +-30s +\d\d:\d\d:\d\d$`)
	s.press("f")
	s.press("-l", "nothing")
	s.press("Enter")
	s.wait(`(?m)^field: nothing_ .*has no field`)
	s.press("C-u")
	s.press("-l", "pose.x")
	s.press("Enter")
	s.wait(`(?m)^pose\.x: \d  min `)
	s.press("Left")
	s.wait(`(?m)^lag in seconds: `)

	s.resized()
	s.survives(producer, dir)
}

// resized changes the size of the terminal, from the plot of a block to the table.
func (s *screen) resized() {
	s.t.Helper()
	s.tmux("resize-window", "-x", "130", "-y", "30")
	s.wait(`(?m)^.{110,130}\d\d:\d\d:\d\d$`)
	s.press("Escape")
	s.wait(`(?m)^ NAME {20,}SCHEMA {10,}POLICY`)
	s.tmux("resize-window", "-x", "40", "-y", "8")
	s.wait(`(?m)^ NAME.{33,34}…$`)
	s.tmux("resize-window", "-x", "80", "-y", "24")
	s.wait(`(?m)^ NAME         SCHEMA`)

}

// survives kills the producer and removes the block while top shows it.
func (s *screen) survives(producer *exec.Cmd, dir string) {
	s.t.Helper()
	require.NoError(s.t, producer.Process.Kill())
	_, _ = producer.Process.Wait()
	s.wait(`(?m)^▸camera .* DEAD$`)
	s.press("Enter")
	s.wait(`(?m)^camera  dead producer `, `(?m)^count: \d+$`)
	require.NoError(s.t, datablock.Unlink("camera", dir, datablock.Force))
	s.wait(`(?m)^camera  the block has gone: no file has its name now$`, `(?m)^count: \d+$`)
	s.press("Escape")
	s.wait(`no block of 1 matches "CAM": Esc shows all`)
	s.press("Escape")
	s.wait(`(?m)^▸a_quiet_blo`)
	s.press("q")
	s.wait(`(?m)^ended with 0$`)
}

func TestColoursAreForTerminalsThatHaveThem(t *testing.T) {
	dir := blocksIn(t)
	require.NoError(t, start(t, dir, pulse.Plan{Produce: []string{"x"}}).Process.Kill())
	coloured := regexp.MustCompile(`\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38;[0-9;]*)m`)
	for _, refused := range []bool{false, true} {
		if refused {
			t.Setenv("NO_COLOR", "1")
		}
		s := onScreen(t, dir, 80, 24, "--interval", "50ms")
		s.wait(`(?m)^▸x .* DEAD$`)
		s.press("Enter")
		s.wait(`(?m)^x  dead producer`)
		assert.Equal(t, !refused, coloured.MatchString(s.tmux("capture-pane", "-e", "-p")))
		s.press("C-c")
		s.wait(`(?m)^ended with 0$`)
	}
}
