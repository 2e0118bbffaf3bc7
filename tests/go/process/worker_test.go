package process_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patienceOr returns the limit of each step that is expected to take milliseconds. The test of
// emulated workers sets another limit.
func patienceOr(usual time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv("DATABLOCK_PATIENCE")); err == nil {
		return d
	}
	return usual
}

// launch describes how to start a worker.
type launch struct {
	language string
	role     string
	args     []string
	env      []string
	attr     *syscall.SysProcAttr
	unreaped bool // a dead worker stays a zombie until the test ends

	meanwhile func()
}

// worker is a started worker. Its methods end the test when an answer does not arrive in time.
type worker struct {
	t      testing.TB
	what   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	errors bytes.Buffer

	mu    sync.Mutex
	lines []string
	eof   bool
	news  chan struct{} // closed and renewed with each line

	said []string // the lines that the test has taken, for its report

	sent, answered int    // number of commands, the start included, and of answers
	unheard        int    // number of expected answers to write that the test ignores
	meanwhile      func() // is called while the test waits for a line

	reap  func()
	ended chan struct{} // closed when the worker is reaped
}

func start(t testing.TB, l launch) *worker {
	t.Helper()
	out, theirs, err := os.Pipe()
	require.NoError(t, err)
	w := &worker{t: t, news: make(chan struct{}), ended: make(chan struct{}), sent: 1, meanwhile: l.meanwhile}
	for try := 1; ; try++ {
		w.prepare(l, theirs)
		if err = w.cmd.Start(); try == 3 || !refusedForNow(err) {
			break
		}
		t.Logf("try %d: %v", try, err)
	}
	_ = theirs.Close()
	if err != nil {
		_ = out.Close()
		permitted(t, err, "starting a worker as another user or in another namespace")
		t.Fatalf("%s %s: %v", l.language, l.role, err)
	}
	w.what = fmt.Sprintf("%s %s (pid %d) %v %v", l.language, l.role, w.pid(), l.args, l.env)
	go w.listen(out)
	w.reap = sync.OnceFunc(func() {
		go func() {
			_ = w.cmd.Wait()
			close(w.ended)
		}()
	})
	if !l.unreaped {
		w.reap()
	}
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		w.reap()
		<-w.ended
		_ = out.Close()
	})
	return w
}

// prepare makes the command of a worker whose answers go into a file.
func (w *worker) prepare(l launch, answers *os.File) {
	w.t.Helper()
	p := workers[l.language]
	w.cmd = exec.Command(p.argv[0], slices.Concat(p.argv[1:], []string{l.role}, l.args)...)
	w.cmd.Env = slices.Concat(os.Environ(), p.env, l.env)
	w.cmd.SysProcAttr = l.attr
	w.cmd.Stdout = answers
	w.cmd.Stderr = &w.errors
	w.cmd.WaitDelay = time.Second
	var err error
	w.in, err = w.cmd.StdinPipe()
	require.NoError(w.t, err)
}

func (w *worker) listen(out *os.File) {
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		w.mu.Lock()
		w.hear(scanner.Text())
		w.announce()
		w.mu.Unlock()
	}
	_ = out.Close() // now, because the test may start thousands of workers
	w.mu.Lock()
	w.eof = true
	w.announce()
	w.mu.Unlock()
}

// hear keeps a line, unless the test ignores the answer. The caller holds the lock.
func (w *worker) hear(line string) {
	if !echoed(line) {
		w.answered++
	}
	if w.unheard > 0 && strings.HasPrefix(line, "wrote=") {
		w.unheard--
		w.said = append(w.said, line)
		return
	}
	w.lines = append(w.lines, line)
}

func (w *worker) announce() {
	close(w.news)
	w.news = make(chan struct{})
}

func (w *worker) pid() int { return w.cmd.Process.Pid }

// send sends a command to the worker. The test notices a dead worker by the missing answer.
func (w *worker) send(command string) {
	w.mu.Lock()
	w.sent++
	w.mu.Unlock()
	_, _ = io.WriteString(w.in, command+"\n")
}

// busy reports whether an answer of the worker is missing.
func (w *worker) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answered < w.sent
}

// take returns the next line of the worker, if there is one. news is closed when there are more
// lines. ended: there will be no more lines.
func (w *worker) take() (line string, ok, ended bool, news <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) > 0 {
		line, ok = w.lines[0], true
		w.lines = w.lines[1:]
		w.said = append(w.said, line)
	}
	return line, ok, !ok && w.eof, w.news
}

// hasNews reports whether the worker has printed a line or ended since the last call of take.
func (w *worker) hasNews() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.lines) > 0 || w.eof
}

// next returns the next line of the worker. false: the worker has ended, and there are no more
// lines.
func (w *worker) next() (string, bool) {
	w.t.Helper()
	return w.nextWithin(patience)
}

func (w *worker) nextWithin(limit time.Duration) (string, bool) {
	w.t.Helper()
	deadline := time.After(limit)
	for {
		line, ok, ended, news := w.take()
		if ok || ended {
			return line, ok
		}
		var look <-chan time.Time
		if w.meanwhile != nil {
			look = time.After(time.Millisecond)
		}
		select {
		case <-news:
		case <-look:
			w.meanwhile()
		case <-deadline:
			w.fail("says nothing for %v", limit)
		}
	}
}

// echoed reports whether a line is an echo before an answer.
func echoed(line string) bool {
	return strings.HasPrefix(line, "message ") || strings.HasPrefix(line, "committed ") && strings.Count(line, " ") == 2
}

// drive sends commands one after the other until the worker dies. It reports whether the worker
// died.
func (w *worker) drive(commands ...string) (died bool) {
	w.t.Helper()
	for _, command := range commands {
		w.send(command)
		if w.diesInstead() {
			return true
		}
	}
	return false
}

// writesUntil makes a producer write without a pause until a condition holds, and then waits for
// its answers: the next command is sent before the producer has finished the last one. It reports
// whether the producer died.
func (w *worker) writesUntil(holds func() bool) (died bool) {
	w.t.Helper()
	commands, deadline := 0, time.Now().Add(patience)
	for enough := false; !enough || commands > 0; enough = enough || holds() {
		for ; !enough && commands < 2; commands++ {
			w.send("write 200")
		}
		line, ok, ended, news := w.take()
		switch {
		case ended:
			<-w.ended
			return true
		case ok && !echoed(line):
			commands--
		case ok:
		case time.Now().After(deadline):
			w.fail("has written for %v, and nothing has happened", patience)
		default:
			w.awaitNews(news)
		}
	}
	return false
}

// awaitNews waits for a line of the worker, for at most a millisecond.
func (w *worker) awaitNews(news <-chan struct{}) {
	select {
	case <-news:
	case <-time.After(time.Millisecond):
		if w.meanwhile != nil {
			w.meanwhile()
		}
	}
}

// diesInstead waits for an answer, and reports whether the worker died before it.
func (w *worker) diesInstead() bool {
	w.t.Helper()
	for {
		line, ok := w.next()
		if !ok {
			<-w.ended
			return true
		}
		if !echoed(line) {
			return false
		}
	}
}

func (w *worker) fail(format string, args ...any) {
	w.t.Helper()
	said := w.said[max(0, len(w.said)-20):]
	stderr := ""
	select {
	case <-w.ended: // only then no goroutine writes to the buffer
		stderr = w.cmd.ProcessState.String() + "\n" + w.errors.String()
	default:
	}
	w.t.Fatalf("%s\n%s\nit said: %s\n%s", w.what, fmt.Sprintf(format, args...), strings.Join(said, "\n\t"), stderr)
}

// expect takes lines up to the first line that begins with one of the words, and returns this line.
// It keeps echoed messages and commits in said.
func (w *worker) expect(words ...string) string {
	w.t.Helper()
	return w.expectWithin(patience, words...)
}

// expectWithin is expect for an answer that takes longer.
func (w *worker) expectWithin(limit time.Duration, words ...string) string {
	w.t.Helper()
	for {
		line, ok := w.nextWithin(limit)
		if !ok {
			<-w.ended
			w.fail("ended; expected %q", words)
		}
		if slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(line, word) }) {
			return line
		}
		if !echoed(line) {
			w.fail("said %q; expected %q", line, words)
		}
	}
}

// ask sends a command and waits for its answer.
func (w *worker) ask(command string, words ...string) string {
	w.t.Helper()
	w.send(command)
	return w.expect(words...)
}

// rest returns all further lines until the worker ends.
func (w *worker) rest() []string {
	w.t.Helper()
	for {
		if _, ok := w.next(); !ok {
			return w.said
		}
	}
}

// attached waits until the worker has opened the block.
func (w *worker) attached() *worker {
	w.t.Helper()
	w.expect("attached")
	return w
}

// refused waits until the worker has failed to open the block, and returns the status.
func (w *worker) refused() string {
	w.t.Helper()
	status := strings.Fields(w.expect("failed"))[1]
	w.exited(3)
	return status
}

// kill kills the worker with SIGKILL, and waits until the kernel has released its resources.
func (w *worker) kill() {
	w.t.Helper()
	require.NoError(w.t, killProcess(w.cmd.Process))
	require.Equal(w.t, syscall.SIGKILL, w.deathSignal())
}

func (w *worker) signal(s syscall.Signal) {
	w.t.Helper()
	require.NoError(w.t, w.cmd.Process.Signal(s))
}

// deathSignal waits for the end of the worker, and returns the signal; 0 if it ended by itself.
func (w *worker) deathSignal() syscall.Signal {
	w.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(patience):
		w.fail("does not end")
	}
	return deathSignalOf(w.cmd.ProcessState)
}

func (w *worker) exited(code int) {
	w.t.Helper()
	if signal := w.deathSignal(); signal != 0 || w.cmd.ProcessState.ExitCode() != code {
		w.fail("ended with %v, expected exit code %d", w.cmd.ProcessState, code)
	}
}

// close makes the worker close and exit.
func (w *worker) close() {
	w.t.Helper()
	w.ask("close", "closed")
	w.send("exit")
	w.exited(0)
}

// summary is a line of key=value pairs.
type summary map[string]string

func parseSummary(line string) summary {
	s := summary{}
	for _, field := range strings.Fields(line) {
		key, value, _ := strings.Cut(field, "=")
		s[key] = value
	}
	return s
}

func (s summary) number(t testing.TB, key string) uint64 {
	t.Helper()
	var n uint64
	_, err := fmt.Sscan(s[key], &n)
	require.NoError(t, err, "%s in %v", key, s)
	return n
}

// write makes a producer write n messages. All of them must succeed.
func (w *worker) write(n int) summary {
	w.t.Helper()
	w.send(fmt.Sprintf("write %d", n))
	return w.wrote(n)
}

// wrote waits until a producer has written n messages. All of them must have succeeded.
func (w *worker) wrote(n int) summary {
	w.t.Helper()
	s := parseSummary(w.expect("wrote="))
	if s["end"] != "OK" || s["wrote"] != fmt.Sprint(n) {
		w.fail("wrote %v, expected %d", s, n)
	}
	return s
}

// read makes a consumer read n messages. All of them must be right.
func (w *worker) read(n int) summary {
	w.t.Helper()
	s := parseSummary(w.ask(fmt.Sprintf("read %d", n), "read="))
	if s["end"] != "OK" || s["read"] != fmt.Sprint(n) || s["bad"] != "0" {
		w.fail("read %v, expected %d good ones", s, n)
	}
	return s
}

// message is a message that a consumer echoed, or that a producer reported as committed.
type message struct {
	id, salt, missed uint64
	good             bool
}

// messages returns all echoed messages that the test has taken so far.
func (w *worker) messages() (all []message) {
	w.t.Helper()
	for _, line := range w.said {
		var m message
		if strings.HasPrefix(line, "message ") {
			_, err := fmt.Sscanf(line, "message %d %d %d %t", &m.id, &m.salt, &m.missed, &m.good)
			require.NoError(w.t, err, line)
			all = append(all, m)
		}
	}
	return all
}

// committed returns all messages that a producer reported as committed.
func (w *worker) committed() (all []message) {
	w.t.Helper()
	for _, line := range w.said {
		m := message{good: true}
		if n, _ := fmt.Sscanf(line, "committed %d %d", &m.id, &m.salt); n == 2 {
			all = append(all, m)
		}
	}
	return all
}

// eventually polls a condition until it holds.
func eventually(t testing.TB, condition func() bool, format string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, fmt.Sprintf(format, args...))
		}
	}
}
