package command

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
	"datablock/cmd/internal/pulse"
)

// blocksIn is a directory for the blocks of other processes.
func blocksIn(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "datablock-watch-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// start starts a process that writes or reads blocks.
func start(t *testing.T, dir string, plan pulse.Plan) *exec.Cmd {
	t.Helper()
	plan.Directory = dir
	return pulse.Start(t, os.Args[0], plan)
}

// TestWatchingChangesNoByte: a producer and a consumer are attached, and do nothing.
func TestWatchingChangesNoByte(t *testing.T) {
	dir := blocksIn(t)
	start(t, dir, pulse.Plan{Produce: []string{"x"}, Schema: true, Count: 1, Every: time.Millisecond})
	start(t, dir, pulse.Plan{Consume: "x", Delivery: datablock.Lossless, Name: "log"})
	before := ""
	require.Eventually(t, func() bool { // both have done what they do
		last := before
		before = files(t, dir)
		metrics, rows, err := datablock.ReadMetrics("x", dir)
		return err == nil && metrics.Written == 1 && len(rows) == 2 && rows[1].Read == 1 && last == before
	}, 20*time.Second, 200*time.Millisecond)
	for _, watch := range []string{"top --once --interval 20ms", "top x --once --json --interval 20ms",
		"top --once --csv --interval 20ms", "rate x --window 20ms --count 2",
		"check --max-lag 50ms --max-lag-messages 0 --max-idle 50ms --min-rate 0 --window 50ms --producer-alive"} {
		_, said := tool(t, append(strings.Fields(watch), "--directory", dir)...)
		assert.True(t, before == files(t, dir), "%s changed a byte: %s", watch, said)
	}
	screen := onScreen(t, dir, 80, 24, "--interval", "50ms")
	screen.wait(`(?m)^▸x +Reading `)
	screen.press("Enter")
	screen.wait(`(?m)^message 0, `)
	screen.press("g")
	screen.wait(`(?m)^count: `)
	assert.True(t, before == files(t, dir), "the messages were looked at")
}

func TestRateMeasuresTheTimeBetweenMessages(t *testing.T) {
	dir := blocksIn(t)
	start(t, dir, pulse.Plan{Produce: []string{"x"}, Every: 2 * time.Millisecond})
	start(t, dir, pulse.Plan{Produce: []string{"stamped"}, Every: 2 * time.Millisecond, Flags: datablock.Timestamp})
	for _, block := range []string{"x", "stamped"} {
		code, said := tool(t, "rate", block, "--count", "3", "--window", "200ms", "--json", "--directory", dir)
		require.Equal(t, exitOK, code, said)
		lines := strings.Split(strings.TrimSpace(said), "\n")
		require.Len(t, lines, 4)
		for i, line := range lines {
			var r rateJSON
			require.NoError(t, json.Unmarshal([]byte(line), &r))
			assert.Equal(t, i == 3, r.Kind == "summary")
			require.Positive(t, r.Messages)
			assert.InEpsilon(t, float64(r.Messages)/r.Seconds, r.Rate, 1e-9)
			assert.Equal(t, block == "stamped", r.Exact)
			if r.Periods > 0 { // of a busy machine nothing is sure but the order
				assert.LessOrEqual(t, *r.MinMs, *r.MeanMs)
				assert.LessOrEqual(t, *r.MeanMs, *r.MaxMs)
				assert.LessOrEqual(t, *r.P99Ms, *r.MaxMs)
				assert.GreaterOrEqual(t, *r.P99Ms, *r.MinMs)
				assert.LessOrEqual(t, *r.JitterMs, *r.MaxMs)
			}
		}
		var whole rateJSON
		require.NoError(t, json.Unmarshal([]byte(lines[3]), &whole))
		assert.InEpsilon(t, 8*whole.Rate, whole.ByteRate, 0.2, "a message has 8 bytes")
	}
	code, said := tool(t, "rate", "x", "--count", "2", "--window", "50ms", "--csv", "--directory", dir)
	require.Equal(t, exitOK, code, said)
	rows, err := csv.NewReader(strings.NewReader(said)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 4)
	assert.Equal(t, rateColumns, rows[0])
	assert.Equal(t, []string{"window", "window", "summary"}, []string{rows[1][0], rows[2][0], rows[3][0]})
}

func TestRateEndsWithASummary(t *testing.T) {
	dir := blocksIn(t)
	producer := start(t, dir, pulse.Plan{Produce: []string{"x"}, Every: time.Millisecond})
	for _, ends := range []func(c *exec.Cmd){
		func(c *exec.Cmd) { _ = c.Process.Signal(os.Interrupt) },
		func(*exec.Cmd) {
			_ = producer.Process.Kill()
			_, _ = producer.Process.Wait()
			require.NoError(t, datablock.Unlink("x", dir, datablock.Force))
		},
	} {
		c := exec.Command(os.Args[0], "rate", "x", "--window", "50ms", "--directory", dir)
		c.Env = append(os.Environ(), "DATABLOCK_TEST_TOOL=1")
		var out, errOut bytes.Buffer
		output, err := c.StdoutPipe()
		require.NoError(t, err)
		c.Stderr = &errOut
		require.NoError(t, c.Start())
		stop := time.AfterFunc(30*time.Second, func() { _ = c.Process.Kill() })
		for strings.Count(out.String(), "\n") < 4 {
			part := make([]byte, 4096)
			n, err := output.Read(part)
			require.NoError(t, err)
			out.Write(part[:n])
		}
		ends(c)
		_, _ = out.ReadFrom(output)
		err = c.Wait()
		stop.Stop()
		assert.Regexp(t, `(?m)^\d+ messages of block "x" in .*: .* messages/s, .*/s$`, out.String())
		assert.Regexp(t, `(?m)^period: min .*, mean .*, p99 .*, max .*, jitter `, out.String())
		if err != nil {
			assert.Equal(t, exitMissing, c.ProcessState.ExitCode())
			assert.Contains(t, errOut.String(), `no block "x"`)
		}
	}
	code, said := tool(t, "rate", "x", "--directory", dir)
	assert.Equal(t, exitMissing, code)
	assert.Contains(t, said, `no block "x"`)
}

func TestCheckComparesWithEachLimit(t *testing.T) {
	dir := blocksIn(t)
	producer := start(t, dir, pulse.Plan{Produce: []string{"x", "stamped"}, Every: 5 * time.Millisecond, Slots: 8})
	start(t, dir, pulse.Plan{Consume: "x", Delivery: datablock.Ordered, Name: "stuck"}) // reads once
	check := func(expected int, said string, args ...string) {
		t.Helper()
		code, out := tool(t, append(append([]string{"check"}, args...), "--directory", dir)...)
		assert.Equal(t, expected, code, "%v: %s", args, out)
		assert.Regexp(t, said, out)
	}
	check(exitOK, `^OK stamped: live, .*\nOK x: live, .*living consumers 1, .*\n$`)
	check(exitOK, `^OK x: live`, "x", "--producer-alive", "--min-consumers", "1", "--max-idle", "10s",
		"--min-rate", "1", "--window", "200ms")
	check(exitOK, `^OK stamped: .*lag 0 \(0\)`, "stamped", "--max-lag", "0s", "--max-lag-messages", "0")
	check(exitProblems, `PROBLEM x: consumer "stuck" \(row 1, pid \d+\) has yet to read \d+ messages, more than 3`, "x",
		"--max-lag-messages", "3")
	check(exitProblems, `PROBLEM x: consumer "stuck" .* a message that is (at least )?.* old, more than 50ms`, "x",
		"--max-lag", "50ms")
	check(exitProblems, `^PROBLEM x: .* messages/s, less than 1e\+06\n$`, "x", "--min-rate", "1e6", "--window", "50ms")
	check(exitProblems, `living consumers: 1, less than 2`, "x", "--min-consumers", "2")
	check(exitProblems, `^PROBLEM nobody: no block "nobody".*\nOK x: `, "x", "nobody")
	check(exitUsage, `has a character other than`, "x", "no body")
	check(exitUsage, `--max-lag=-1s: more than 0s`, "--max-lag=-1s")
	check(exitUsage, `--min-rate=NaN`, "--min-rate", "nan")
	check(exitOK, `^OK x: .* \| rate=[0-9.e+]+;1: lag=\d+; lag_time=[0-9.e+-]+s;|U; idle=[0-9.e+-]+s;10 consumers=1\n$`,
		"x", "--perfdata", "--min-rate", "1", "--max-idle", "10s", "--window", "50ms")
	check(exitOK, `lag_ms`, "--json")

	start(t, dir, pulse.Plan{Consume: "x", Delivery: datablock.Lossless, Name: "holds it up"})
	require.Eventually(t, func() bool {
		metrics, _, err := datablock.ReadMetrics("x", dir)
		return err == nil && metrics.Waiting > 0
	}, 20*time.Second, time.Millisecond)
	check(exitProblems, `PROBLEM x: the newest message is .* old, more than 300ms`, "x", "--max-idle", "300ms",
		"--producer-alive")
	require.NoError(t, producer.Process.Signal(syscall.SIGSTOP))
	check(exitProblems, `PROBLEM x: the newest message is .* old, more than 100ms`, "x", "--max-idle", "100ms",
		"--producer-alive")
	require.NoError(t, producer.Process.Kill())
	_, _ = producer.Process.Wait()
	check(exitProblems, `PROBLEM x: no living producer: dead producer`, "x", "--producer-alive")
	require.NoError(t, os.Truncate(dir+"/x", 5000))
	check(exitProblems, `PROBLEM x: .*truncated`, "x")
	code, _ := tool(t, "check", "--directory", dir+"/nowhere")
	assert.Equal(t, exitMissing, code)
}

func TestCheckIsDecidedAtOnceByTheTimesOfTheBlock(t *testing.T) {
	dir := blocksIn(t)
	start(t, dir, pulse.Plan{Produce: []string{"x"}, Every: time.Millisecond, Flags: datablock.Timestamp, Count: 5})
	start(t, dir, pulse.Plan{Consume: "x", Delivery: datablock.Lossless, Name: "stuck"})
	require.Eventually(t, func() bool { // one more sample, even a minute long, would not be decided before
		code, said := tool(t, "check", "x", "--max-lag", "1h", "--max-idle", "1h", "--directory", dir)
		return assert.Equal(t, exitOK, code, said) && regexp.MustCompile(`lag 4 \(`).MatchString(said)
	}, 20*time.Second, time.Millisecond)
}

func TestTopForPrograms(t *testing.T) {
	dir := blocksIn(t)
	start(t, dir, pulse.Plan{Produce: []string{"x"}, Every: time.Millisecond, Schema: true})
	start(t, dir, pulse.Plan{Consume: "x", Delivery: datablock.Lossless, Every: 5 * time.Millisecond,
		Name: "a\x1b[31mb"})
	code, said := tool(t, "top", "--once", "--json", "--interval", "200ms", "--directory", dir)
	require.Equal(t, exitOK, code, said)
	var j topJSON
	require.NoError(t, json.Unmarshal([]byte(said), &j))
	assert.Equal(t, dir, j.Directory)
	require.Len(t, j.Blocks, 1)
	b := j.Blocks[0]
	assert.Equal(t, []string{"x", "live", "Reading", "RING"}, []string{b.Name, b.State, b.Schema, b.Policy})
	require.NotNil(t, b.Rate)
	assert.Positive(t, *b.Rate)
	require.Len(t, b.Consumers, 1)
	assert.Equal(t, "a?[31mb", b.Consumers[0].Name)
	assert.Equal(t, "LOSSLESS", b.Consumers[0].Delivery)

	code, said = tool(t, "top", "--once", "--csv", "--interval", "50ms", "--directory", dir)
	require.Equal(t, exitOK, code, said)
	rows, err := csv.NewReader(strings.NewReader(said)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 3)
	assert.Equal(t, topColumns, rows[0])
	assert.Equal(t, []string{"block", "consumer"}, []string{rows[1][1], rows[2][1]})

	code, said = tool(t, "top", "--once", "--interval", "50ms", "--directory", dir)
	require.Equal(t, exitOK, code)
	assert.Regexp(t, `(?m)^ x +Reading +RING `, said)
	assert.NotContains(t, said, "\x1b")
	for said, args := range map[string][]string{
		"top needs a terminal: elsewhere say --once, --json or --csv": {"top"},
		"--interval=1ms: at least 10ms":                               {"top", "--once", "--interval", "1ms"},
		"--csv and --json: give one of the two":                       {"top", "--csv", "--json"},
	} {
		code, out := tool(t, append(args, "--directory", dir)...)
		assert.Equal(t, exitUsage, code)
		assert.Contains(t, out, said)
	}
}
