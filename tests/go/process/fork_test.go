//go:build !windows

package process_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"datablock/internal/core/recovery"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forForkers runs a scenario for each language whose programs can fork, with another language as
// the partner. A Go program cannot fork without exec.
func forForkers(t *testing.T, forkers []string, scenario func(t *testing.T, forker, other string)) {
	pairs := cast(taking(languages, turnOf(t)), turnOf(t))
	if everyPair {
		pairs = allPairs()
	}
	pairs = slices.DeleteFunc(pairs, func(p pair) bool { return !slices.Contains(forkers, p[0]) })
	runPairs(t, pairs, scenario)
}

// TestForkedChildKeepsNoRow: the child inherits all descriptors of its parent except the locks,
// which the library's fork handler closes in the child.
func TestForkedChildKeepsNoRow(t *testing.T) {
	forForkers(t, []string{"c", "cpp", "python", "rust"}, func(t *testing.T, forker, other string) {
		b := newFixture(t)
		p := b.producer(other)
		c := b.consumer(forker, "lossless")
		holdUp(p, c)
		child := killStray(t, c.ask("fork", "forked"))
		c.ask("check", "checked 0") // the parent still works
		c.kill()
		p.write(5 * ring)
		assert.True(t, recovery.ProcessAlive(uint64(child)), "the child was there all the time")
		p.close()
		b.leavesNothing()
	})
}

func TestForkedChildOfAProducerKeepsNoBlock(t *testing.T) {
	forForkers(t, []string{"c", "cpp", "python", "rust"}, func(t *testing.T, forker, other string) {
		b := newFixture(t)
		p := b.producer(forker)
		p.write(3)
		child := killStray(t, p.ask("fork", "forked"))
		assert.NotContains(t, b.mapped(child), block, "the memory that its parent writes to")
		p.write(3)
		p.ask("claim", "claimed 6")
		p.kill()
		q := b.producer(other)
		assert.EqualValues(t, 6, q.write(1).number(t, "first"))
		assert.True(t, recovery.ProcessAlive(uint64(child)), "the child was there all the time")
		q.close()
		b.leavesNothing()
	})
}

// TestRawClonedChildKeepsTheRow: the library does not know of the child. The child could still
// read, so the row stays taken until the child ends, and the diagnosis shows it.
func TestRawClonedChildKeepsTheRow(t *testing.T) {
	forForkers(t, []string{"c", "cpp", "rust"}, func(t *testing.T, forker, other string) {
		b := newFixture(t)
		p := b.producer(other, "--timeout=200")
		c := b.consumer(forker, "lossless")
		holdUp(p, c)
		child := killStray(t, c.ask("clone", "forked"))
		c.kill()
		b.isHeldUp(p, c)
		assert.NoError(t, syscall.Kill(child, syscall.SIGKILL))
		p.write(5 * ring)
		p.close()
		b.leavesNothing()
	})
}

func TestCallsInAForkedChildAreRefused(t *testing.T) {
	forForkers(t, []string{"c", "cpp", "python", "rust"}, func(t *testing.T, forker, _ string) {
		b := newFixture(t)
		p, c := b.producer(forker), b.consumer(forker, "lossless")
		p.write(1)
		c.ask("hold", "holding 0")
		for range 3 { // each child must return: no lock of the parent may stay locked in it
			for _, w := range []*worker{p, c} {
				answer := strings.Fields(w.ask("call-in-child", "child"))
				assert.Equal(t, "repairs=refused", answer[len(answer)-1])
				assert.Greater(t, len(answer), 6, "calls")
				for i, status := range answer[1 : len(answer)-1] {
					assert.Equal(t, "FORKED", status, "call %d in the child of %s", i, w.what)
				}
			}
		}
		assert.True(t, strings.HasSuffix(c.ask("check", "checked"), "true"), "the parent is none the worse for it")
		c.ask("release", "released 0")
		p.write(3)
		c.read(3)
		p.close()
		c.close()
		b.leavesNothing()
	})
}

// TestMultiprocessingChildTakesPart: a spawned child attaches by itself. A forked child gets an
// error with the reason.
func TestMultiprocessingChildTakesPart(t *testing.T) {
	forForkers(t, []string{"python"}, func(t *testing.T, python, other string) {
		b := newFixture(t)
		p := b.producer(other)
		c := b.consumer(python, "lossless")
		p.write(3)
		for _, method := range []string{"spawn", "forkserver"} {
			s := parseSummary(c.ask("multiprocess-"+method, "read="))
			assert.Equal(t, "OK", s["end"], method)
			assert.Equal(t, "0", s["first"], method)
			assert.Equal(t, "0", s["bad"], method)
		}
		assert.Contains(t, c.ask("multiprocess-fork", "failed FORKED"), "spawn", "the error says what to do")
		c.read(3)
		p.close()
		c.close()
		b.leavesNothing()
	})
}

func TestExecutedChildrenKeepNothing(t *testing.T) {
	for _, how := range []struct{ language, command string }{
		{"c", "spawn"}, {"c", "system"}, {"cpp", "spawn"}, {"cpp", "system"}, {"go", "spawn"}, {"python", "spawn"},
		{"python", "system"}, {"rust", "spawn"}, {"rust", "system"},
	} {
		t.Run(how.language+"_"+how.command, func(t *testing.T) {
			if why := missing[how.language]; why != "" {
				t.Skipf("NOT SHOWN: %s", why)
			}
			b := newFixture(t)
			p, c := b.producer(how.language), b.consumer(how.language, "lossless")
			holdUp(p, c)
			for _, w := range []*worker{c, p} {
				child := killStray(t, w.ask(how.command, "forked"))
				eventually(t, func() bool { return executable(child) == "sleep" }, "pid %d runs the other program",
					child)
				assert.Empty(t, append(b.opened(child), b.mapped(child)...))
				w.kill()
				if w == c {
					p.write(ring)
				}
			}
			b.producer(how.language).close()
			b.leavesNothing()
		})
	}
}

func executable(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(name))
}

// opened returns the files of the block for which a process has descriptors. mapped returns the
// mapped files.
func (b *fixture) opened(pid int) (found []string) {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if path, err := os.Readlink(link); err == nil && strings.HasPrefix(path, b.dir) {
			found = append(found, filepath.Base(path))
		}
	}
	return found
}

func (b *fixture) mapped(pid int) (found []string) {
	b.t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	require.NoError(b.t, err)
	for _, line := range strings.Split(string(maps), "\n") {
		if at := strings.Index(line, b.dir); at >= 0 {
			found = append(found, filepath.Base(line[at:]))
		}
	}
	return found
}

// TestWriteToAPayloadFaults: the kernel ends a consumer that writes to a payload, and the message
// does not change.
func TestWriteToAPayloadFaults(t *testing.T) {
	for _, delivery := range []string{"lossless", "ordered", "latest"} {
		t.Run(delivery, func(t *testing.T) {
			forPairs(t, func(t *testing.T, producer, consumer string) {
				b := newFixture(t)
				p := b.producer(producer)
				careful, careless := b.consumer(producer, "lossless"), b.consumer(consumer, delivery)
				p.write(1)
				careless.ask("hold", "holding 0")
				careless.send("smash")
				if careless.deathSignal() != syscall.SIGSEGV { // the Go runtime turns it into a fatal error
					careless.exited(2)
					assert.Contains(t, careless.errors.String(), "SIGSEGV")
				}
				assert.NotContains(t, careless.rest(), "smashed 0")
				careful.read(1)
				careful.send("read 0")
				p.write(5 * ring)
				p.close()
				careful.expect("read=")
				careful.close()
				b.leavesNothing()
			})
		})
	}
}
