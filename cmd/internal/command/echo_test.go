package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

const poseText = `struct Point { x: f32; y: f32; }
schema Pose 1.0.0 { time: u64; at: Point; points: Point[2]; name: char[8]; }`

type point struct{ X, Y float32 }

type pose struct {
	Time   uint64
	At     point
	Points [2]point
	Name   [8]byte
}

func poseAt(n int) *pose {
	p := &pose{Time: uint64(n), At: point{float32(n), 0.5}, Points: [2]point{{1, 2}, {3, 4}}}
	copy(p.Name[:], "arm\x1b")
	return p
}

const poseJSON = `"message":{"time":7,"at":{"x":7,"y":0.5},"points":[{"x":1,"y":2},{"x":3,"y":4}],` +
	`"name":"arm\u001b"}}`

// blockWith makes a block "p" with a ring of eight messages.
func blockWith(t *testing.T, dir, schema string, change func(*datablock.Config)) *datablock.Producer {
	t.Helper()
	config := datablock.DefaultConfig(datablock.Ring)
	config.Directory = dir
	if schema != "" {
		var err error
		config.Schema, err = datablock.ParseSchema(schema)
		require.NoError(t, err)
	} else {
		config.SlotSize = 64
	}
	if change != nil {
		change(&config)
	}
	p, err := datablock.OpenProducer("p", config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "datablock-echo-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func send(t *testing.T, p *datablock.Producer, message []byte) {
	t.Helper()
	s, err := p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, p.Commit(s, copy(s.Data(), message)))
}

func sendPose(t *testing.T, p *datablock.Producer, n int) {
	t.Helper()
	s, err := p.Claim(0)
	require.NoError(t, err)
	to, err := datablock.As[pose](s.Data())
	require.NoError(t, err)
	*to = *poseAt(n)
	require.NoError(t, p.Commit(s, 40))
}

func TestEchoShowsDecodedMessages(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, poseText, nil)
	for n := 5; n < 8; n++ {
		sendPose(t, p, n)
	}
	header := "id,time,length,"
	for _, c := range []struct{ args, want string }{
		{"", "--- message 2, 40 bytes\ntime: 7\nat:\n  x: 7\n  y: 0.5\npoints[0]:\n  x: 1\n  y: 2\npoints[1]:\n" +
			"  x: 3\n  y: 4\nname: \"arm\\x1b\"\n"},
		{"--json", `{"id":2,"length":40,` + poseJSON + "\n"},
		{"--from oldest --field at.x --field name", "0  at.x: 5  name: \"arm\\x1b\"\n"},
		{"--from oldest --count 2 --field at.x", "0  at.x: 5\n1  at.x: 6\n"},
		{"--field at", "--- message 2, 40 bytes\nat:\n  x: 7\n  y: 0.5\n"},
		{"--json --field at --field points[1].y",
			`{"id":2,"length":40,"fields":{"at":{"x":7,"y":0.5},"points[1].y":4}}` + "\n"},
		{"--csv", header + "time,at.x,at.y,points[0].x,points[0].y,points[1].x,points[1].y,name\n" +
			"2,,40,7,7,0.5,1,2,3,4,arm\\u001b\n"},
		{"--csv --field points[1] --field time", header + "points[1].x,points[1].y,time\n2,,40,3,4,7\n"},
		{"--csv --hex --field name", header + "name\n2,,40,61726d1b00000000\n"},
		{"--json --hex --field at.y", `{"id":2,"length":40,"fields":{"at.y":"0000003f"}}` + "\n"},
		{"--hex --field name", "--- message 2, 40 bytes\nname:\n  000000  61 72 6d 1b 00 00 00 00" +
			strings.Repeat(" ", 26) + "arm.....\n"},
	} {
		args := append([]string{"echo", "p", "--directory", dir}, strings.Fields(c.args)...)
		if !strings.Contains(c.args, "--count") {
			args = append(args, "--count", "1")
		}
		code, out, errOut := admin(args...)
		assert.Equal(t, exitOK, code, errOut)
		assert.Equal(t, c.want, out, c.args)
		assert.Empty(t, errOut)
	}
}

func TestEchoWithoutASchemaShowsBytes(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, "", func(c *datablock.Config) { c.Flags |= datablock.Timestamp })
	send(t, p, []byte("hello \x1b[0m"))
	echo := func(more ...string) string {
		code, out, errOut := admin(append([]string{"echo", "p", "--directory", dir, "--count", "1"}, more...)...)
		require.Equal(t, exitOK, code, errOut)
		return out
	}
	assert.Regexp(t, `^--- message 0, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}, 10 bytes\n`+
		`000000  68 65 6c 6c 6f 20 1b 5b 30 6d {20}hello \.\[0m\n$`, echo())
	assert.Regexp(t, `^\{"id":0,"time":"[-0-9T:.]+Z","length":10,"message":"aGVsbG8gG1swbQ=="\}\n$`, echo("--json"))
	assert.Regexp(t, `^id,time,length,hex\n0,[-0-9T:.]+Z,10,68656c6c6f201b5b306d\n$`, echo("--csv"))
	assert.Contains(t, echo("--json", "--hex"), `"hex":"68656c6c6f201b5b306d"}`)
	code, _, errOut := admin("echo", "p", "--directory", dir, "--field", "a")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, "--field: \"a\": the block has no schema")
}

func TestEchoShowsTheBytesAfterTheStruct(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, "schema S { a: u8; }", func(c *datablock.Config) { c.SlotSize = 64 })
	send(t, p, []byte{1, 2, 3})
	_, out, _ := admin("echo", "p", "--directory", dir, "--count", "1", "--json")
	assert.Equal(t, `{"id":0,"length":3,"message":{"a":1},"rest":"0203"}`+"\n", out)
	_, out, _ = admin("echo", "p", "--directory", dir, "--count", "1")
	assert.Equal(t, "--- message 0, 3 bytes\na: 1\n… 2 bytes after the struct: 02 03\n", out)
}

// gate is an output that blocks at its first write until it is opened.
type gate struct {
	bytes.Buffer
	arrived, open chan struct{}
	once          bool
}

func (g *gate) Write(b []byte) (int, error) {
	if !g.once {
		g.once = true
		close(g.arrived)
		<-g.open
	}
	return g.Buffer.Write(b)
}

func TestEchoSaysWhatItMissed(t *testing.T) {
	for _, json := range []bool{false, true} {
		dir := sharedDir(t)
		p := blockWith(t, dir, poseText, nil)
		sendPose(t, p, 0)
		args := []string{"echo", "p", "--directory", dir, "--count", "2", "--field", "time"}
		if json {
			args = append(args, "--json")
		}
		out := &gate{arrived: make(chan struct{}), open: make(chan struct{})}
		var errOut bytes.Buffer
		done := make(chan int)
		go func() { done <- run(args, out, &errOut) }()
		<-out.arrived
		for n := 1; n < 22; n++ {
			sendPose(t, p, n)
		}
		close(out.open)
		require.Equal(t, exitOK, <-done)
		if json {
			assert.Equal(t, `{"id":0,"length":40,"fields":{"time":0}}`+"\n"+
				`{"event":"missed","count":13,"text":"13 messages missed"}`+"\n"+
				`{"id":14,"length":40,"fields":{"time":14}}`+"\n", out.String())
			assert.Empty(t, errOut.String())
		} else {
			assert.Equal(t, "0  time: 0\n14  time: 14\n", out.String())
			assert.Equal(t, "… 13 messages missed\n", errOut.String())
		}
	}
}

func TestEchoWithARateSkipsMessages(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, poseText, nil)
	sendPose(t, p, 0)
	out := &gate{arrived: make(chan struct{}), open: make(chan struct{})}
	var errOut bytes.Buffer
	done := make(chan int)
	go func() {
		done <- run([]string{"echo", "p", "--directory", dir, "--count", "2", "--field", "time", "--rate", "50"}, out,
			&errOut)
	}()
	<-out.arrived
	for n := 1; n < 22; n++ {
		sendPose(t, p, n)
	}
	close(out.open)
	require.Equal(t, exitOK, <-done)
	assert.Equal(t, "0  time: 0\n21  time: 21\n", out.String(), "the newest one, and no complaint")
	assert.Empty(t, errOut.String())
}

func TestEchoEndsWhenNothingComes(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, poseText, nil)
	call := func(args ...string) (int, string, string) {
		return admin(append([]string{"echo", "p", "--directory", dir, "--timeout", "20ms"}, args...)...)
	}
	code, out, errOut := call()
	assert.Equal(t, exitProblems, code)
	assert.Empty(t, out)
	assert.Equal(t, "datablock-admin: block \"p\": no message came for 20ms\n", errOut)
	sendPose(t, p, 1)
	code, out, errOut = call("--field", "time")
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "0  time: 1\n", out)
	assert.Empty(t, errOut)
	code, out, _ = call("--field", "time", "--count", "2")
	assert.Equal(t, exitProblems, code)
	assert.Equal(t, "0  time: 1\n", out)
	code, _, _ = call("--from", "next")
	assert.Equal(t, exitProblems, code)
	code, _, errOut = admin("echo", "q", "--directory", dir, "--timeout", "20ms", "--wait")
	assert.Equal(t, exitMissing, code)
	assert.Contains(t, errOut, `"q"`)
}

// echoRun is echo in its own process. Its output is read line by line.
type echoRun struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Reader
	output io.ReadCloser
	said   bytes.Buffer
}

// startEcho runs echo in its own process.
func startEcho(t *testing.T, dir string, args ...string) *echoRun {
	t.Helper()
	r := &echoRun{t: t, cmd: exec.Command(os.Args[0], append([]string{"echo", "p", "--directory", dir}, args...)...)}
	r.cmd.Env = append(os.Environ(), "DATABLOCK_TEST_TOOL=1")
	r.cmd.Stderr = &r.said
	var err error
	r.output, err = r.cmd.StdoutPipe()
	require.NoError(t, err)
	r.lines = bufio.NewReader(r.output)
	require.NoError(t, r.cmd.Start())
	stop := time.AfterFunc(30*time.Second, func() { _ = r.cmd.Process.Kill() })
	t.Cleanup(func() {
		stop.Stop()
		if r.cmd.ProcessState == nil {
			_ = r.cmd.Process.Kill()
			_ = r.cmd.Wait()
		}
	})
	return r
}

func (r *echoRun) line() string {
	r.t.Helper()
	line, err := r.lines.ReadString('\n')
	require.NoError(r.t, err, r.said.String())
	return strings.TrimSuffix(line, "\n")
}

func (r *echoRun) exitCode() int {
	_ = r.cmd.Wait()
	return r.cmd.ProcessState.ExitCode()
}

func TestEchoFollowsABlockThatComesAndGoes(t *testing.T) {
	dir := sharedDir(t)
	r := startEcho(t, dir, "--json", "--field", "time", "--wait")
	assert.Contains(t, r.line(), `{"event":"waiting",`)
	p := blockWith(t, dir, poseText, nil)
	sendPose(t, p, 1)
	sendPose(t, p, 2)
	assert.Equal(t, `{"id":0,"length":40,"fields":{"time":1}}`, r.line())
	assert.Equal(t, `{"id":1,"length":40,"fields":{"time":2}}`, r.line())

	require.NoError(t, p.Close())
	p = blockWith(t, dir, poseText, nil) // takes the block over
	sendPose(t, p, 3)
	assert.Equal(t, `{"id":2,"length":40,"fields":{"time":3}}`, r.line())

	require.NoError(t, p.Close())
	q := blockWith(t, dir, "schema Other { other: u8; time: u16; }", func(c *datablock.Config) {
		c.Flags |= datablock.Replace
	})
	send(t, q, []byte{0, 0, 4, 0})
	event := r.line()
	assert.Contains(t, event, `{"event":"replaced",`)
	assert.Equal(t, `{"id":0,"length":4,"fields":{"time":4}}`, r.line(), "with its own schema")

	require.NoError(t, q.Close())
	require.NoError(t, datablock.Unlink("p", dir, 0))
	assert.Contains(t, r.line(), `{"event":"removed",`)
	assert.Contains(t, r.line(), `{"event":"waiting",`)
	p = blockWith(t, dir, poseText, nil)
	sendPose(t, p, 5)
	assert.Equal(t, `{"id":0,"length":40,"fields":{"time":5}}`, r.line())

	require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, exitOK, r.exitCode())
	assert.Empty(t, r.said.String())
}

func TestEchoOfARemovedBlockEnds(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, poseText, nil)
	sendPose(t, p, 1)
	r := startEcho(t, dir, "--csv", "--field", "time")
	assert.Equal(t, "id,time,length,time", r.line())
	assert.Equal(t, "0,,40,1", r.line())
	require.NoError(t, p.Close())
	require.NoError(t, datablock.Unlink("p", dir, 0))
	assert.Equal(t, exitMissing, r.exitCode())
	assert.Contains(t, r.said.String(), `block "p" was removed`)
}

func TestEchoKeepsTheColumnsOfACSV(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, poseText, nil)
	sendPose(t, p, 1)
	r := startEcho(t, dir, "--csv")
	assert.Contains(t, r.line(), "id,time,length,time,at.x")
	r.line()
	require.NoError(t, p.Close())
	blockWith(t, dir, "schema Other { other: u8; }", func(c *datablock.Config) { c.Flags |= datablock.Replace })
	assert.Equal(t, exitFailed, r.exitCode())
	assert.Contains(t, r.said.String(), "start again")
}

func TestEchoEndsQuietlyWithItsReader(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, poseText, nil)
	sendPose(t, p, 1)
	r := startEcho(t, dir, "--json")
	assert.Contains(t, r.line(), `{"id":0,`)
	require.NoError(t, r.output.Close())
	ended := make(chan int, 1)
	go func() { ended <- r.exitCode() }()
	for n := 2; ; n++ {
		sendPose(t, p, n)
		select {
		case code := <-ended:
			assert.Equal(t, exitOK, code)
			assert.Empty(t, r.said.String())
			return
		case <-time.After(time.Millisecond):
		}
		require.Less(t, n, 30000, "it still runs")
	}
}

func TestEchoTakesNoRowAndChangesNoByte(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, poseText, nil)
	sendPose(t, p, 1)
	before := files(t, dir)
	r := startEcho(t, dir, "--field", "time")
	assert.Equal(t, "0  time: 1", r.line())
	_, participants, err := datablock.ReadMetrics("p", dir)
	require.NoError(t, err)
	assert.Len(t, participants, 1, "the producer")
	assert.True(t, before == files(t, dir), "while it runs")
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	assert.Equal(t, exitOK, r.exitCode())
	assert.True(t, before == files(t, dir), "after its end")
}

func TestEchoGoesOnAfterADamagedMessage(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, "schema S { text: char[24]; }", func(c *datablock.Config) {
		c.Checksum = datablock.ChecksumEnforced
	})
	for _, text := range []string{"the first message.......", "the second message......", "the third message......."} {
		send(t, p, []byte(text))
	}
	path := filepath.Join(dir, "p")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("THE"), int64(bytes.Index(content, []byte("the second"))))
	require.NoError(t, err)
	code, out, errOut := admin("echo", "p", "--directory", dir, "--from", "oldest", "--count", "2", "--json")
	assert.Equal(t, exitOK, code, errOut)
	lines := strings.Split(out, "\n")
	require.Len(t, lines, 4)
	assert.Contains(t, lines[0], `"text":"the first`)
	var event eventJSON
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &event))
	assert.Equal(t, "unreadable", event.Event)
	assert.Contains(t, event.Text, "do not match their checksum")
	assert.Contains(t, lines[2], `"text":"the third`)
}

func TestEchoReadsABlockWithASecret(t *testing.T) {
	dir := sharedDir(t)
	p := blockWith(t, dir, "schema S { a: u8; }", func(c *datablock.Config) { c.Secret = []byte("open sesame") })
	send(t, p, []byte{9})
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("open sesame\n"), 0o600))
	code, out, errOut := admin("echo", "p", "--directory", dir, "--count", "1", "--field", "a", "--secret-file", secret)
	assert.Equal(t, exitOK, code, errOut)
	assert.Equal(t, "0  a: 9\n", out)
	code, _, _ = admin("echo", "p", "--directory", dir, "--count", "1")
	assert.Equal(t, exitFailed, code)
	code, _, _ = admin("echo", "p", "--directory", dir, "--count", "1", "--secret-file", secret+"x")
	assert.Equal(t, exitUsage, code)
}

func TestEchoRefusesWhatItCannotDo(t *testing.T) {
	dir := sharedDir(t)
	sendPose(t, blockWith(t, dir, poseText, nil), 1)
	for args, want := range map[string]string{
		"--from then":    `--from "then": say oldest, newest or next`,
		"--csv --json":   "choose one of the two",
		"--rate -1":      "--rate -1: messages a second",
		"--rate NaN":     "--rate NaN: messages a second",
		"--rate fast":    "--rate fast: not a number",
		"--count -1":     "--count -1: not a whole number from 0 on",
		"--timeout -1s":  "--timeout -1s: a time from 0s on",
		"--field at.z":   `"at" has no field "z"; it has x, y`,
		"--field=":       "--field: the path is empty",
		"--field points": "",
	} {
		code, out, errOut := admin(append([]string{"echo", "p", "--directory", dir, "--count", "1"},
			strings.Fields(args)...)...)
		if want == "" {
			assert.Equal(t, exitOK, code, errOut)
			continue
		}
		assert.Equal(t, exitUsage, code, "%s: %s", args, errOut)
		assert.Contains(t, errOut, want, args)
		assert.False(t, out != "" && !strings.Contains(args, "--json"), out)
	}
	blockWith(t, dir, "schema Large { a: u8[20000]; }", func(c *datablock.Config) {
		c.Flags |= datablock.Replace | datablock.Force
	})
	code, _, errOut := admin("echo", "p", "--directory", dir, "--csv")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, "more than 16384 values: choose some with --field")
}

func TestFieldsAreCompleted(t *testing.T) {
	dir := sharedDir(t)
	sendPose(t, blockWith(t, dir, poseText, nil), 1)
	assert.Equal(t, []string{"at.x", "at.y"}, offered(t, "echo", "p", "--directory", dir, "--field", "at"))
	assert.Contains(t, offered(t, "echo", "--shm-name", "p", "--directory", dir, "--field", ""), "points[1].y")
	assert.Equal(t, []string{"oldest", "newest", "next"}, offered(t, "echo", "--from", ""))
	assert.Equal(t, []string{"p"}, offered(t, "echo", "--directory", dir, ""))
}
