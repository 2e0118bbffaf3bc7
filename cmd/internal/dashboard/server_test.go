package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

const patience = 30 * time.Second

// running is a server of a directory of its own.
type running struct {
	*Server
	t       testing.TB
	base    string
	stop    context.CancelFunc
	ended   chan error
	lines   *lines
	client  *http.Client
	content string // the token
}

// lines are what a server has logged.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) log(format string, arguments ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, fmt.Sprintf(format, arguments...))
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// serve starts a server, on any free port.
func serve(t testing.TB, o Options) *running {
	t.Helper()
	if o.Directory == "" {
		o.Directory = blocksDirectory(t)
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Interval == 0 {
		o.Interval = leastInterval
	}
	logged := &lines{}
	o.Log = logged.log
	server, err := New(o)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	s := &running{Server: server, t: t, base: strings.TrimSuffix(server.Address(), "/"), stop: stop,
		ended: make(chan error, 1), lines: logged, client: &http.Client{Timeout: patience}, content: server.token}
	go func() { s.ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		s.client.CloseIdleConnections()
		select {
		case <-s.ended:
		case <-time.After(patience):
			t.Error("the server does not end")
		}
	})
	return s
}

// ask sends a request and returns the answer with its whole body.
func (s *running) ask(method, path, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.base+path, strings.NewReader(body))
	require.NoError(s.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer, string(content)
}

func (s *running) get(path string, into any) {
	s.t.Helper()
	answer, body := s.ask("GET", path, "")
	require.Equal(s.t, http.StatusOK, answer.StatusCode, body)
	require.NoError(s.t, json.Unmarshal([]byte(body), into), body)
}

// becomes waits until a condition is true.
func becomes(t testing.TB, condition func() bool, what string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		require.True(t, time.Now().Before(deadline), "not within %v: %s", patience, what)
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600))
	open := filepath.Join(dir, "open")
	require.NoError(t, os.WriteFile(open, []byte("0123456789abcdef\n"), 0o600))
	require.NoError(t, os.Chmod(open, 0o604))
	short := filepath.Join(dir, "short")
	require.NoError(t, os.WriteFile(short, []byte("0123456789abcde\n"), 0o600))
	spaced := filepath.Join(dir, "spaced")
	require.NoError(t, os.WriteFile(spaced, []byte("0123456789 abcdef\n"), 0o600))
	for said, o := range map[string]Options{
		"give HOST:PORT":                             {Listen: "7411"},
		"can be reached from other machines":         {Listen: "0.0.0.0:0"},
		"--listen :0 can be reached":                 {Listen: ":0"},
		"--listen [::]:0 can be reached":             {Listen: "[::]:0"},
		"give --token-file, --tls-cert and --tls-ke": {Listen: "0.0.0.0:0", TokenFile: token},
		"belong together":                            {Certificate: token},
		"no such file":                               {TokenFile: filepath.Join(dir, "missing")},
		"every user may use it (mode 604)":           {TokenFile: open},
		"the token has 15 characters":                {TokenFile: short},
		"has a space":                                {TokenFile: spaced},
		"--private needs a token":                    {Private: true},
		"at least 100ms":                             {Interval: time.Millisecond},
		"failed to find any PEM data":                {Certificate: token, Key: token},
	} {
		if o.Listen == "" {
			o.Listen = "127.0.0.1:0"
		}
		s, err := New(o)
		require.Error(t, err, said)
		assert.Contains(t, err.Error(), said)
		assert.Nil(t, s)
	}
}

func TestAPortThatIsInUseIsNamed(t *testing.T) {
	s := serve(t, Options{})
	_, err := New(Options{Directory: s.Directory, Listen: strings.TrimPrefix(s.base, "http://")})
	require.ErrorIs(t, err, datablock.ErrSystem)
	assert.Contains(t, err.Error(), strings.TrimPrefix(s.base, "http://"))
	assert.Contains(t, err.Error(), "address already in use")
}

func TestADirectoryThatIsNotThereIsNamed(t *testing.T) {
	_, err := New(Options{Directory: "/nowhere/at/all", Listen: "127.0.0.1:0"})
	require.ErrorIs(t, err, datablock.ErrNotFound)
}

func TestOnlyOwnNamesAreAnswered(t *testing.T) {
	s := serve(t, Options{})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.base, "http://"))
	require.NoError(t, err)
	for host, status := range map[string]int{
		"127.0.0.1:" + port: 200, "localhost:" + port: 200, "[::1]:" + port: 200, "localhost": 200,
		"localhost:8000": 200, // an SSH tunnel
		"evil.example":   421, "evil.example:" + port: 421, "127.0.0.1.evil.example": 421, "10.0.0.1:" + port: 421,
		"localhost.evil.example:" + port: 421, "localhost.": 421,
	} {
		for _, path := range []string{"/", "/api/v1/blocks", "/metrics", "/api/v1/events", "/main.js"} {
			if status == 200 && path == "/api/v1/events" {
				continue // it does not end
			}
			answer, body := s.ask("GET", path, "", "Host", host)
			assert.Equal(t, status, answer.StatusCode, "%s %s: %s", host, path, body)
		}
	}
}

func TestOtherSitesAreRefused(t *testing.T) {
	s := serve(t, Options{})
	for _, headers := range [][]string{
		{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "http://127.0.0.1:1"},
		{"Origin", strings.Replace(s.base, "http://", "https://", 1)},
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
	} {
		for _, path := range []string{"/api/v1/blocks", "/metrics", "/api/v1/events", "/api/v1/server"} {
			answer, body := s.ask("GET", path, "", headers...)
			assert.Equal(t, http.StatusForbidden, answer.StatusCode, "%v %s", headers, path)
			assert.Contains(t, body, "another site")
			assert.Empty(t, answer.Header.Get("Access-Control-Allow-Origin"))
		}
	}
	answer, _ := s.ask("GET", "/", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest",
		"document")
	assert.Equal(t, http.StatusOK, answer.StatusCode, "a link leads to the page")
	answer, _ = s.ask("GET", "/", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest",
		"iframe")
	assert.Equal(t, http.StatusForbidden, answer.StatusCode)
	answer, _ = s.ask("GET", "/api/v1/blocks", "", "Origin", s.base, "Sec-Fetch-Site", "same-origin")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	answer, _ = s.ask("OPTIONS", "/api/v1/blocks", "", "Origin", s.base)
	assert.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode)
}

func TestEveryAnswerHasThePolicy(t *testing.T) {
	s := serve(t, Options{})
	for _, path := range []string{"/", "/main.js", "/vendor/uPlot.esm.js", "/api/v1/blocks", "/metrics", "/nothing"} {
		answer, _ := s.ask("GET", path, "")
		p := answer.Header.Get("Content-Security-Policy")
		assert.Contains(t, p, "script-src 'self';", path)
		assert.NotContains(t, p, "unsafe", path)
		assert.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"), path)
	}
	for path, status := range map[string]int{"/nothing": 404, "/vendor": 404, "/vendor/": 404, "/vendor/README.md": 404,
		"/api/v1/blocks/none": 404, "/../routes.go": 404, "/index.html/": 404} {
		answer, body := s.ask("GET", path, "")
		assert.Equal(t, status, answer.StatusCode, "%s: %s", path, body)
	}
}

// reads is the number of readings that the server has made.
func (s *running) reads() uint64 {
	s.sampler.mu.Lock()
	defer s.sampler.mu.Unlock()
	return s.sampler.readings
}

// stream opens an event stream.
func (s *running) stream(path string) (*http.Response, *bufio.Reader) {
	s.t.Helper()
	client := &http.Client{}
	answer, err := client.Get(s.base + path)
	require.NoError(s.t, err)
	s.t.Cleanup(func() {
		_ = answer.Body.Close()
		client.CloseIdleConnections()
	})
	return answer, bufio.NewReader(answer.Body)
}

// next is the next event of a stream.
func next(t testing.TB, r *bufio.Reader) (kind string, data []byte) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		if text, ok := strings.CutPrefix(line, "event: "); ok {
			kind = strings.TrimSpace(text)
		}
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			return kind, []byte(text)
		}
	}
}

func TestBlocksAreReadOnlyWhileAClientLooks(t *testing.T) {
	s := serve(t, Options{})
	var about aboutJSON
	s.get("/api/v1/server", &about)
	_, _ = s.ask("GET", "/", "")
	assert.Zero(t, s.reads(), "the page alone reads nothing")
	s.get("/api/v1/blocks", &blocksJSON{})
	assert.EqualValues(t, 1, s.reads())

	answer, events := s.stream("/api/v1/events")
	_, other := s.stream("/api/v1/events")
	for range 3 {
		next(t, events)
		next(t, other)
	}
	assert.LessOrEqual(t, s.reads(), uint64(6), "two streams share the readings")
	_ = answer.Body.Close()
	before := s.reads()
	next(t, other)
	next(t, other)
	assert.Greater(t, s.reads(), before, "the other stream goes on")
	s.t.Log("readings:", s.reads())
}

func TestNoReadingAfterTheLastStream(t *testing.T) {
	s := serve(t, Options{})
	answer, events := s.stream("/api/v1/events")
	next(t, events)
	_ = answer.Body.Close()
	becomes(t, func() bool {
		s.sampler.mu.Lock()
		defer s.sampler.mu.Unlock()
		return len(s.sampler.watchers) == 0
	}, "the server notices that the client has gone")
	becomes(t, func() bool {
		before := s.reads()
		time.Sleep(3 * leastInterval)
		return s.reads() == before
	}, "nothing is read any more")
}

func TestTheServerEndsAtOnceWithOpenStreams(t *testing.T) {
	s := serve(t, Options{})
	_, events := s.stream("/api/v1/events")
	next(t, events)
	s.stop()
	for {
		kind, _ := next(t, events)
		if kind == "end" {
			break
		}
	}
	_, err := io.ReadAll(events)
	require.NoError(t, err)
	err = <-s.ended
	s.ended <- err
	require.NoError(t, err)
	_, err = net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
	require.Error(t, err, "the port is closed")
}

func TestStreamsAreBounded(t *testing.T) {
	s := serve(t, Options{})
	for range streamsMost {
		answer, _ := s.stream("/api/v1/events")
		require.Equal(t, http.StatusOK, answer.StatusCode)
	}
	answer, body := s.ask("GET", "/api/v1/events", "")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	assert.Contains(t, body, "close a page")
	assert.NotEmpty(t, answer.Header.Get("Retry-After"))
	s.get("/api/v1/blocks", &blocksJSON{})
}

// TestAClientThatTakesNoEventsIsCutOff: its stream ends when the buffers of the system are full.
func TestAClientThatTakesNoEventsIsCutOff(t *testing.T) {
	dir := blocksDirectory(t)
	for i := range 300 {
		p, err := datablock.OpenProducer(fmt.Sprintf("block%03d", i), config(dir))
		require.NoError(t, err)
		require.NoError(t, p.Close())
	}
	s := serve(t, Options{Directory: dir})
	deaf, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
	require.NoError(t, err)
	defer deaf.Close()
	_, err = deaf.Write([]byte("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	require.NoError(t, err)
	watchers := func() int {
		s.sampler.mu.Lock()
		defer s.sampler.mu.Unlock()
		return len(s.sampler.watchers)
	}
	becomes(t, func() bool { return watchers() == 1 }, "the stream is open")
	becomes(t, func() bool { return watchers() == 0 }, "the server gives the client up")
}

// TestSlowClientsAreCutOff: a client that never ends its header loses its connection, and so does a
// client whose header is too large.
func TestSlowClientsAreCutOff(t *testing.T) {
	s := serve(t, Options{})
	address := strings.TrimPrefix(s.base, "http://")
	slow, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer slow.Close()
	_, err = slow.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "))
	require.NoError(t, err)
	require.NoError(t, slow.SetReadDeadline(time.Now().Add(patience)))
	_, err = io.ReadAll(slow)
	require.NoError(t, err, "the server closes the connection")

	large, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer large.Close()
	go func() {
		_, _ = large.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + strings.Repeat("x", 64<<10) +
			"\r\n\r\n"))
	}()
	line, err := bufio.NewReader(large).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, line, "431")
}
