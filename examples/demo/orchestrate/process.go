package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is one of the demo's programs, running or ended.
type process struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has been reaped

	mu    sync.Mutex
	lines []string
}

// command prepares a program of the build. Its path is relative to this program.
func command(ctx context.Context, path string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(self), path), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true,            // Ctrl-C reaches this program only, which ends the others in order
		Pdeathsig: syscall.SIGKILL, // if this program is killed, the others die too
	}
	return cmd, nil
}

// start runs a program of this folder. Its lines appear on the screen under its name.
func start(s *screen, name string, args ...string) (*process, error) {
	cmd, err := command(context.Background(), name, args...)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: cmd, ended: make(chan struct{})}
	p.cmd.Stdout = &lineWriter{emit: p.said(s, true)}
	p.cmd.Stderr = &lineWriter{emit: p.said(s, false)}
	if name == "live" {
		p.cmd.Stderr = os.Stderr // live draws there
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // the callers check the state where it matters
		close(p.ended)
	}()
	return p, nil
}

// said returns the function that handles the program's lines. Lines for programs ("result: ...")
// are kept and not shown.
func (p *process) said(s *screen, keep bool) func(string) {
	return func(line string) {
		if keep {
			p.mu.Lock()
			p.lines = append(p.lines, line)
			p.mu.Unlock()
		}
		if !strings.HasPrefix(line, "result: ") {
			s.line(p.name, line)
		}
	}
}

// scan finds a line of the program with this format, and reads its values.
func (p *process) scan(format string, values ...any) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		if n, err := fmt.Sscanf(line, format, values...); err == nil && n == len(values) {
			return true
		}
	}
	return false
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal sends a signal to the process. It has no effect after the end of the process.
func (p *process) signal(number syscall.Signal) { _ = p.cmd.Process.Signal(number) }

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// lineWriter splits the output of a program into lines.
type lineWriter struct {
	rest []byte
	emit func(string)
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.rest = append(w.rest, data...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(data), nil
		}
		w.emit(string(line))
		w.rest = rest
	}
}

// screen is the output of all programs. A line is one write, over the line that live draws.
type screen struct {
	mu    sync.Mutex
	out   io.Writer
	clear string
}

func newScreen() *screen {
	s := &screen{out: os.Stdout}
	if _, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS); err == nil {
		s.clear = "\r\x1b[K"
	}
	return s
}

func (s *screen) line(who, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if who != "" {
		who = fmt.Sprintf("%-8s | ", who)
	}
	fmt.Fprintf(s.out, "%s%s%s\n", s.clear, who, text)
}

func (s *screen) print(format string, values ...any) { s.line("", fmt.Sprintf(format, values...)) }
