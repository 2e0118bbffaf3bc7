//go:build !windows

package process_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const attempts = 200

// failsCleanly makes a worker try to open the block very often, without success. Descriptors,
// files, locks and every byte of the block must not change.
func (b *fixture) failsCleanly(l launch, status string) {
	b.t.Helper()
	before := b.snapshot()
	l.args = append(l.args, fmt.Sprintf("--attempts=%d", fewer(attempts, l.language)))
	if l.role == "produce" {
		l.args = b.producerArgs(l.args...)
	}
	w := b.launch(l)
	s := parseSummary(w.expectWithin(6*patience, "attempts="))
	w.exited(0)
	assert.Equal(b.t, status, s["status"])
	assert.Equal(b.t, s["before"], s["after"], "descriptors")
	assert.Equal(b.t, before, b.snapshot())
}

// snapshot returns everything that an error must not change.
func (b *fixture) snapshot() map[string]any {
	b.t.Helper()
	all := map[string]any{}
	for _, name := range b.files() {
		path := filepath.Join(b.dir, name)
		info, err := os.Lstat(path)
		require.NoError(b.t, err)
		all[name] = info.Mode().String()
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			require.NoError(b.t, err)
			all[name] = info.Mode().String() + string(content)
		}
	}
	if _, err := os.Stat(b.dataPath()); err == nil {
		all["locks"] = b.locks()
	}
	return all
}

// attempt opens a block in one language.
type attempt struct{ language string }

func (a attempt) produce(args ...string) launch {
	return launch{language: a.language, role: "produce", args: args}
}

func (a attempt) consume(args ...string) launch {
	return launch{language: a.language, role: "consume", args: args}
}

// crowded makes a block with a living producer and one LOSSLESS consumer. The block has two rows,
// and spare slots for two hazard pointers in all.
func (a attempt) crowded(t *testing.T) *fixture {
	b := newFixture(t)
	p := b.producer(a.language, "--secret=ours", "--limit=2", "--spare=3")
	b.consumer(a.language, "lossless", "--secret=ours")
	p.write(1)
	return b
}

func TestErrorPathsLeaveNothing(t *testing.T) {
	forLanguages(t, func(t *testing.T, language string) {
		a := attempt{language}
		a.refusedByTheBlock(t)
		a.refusedByTheRows(t)
		a.refusedByTheSystem(t)
		a.openedAndClosed(t)
	})
}

func (a attempt) refusedByTheBlock(t *testing.T) {
	t.Run("wrong_secret", func(t *testing.T) {
		b := a.crowded(t)
		b.failsCleanly(a.consume("--secret=theirs"), "SECRET")
		b.failsCleanly(a.consume(), "SECRET")
		b.failsCleanly(a.produce("--secret=theirs", "--limit=2", "--spare=3"), "SECRET")
	})
	t.Run("producer_active", func(t *testing.T) {
		b := a.crowded(t)
		b.failsCleanly(a.produce("--secret=ours", "--limit=2", "--spare=3"), "PRODUCER_ACTIVE")
		b.failsCleanly(a.produce("--secret=ours", "--slots=16", "--flags=replace"), "PRODUCER_ACTIVE")
	})
	t.Run("geometry", func(t *testing.T) {
		b := newFixture(t)
		b.producer(a.language).kill()
		b.failsCleanly(a.produce("--slots=16"), "GEOMETRY")
		b.failsCleanly(a.produce("--slot-size=512"), "GEOMETRY")
	})
	t.Run("invalid", func(t *testing.T) {
		b := newFixture(t)
		b.producer(a.language, "--policy=single", "--slots=1")
		b.failsCleanly(a.consume("--delivery=lossless"), "INVALID")
		b.failsCleanly(a.consume("--pins=9"), "INVALID")
		b.failsCleanly(a.consume("--durable"), "INVALID")
		b.failsCleanly(a.produce("--spare=1"), "INVALID")
	})
}

func (a attempt) refusedByTheRows(t *testing.T) {
	t.Run("not_found", func(t *testing.T) {
		b := newFixture(t)
		b.failsCleanly(a.consume(), "NOT_FOUND")
		missing := *b
		missing.dir = filepath.Join(b.dir, "missing")
		w := missing.launch(launch{language: a.language, role: "produce", args: b.producerArgs()})
		assert.Equal(t, "NOT_FOUND", w.refused())
		assert.Empty(t, b.files())
	})
	t.Run("durable_name_in_use", func(t *testing.T) {
		b := newFixture(t)
		b.producer(a.language)
		b.consumer(a.language, "lossless", "--durable", "--name=log")
		b.failsCleanly(a.consume("--delivery=lossless", "--durable", "--name=log"), "BUSY")
	})
	t.Run("other_delivery_of_a_durable_name", func(t *testing.T) {
		b := newFixture(t)
		b.producer(a.language)
		b.consumer(a.language, "lossless", "--durable", "--name=log").close()
		b.failsCleanly(a.consume("--delivery=ordered", "--durable", "--name=log"), "INVALID")
	})
	t.Run("full", func(t *testing.T) {
		b := a.crowded(t)
		b.consumer(a.language, "latest", "--secret=ours")
		b.failsCleanly(a.consume("--secret=ours"), "FULL")
	})
	t.Run("no_spare", func(t *testing.T) {
		b := newFixture(t)
		b.producer(a.language, "--spare=3")
		b.consumer(a.language, "ordered", "--pins=2")
		// each attempt takes 50 ms
		w := b.launch(launch{language: a.language, role: "consume",
			args: []string{fmt.Sprintf("--attempts=%d", fewer(20, a.language))}})
		s := parseSummary(w.expect("attempts="))
		assert.Equal(t, "NO_SPARE", s["status"])
		assert.Equal(t, s["before"], s["after"], "descriptors")
		assert.Len(t, b.diagnosis().Rows, 2, "rows left behind")
		assert.Len(t, b.locks(), 2, "locks left behind")
	})
}

func (a attempt) refusedByTheSystem(t *testing.T) {
	t.Run("no_space", func(t *testing.T) {
		asRoot(t, "a full directory (a tmpfs of 1 MiB)")
		b := newFixture(t)
		err := unix.Mount("none", b.dir, "tmpfs", 0, "size=1m")
		permitted(t, err, "mounting a tmpfs")
		require.NoError(t, err)
		t.Cleanup(func() { _ = unix.Unmount(b.dir, unix.MNT_DETACH) })
		b.failsCleanly(a.produce("--slot-size=1048576"), "NO_SPACE")
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, "filler"), make([]byte, 1<<20-32<<10), 0o600))
		b.failsCleanly(a.produce(), "NO_SPACE")
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, "filler"), make([]byte, 1<<20), 0o600))
		b.failsCleanly(a.produce(), "NO_SPACE")
	})
	t.Run("no_permission", func(t *testing.T) {
		asRoot(t, "a block of another user")
		nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		b := newFixture(t)
		b.producer(a.language)
		require.NoError(t, os.Chmod(b.dir, 0o755))
		l := a.consume()
		l.attr = nobody
		b.failsCleanly(l, "ACCESS")
		l = a.produce()
		l.attr = nobody
		b.failsCleanly(l, "ACCESS")
		empty := newFixture(t)
		require.NoError(t, os.Chmod(empty.dir, 0o755))
		empty.failsCleanly(l, "ACCESS")
	})
}

func (a attempt) openedAndClosed(t *testing.T) {
	t.Run("opened_and_closed", func(t *testing.T) {
		b := newFixture(t)
		p := b.producer(a.language)
		p.write(ring)
		w := b.launch(launch{language: a.language, role: "consume",
			args: []string{fmt.Sprintf("--attempts=%d", fewer(attempts, a.language))}})
		s := parseSummary(w.expect("attempts="))
		assert.Equal(t, "OK", s["status"])
		assert.Equal(t, s["before"], s["after"], "descriptors")
		assert.Len(t, b.diagnosis().Rows, 1, "rows left behind")
		assert.Len(t, b.locks(), 1, "locks left behind")
		p.close()
		w = b.launch(launch{language: a.language, role: "produce",
			args: b.producerArgs(fmt.Sprintf("--attempts=%d", fewer(attempts, a.language)))})
		s = parseSummary(w.expect("attempts="))
		assert.Equal(t, "OK", s["status"])
		assert.Equal(t, s["before"], s["after"], "descriptors")
		assert.Empty(t, b.locks())
		b.leavesNothing()
	})
}
