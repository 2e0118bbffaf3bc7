package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"

	"github.com/stretchr/testify/require"

	"datablock/cmd/internal/pulse"
)

// TestMain: when the tests below start this program again, it is the tool itself.
func TestMain(m *testing.M) {
	pulse.Main()
	if os.Getenv("DATABLOCK_TEST_TOOL") != "" {
		os.Exit(asTool())
	}
	if dir := os.Getenv(asReader); dir != "" {
		os.Exit(holdOne(dir))
	}
	os.Exit(m.Run())
}

// asTool is the tool, except that it crashes after an access next to a block's mapping. The tool
// itself takes every fault for a file that was truncated meanwhile, and says so.
func asTool() int {
	var said bytes.Buffer
	code := run(os.Args[1:], os.Stdout, io.MultiWriter(os.Stderr, &said))
	if fault := faultSaid.FindStringSubmatch(said.String()); fault != nil {
		if at, err := strconv.ParseUint(fault[1], 16, 64); err != nil || besideAMapping(uintptr(at)) {
			panic("an access beside a mapping, at 0x" + fault[1])
		}
	}
	return code
}

// asReader makes the test program a reader of the block in the given directory. The reader holds a
// message until its input ends.
const asReader = "DATABLOCK_TEST_READER"

func holdOne(dir string) int {
	c, err := channel.OpenConsumer("x", segment.ConsumerOptions{Directory: dir, Delivery: segment.Lossless,
		Start: segment.StartOldest, Name: "hung"})
	if err == nil {
		_, err = c.Next(10 * time.Second)
	}
	fmt.Println("holding", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

var faultSaid = regexp.MustCompile(`nothing is at 0x([0-9a-f]+) any more`)

// tool runs datablock-admin in its own process.
func tool(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], args...)
	// the guard: in builds with crash points
	c.Env = append(os.Environ(), "DATABLOCK_TEST_TOOL=1", "DATABLOCK_TEST_GUARD=1", "GOMEMLIMIT=256MiB")
	out, err := c.CombinedOutput()
	require.NoError(t, ctx.Err(), "%v hangs", args)
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), string(out)
}

// TestHostileBlocksThroughTheTools mutates either file 200 times, with and without an attached
// process. No command crashes, and commands that only show change no byte.
func TestHostileBlocksThroughTheTools(t *testing.T) {
	mutations := 200
	if testing.Short() {
		mutations = 20
	}
	looks := [][]string{{"top", "--once", "--interval", "10ms"}, {"rate", "x", "--window", "10ms", "--count", "1"},
		{"check", "--max-lag", "1ms", "--max-idle", "1ms", "--min-rate", "1", "--window", "10ms"},
		{"list"}, {"diagnose", "x"}, {"status", "x"}, {"validate", "x", "--json"},
		{"auto-recover", "x", "--dry-run"}, {"echo", "x", "--from", "oldest", "--count", "3", "--timeout", "20ms"}}
	mends := [][]string{
		{"validate", "x", "--repair", "--yes"}, {"validate", "x", "--repair", "--force", "--yes"},
		{"auto-recover", "x", "--yes"}, {"cleanup-heartbeats", "x", "--timeout", "0s"},
		{"release-zombie-readers", "x", "--slot", "3"}, {"release-zombie-writer", "x", "--slot", "3"}, {"gc"},
		{"unlink", "x", "--force"},
	}
	for seed := range mutations {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		dir, p, c := scene(t)
		if random.IntN(2) == 0 {
			require.NoError(t, p.Close())
			require.NoError(t, c.Close())
		}
		did, cut := mutateFile(t, random, dir)
		before := files(t, dir)
		run := func(command []string) {
			code, said := tool(t, append(command[:len(command):len(command)], "--directory", dir)...)
			require.True(t, code >= 0 && code <= exitFailed && !strings.Contains(said, "goroutine "),
				"seed %d, %s: %v ended with %d: %s", seed, did, command, code, said)
			require.True(t, cut || !faultSaid.MatchString(said), "seed %d, %s: %v touched what it has not mapped: %s",
				seed, did, command, said)
		}
		look := looks[random.IntN(len(looks))]
		run(look)
		require.True(t, before == files(t, dir), "seed %d, %s: %v changed a byte", seed, did, look)
		run(mends[random.IntN(len(mends))])
		quietly(func() { _ = p.Close() })
		quietly(func() { _ = c.Close() })
	}
}

// quietly closes an object that has a truncated file mapped.
func quietly(f func()) {
	debug.SetPanicOnFault(true)
	defer func() {
		r := recover()
		if _, fault := r.(interface{ Addr() uintptr }); r != nil && !fault {
			panic(r)
		}
	}()
	f()
}

// mutateFile changes one of a block's two files in place. cut: the file is shorter now, and earlier
// mappings may have lost pages.
func mutateFile(t *testing.T, random *rand.Rand, dir string) (did string, cut bool) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "x*"))
	require.NoError(t, err)
	require.Len(t, names, 2)
	path, other := names[random.IntN(2)], names[0]
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	at := []int64{random.Int64N(576), random.Int64N(640), 4096 + random.Int64N(600), 8192 + random.Int64N(64),
		random.Int64N(int64(len(content)))}[random.IntN(5)]
	switch random.IntN(5) {
	case 0:
		_, err = f.WriteAt([]byte{content[at] ^ 1<<random.IntN(8)}, at)
		require.NoError(t, err)
		return fmt.Sprintf("a bit at %d of %s", at, path), false
	case 1:
		_, err = f.WriteAt([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}[:min(8, int64(len(content))-at)], at)
		require.NoError(t, err)
		return fmt.Sprintf("2^64 - 1 at %d of %s", at, path), false
	case 2:
		require.NoError(t, f.Truncate(at))
		return fmt.Sprintf("%s cut to %d", path, at), true
	case 3:
		_ = f.Truncate(1 << 62) // where the file system lets it
		return path + " extended to 2^62", false
	}
	b, err := os.ReadFile(other)
	require.NoError(t, err)
	_, err = f.WriteAt(b[:min(len(b), len(content))], 0)
	require.NoError(t, err)
	return path + " overwritten with " + other, false
}

// files returns the beginning of every file, with its size.
func files(t *testing.T, dir string) (all string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		info, err := f.Stat()
		require.NoError(t, err)
		b := make([]byte, min(info.Size(), 1<<17))
		n, _ := f.ReadAt(b, 0)
		all += fmt.Sprint(e.Name(), info.Size(), string(b[:n]))
		_ = f.Close()
	}
	return all
}

func TestValidateRepairsAndExplainsItself(t *testing.T) {
	dir, _, _ := scene(t)
	code, out, _ := admin("validate", "x", "--directory", dir)
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "healthy")
	f, err := os.OpenFile(filepath.Join(dir, "x"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte{65}, 64)
	require.NoError(t, err)
	code, out, _ = admin("validate", "x", "--directory", dir)
	require.Equal(t, exitProblems, code)
	require.Contains(t, out, "byte 64")
	code, _, said := admin("validate", "x", "--repair", "--directory", dir)
	require.Equal(t, exitUsage, code, "nobody can answer")
	require.Contains(t, said, "--yes")
	code, _, _ = admin("validate", "x", "--force", "--directory", dir)
	require.Equal(t, exitUsage, code)
	code, out, _ = admin("auto-recover", "x", "--dry-run", "--directory", dir)
	require.Equal(t, exitProblems, code)
	require.Contains(t, out, "would: repair")
	code, out, _ = admin("validate", "x", "--repair", "--yes", "--json", "--directory", dir)
	require.Equal(t, exitOK, code, out)
	require.Contains(t, out, `"healthy": true`)
	code, out, _ = admin("auto-recover", "x", "--yes", "--directory", dir)
	require.Equal(t, exitOK, code)
	require.Equal(t, "nothing to recover\n", out)
	code, _, _ = admin("validate", "y", "--directory", dir)
	require.Equal(t, exitMissing, code)

	_, err = f.WriteAt([]byte{0xfc, 0xff, 0xff, 0, 0, 0, 0, 0}, 8192) // the entry of message 0
	require.NoError(t, err)
	code, _, said = admin("validate", "x", "--repair", "--yes", "--directory", dir)
	require.Equal(t, exitRefused, code, said)
}
