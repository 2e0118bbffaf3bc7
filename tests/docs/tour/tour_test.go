// Package tour_test executes docs/getting-started.md and docs/emergency-procedures.md. It saves the
// files of a page, types its commands into one shell, and compares their output.
package tour_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	docs     = "../../../docs/"
	patience = time.Minute // for one step
	pause    = 20 * time.Millisecond
)

// step is a file to save, or a command with its output on the page.
type step struct {
	file, content    string
	command, printed string
}

var (
	blocks = regexp.MustCompile("(?ms)^```(\\w*) ?(\\S*)\n(.*?)^```$")
	spaces = regexp.MustCompile(` {2,}`)
	looks  = regexp.MustCompile(`^datablock-admin (list|status|diagnose)\b`)
)

func steps(t *testing.T, page string) (all []step) {
	t.Helper()
	text, err := os.ReadFile(docs + page)
	require.NoError(t, err)
	found := blocks.FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, found)
	require.Equal(t, strings.Count(string(text), "```"), 2*len(found), "a code block of the page is not understood")
	for _, block := range found {
		language, file, content := block[1], block[2], block[3]
		if language != "console" {
			require.NotEmpty(t, file, "a block in %q says no file name", language)
			all = append(all, step{file: file, content: content})
			continue
		}
		commands := strings.Split("\n"+content, "\n$ ")
		require.Empty(t, commands[0], "output before the first command of a block")
		for _, command := range commands[1:] {
			command, printed, _ := strings.Cut(strings.TrimSuffix(command, "\n")+"\n", "\n")
			all = append(all, step{command: command, printed: printed})
		}
	}
	return all
}

// pattern matches the whole output: a line … stands for any lines, … within a line for any text,
// and columns may be of any width.
func pattern(printed string) *regexp.Regexp {
	var b strings.Builder
	for line := range strings.Lines(printed) {
		if line == "…\n" {
			b.WriteString(`(.*\n)*`)
			continue
		}
		quoted := strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*")
		b.WriteString(spaces.ReplaceAllString(quoted, " +"))
	}
	return regexp.MustCompile(`^` + b.String() + `$`)
}

// shell is one bash for the whole page, without job control, so all its processes are in its
// process group. The output of all commands, in the background too, goes to the file `screen`. So
// the test never waits for the end of a pipe that a background process may hold.
type shell struct {
	t              *testing.T
	screen, errors string // files
	input          io.Writer
	statuses       chan string // exit statuses, closed when the shell has ended
}

func start(t *testing.T, directory, scratch string, environment []string) *shell {
	t.Helper()
	s := &shell{t: t, screen: filepath.Join(scratch, "screen"), errors: filepath.Join(scratch, "errors"),
		statuses: make(chan string)}
	require.NoError(t, os.WriteFile(s.screen, nil, 0o600))
	errors, err := os.Create(s.errors)
	require.NoError(t, err)
	defer errors.Close()
	receive, send, err := os.Pipe()
	require.NoError(t, err)
	defer send.Close()

	bash := exec.Command("bash", "--noprofile", "--norc")
	bash.Dir, bash.Env, bash.Stderr, bash.ExtraFiles = directory, environment, errors, []*os.File{send}
	bash.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.input, err = bash.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, bash.Start())
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = syscall.Kill(-bash.Process.Pid, syscall.SIGKILL)
		_ = bash.Wait()
		close(done)
		_ = receive.Close()
	})
	go func() {
		defer close(s.statuses)
		for lines := bufio.NewScanner(receive); lines.Scan(); {
			select {
			case s.statuses <- lines.Text():
			case <-done:
				return
			}
		}
	}()
	s.send("trap 'kill -9 0' EXIT\n") // in case this test is killed
	return s
}

func (s *shell) send(text string) {
	_, err := io.WriteString(s.input, text)
	require.NoError(s.t, err)
}

func (s *shell) contents(file string) string {
	text, err := os.ReadFile(file)
	require.NoError(s.t, err)
	return string(text)
}

// run executes one step of the page. A command that only reads is repeated until its output is the
// output on the page, because a user would repeat it too.
func (s *shell) run(number int, what step) {
	s.t.Helper()
	expected := pattern(what.printed)
	deadline := time.Now().Add(patience)
	from := s.enter(number, what, deadline)
	for {
		printed := s.contents(s.screen)[from:]
		if expected.MatchString(printed) {
			return
		}
		if time.Now().After(deadline) {
			s.fail(number, what, from, "did not print what the page shows")
		}
		time.Sleep(pause) // background processes may still print something
		if looks.MatchString(what.command) {
			from = s.enter(number, what, deadline.Add(patience))
		}
	}
}

// enter types the command and waits for its end. It returns the beginning of its output on the
// screen.
func (s *shell) enter(number int, what step, deadline time.Time) int {
	s.t.Helper()
	from := len(s.contents(s.screen))
	s.send(fmt.Sprintf("{\n%s\n} </dev/null >>'%s' 2>&1 3>&-\necho $? >&3\n", what.command, s.screen))
	select {
	case status := <-s.statuses: // "" when the shell has ended
		if status != "0" {
			s.fail(number, what, from, fmt.Sprintf("has exit status %q", status))
		}
	case <-time.After(time.Until(deadline)):
		s.fail(number, what, from, "does not end")
	}
	return from
}

func (s *shell) fail(number int, what step, from int, how string) {
	s.t.Helper()
	screen := s.contents(s.screen)
	s.t.Fatalf("step %d %s:\n$ %s\nexpected:\n%s\nprinted:\n%s\nthe shell says:\n%s\nprinted before:\n%s",
		number, how, what.command, what.printed, screen[from:], s.contents(s.errors), screen[:from])
}

// environment has a home, a block directory and a build for the tour. The build exists already, and
// other tests use it. So cmake only installs here, and the system's list of libraries does not
// change.
func environment(t *testing.T, root, home, blocks, scratch string) []string {
	t.Helper()
	build := os.Getenv("DATABLOCK_BUILD")
	if build == "" {
		build = filepath.Join(root, "build")
	}
	for _, file := range []string{"libdatablock.so", "datablock-admin", "cmake_install.cmake"} {
		_, err := os.Stat(filepath.Join(build, file))
		require.NoError(t, err, "build first (make all), or say with DATABLOCK_BUILD where it is")
	}
	cmake, err := exec.LookPath("cmake")
	require.NoError(t, err)
	for name, script := range map[string]string{
		"cmake":    fmt.Sprintf("#!/bin/sh\n[ \"$1\" != --install ] || exec '%s' \"$@\"\n", cmake),
		"ldconfig": "#!/bin/sh\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(scratch, name), []byte(script), 0o700))
	}
	path := scratch + ":" + os.Getenv("PATH")
	python := filepath.Join(root, ".venv", "bin")
	if exec.Command(filepath.Join(python, "python3"), "--version").Run() == nil {
		path = python + ":" + path
	}
	return append(os.Environ(), "PATH="+path, "HOME="+home, "DATABLOCK_DIR="+blocks, "BUILD="+build,
		"PYTHONDONTWRITEBYTECODE=1",
		"LC_ALL=C.UTF-8", "BASH_ENV=", "MAKEFLAGS=", "DESTDIR=",
		"DATABLOCK_LIBRARY="+filepath.Join(build, "libdatablock.so"))
}

func TestGettingStarted(t *testing.T) {
	follow(t, "getting-started.md")
}

func TestEmergencyProcedures(t *testing.T) {
	follow(t, "emergency-procedures.md")
}

// follow executes a page from its first line to its last.
func follow(t *testing.T, page string) {
	t.Helper()
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	home, blocks, scratch := t.TempDir(), t.TempDir(), t.TempDir()
	all := steps(t, page)
	s := start(t, root, scratch, environment(t, root, home, blocks, scratch))
	for i, step := range all {
		if step.file != "" {
			require.NoError(t, os.WriteFile(filepath.Join(home, "tour", step.file), []byte(step.content), 0o600))
			continue
		}
		s.run(i+1, step)
	}
	left, err := os.ReadDir(blocks)
	require.NoError(t, err)
	require.Empty(t, left, "the page does not clean up")
}
