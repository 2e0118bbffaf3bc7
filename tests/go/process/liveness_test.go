//go:build !windows

package process_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"datablock/internal/core/recovery"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// state returns the letter of /proc/PID/stat: T stopped, Z zombie.
func state(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	return string(text[strings.LastIndexByte(string(text), ')')+2])
}

func (w *worker) stop() {
	w.t.Helper()
	w.signal(syscall.SIGSTOP)
	w.stopped()
}

func (w *worker) stopped() {
	w.t.Helper()
	eventually(w.t, func() bool { return state(w.pid()) == "T" }, "%s is stopped", w.what)
}

// holdUp makes a LOSSLESS consumer hold message 0 and a producer fill the ring, so that message 8
// meets backpressure.
func holdUp(p, c *worker) {
	p.t.Helper()
	c.send("hold")
	p.write(ring)
	c.expect("holding 0")
}

// isHeldUp asserts that the producer, which has a timeout, waits for a living consumer.
func (b *fixture) isHeldUp(p, c *worker) {
	b.t.Helper()
	assert.Contains(b.t, p.ask("claim", "error TIMEOUT", "claimed"), "LOSSLESS")
	assert.Equal(b.t, 0, b.recover(anyLanguage(), "--do=cleanup"), "nobody is dead")
	alive := false
	for _, r := range b.diagnosis().Rows {
		alive = alive || r.Row > 0 && r.Alive
	}
	assert.True(b.t, alive, "the diagnosis of %s", c.what)
}

func TestStoppedConsumerIsNotDead(t *testing.T) {
	forPairs(t, func(t *testing.T, producer, consumer string) {
		b := newFixture(t)
		p := b.producer(producer, "--timeout=200")
		c := b.consumer(consumer, "lossless")
		holdUp(p, c)
		c.stop()
		b.isHeldUp(p, c)
		c.signal(syscall.SIGCONT)
		assert.True(t, strings.HasSuffix(c.ask("check", "checked"), "true"), "what it held is unharmed")
		c.ask("release", "released 0")
		p.write(1)
		c.read(ring)
		p.close()
		c.close()
		b.leavesNoGarbage()
	})
}

func TestStoppedProducerIsNotDead(t *testing.T) {
	forPairs(t, func(t *testing.T, producer, consumer string) {
		b := newFixture(t)
		p := b.producer(producer)
		c := b.consumer(consumer, "lossless", "--timeout=100")
		p.ask("claim", "claimed 0")
		p.stop()
		assert.Equal(t, "PRODUCER_ACTIVE",
			b.launch(launch{language: anyLanguage(), role: "produce", args: b.producerArgs()}).refused())
		assert.EqualValues(t, recovery.RecoveryUnsafe,
			b.recover(anyLanguage(), "--do=release-writer", fmt.Sprintf("--slot=%d", b.claimedSlot())))
		assert.Equal(t, "TIMEOUT", parseSummary(c.ask("read 1", "read="))["end"])
		p.signal(syscall.SIGCONT)
		p.ask("commit", "committed 0")
		c.read(1)
		p.stop()
		p.kill()
		assert.Equal(t, "NO_PRODUCER", parseSummary(c.ask("read 1", "read="))["end"])
		c.close()
		b.leavesNothing()
	})
}

// TestHungProducerThatWasReplacedPublishesNothing: the producer is stopped between claim and
// publication, and its commit comes too late.
func TestHungProducerThatWasReplacedPublishesNothing(t *testing.T) {
	for _, point := range []string{"claim.slot", "claim.marked", "claim.remembered", "commit.header",
		"commit.unmarked"} {
		t.Run(point, func(t *testing.T) {
			forPairs(t, func(t *testing.T, hung, other string) {
				b := newFixture(t)
				p := b.launch(launch{language: hung, role: "produce", args: b.producerArgs(),
					env: []string{"DATABLOCK_STOP=" + point + ":4"}}).attached()
				old := b.consumer(other, "lossless")
				p.send("write 4")
				p.stopped()
				q := b.producer(other, "--slots=16", "--flags=replace,force")
				s := parseSummary(old.ask("read 0", "read="))
				assert.Equal(t, "SUPERSEDED", s["end"])
				assert.Equal(t, "2", s["last"])
				young := b.consumer(other, "lossless")
				p.signal(syscall.SIGCONT)
				s = parseSummary(p.expect("wrote="))
				assert.Equal(t, "SUPERSEDED", s["end"])
				assert.Equal(t, "3", s["wrote"])
				assert.Equal(t, "0", parseSummary(old.ask("read 0", "read="))["read"],
					"after the end nothing more was published")
				q.write(4)
				assert.Equal(t, "0", young.read(4)["first"])
				for _, w := range []*worker{p, q, old, young} {
					w.close()
				}
				b.leavesNoGarbage()
			})
		})
	}
}

// TestOpenerStoppedWhileTheBlockIsReplaced: the opener has a row of a block without a name. It must
// not write there.
func TestOpenerStoppedWhileTheBlockIsReplaced(t *testing.T) {
	forPairs(t, func(t *testing.T, slow, other string) {
		b := newFixture(t)
		b.producer(other).kill()
		p := b.launch(launch{language: slow, role: "produce", args: b.producerArgs("--slots=16"),
			env: []string{"DATABLOCK_STOP=adopt.locked"}})
		p.stopped()
		q := b.producer(other, "--slots=16", "--flags=replace,force")
		p.signal(syscall.SIGCONT)
		assert.Equal(t, "PRODUCER_ACTIVE", p.refused())
		q.write(1)
		q.close()
		b.leavesNothing()
	})
}

// TestReaderStoppedWhilePinning: the producer overtakes a stopped reader many times, without
// backpressure. The message that the reader gets afterwards is complete.
func TestReaderStoppedWhilePinning(t *testing.T) {
	for _, delivery := range []string{"ordered", "latest"} {
		t.Run(delivery, func(t *testing.T) {
			forPairs(t, func(t *testing.T, producer, consumer string) {
				b := newFixture(t)
				p := b.producer(producer)
				p.write(3)
				c := b.launch(launch{
					language: consumer, role: "consume", args: b.consumerArgs("--delivery="+delivery, "--start=oldest"),
					env: []string{"DATABLOCK_STOP=read.pinned:2"},
				}).attached()
				c.read(1)
				p.write(1)
				c.send("hold")
				c.stopped()
				p.write(100)
				c.signal(syscall.SIGCONT)
				c.expect("holding")
				p.write(100)
				assert.True(t, strings.HasSuffix(c.ask("check", "checked"), "true"))
				c.ask("release", "released")
				c.close()
				p.close()
				b.leavesNoGarbage()
			})
		})
	}
}

func TestUnreapedZombieIsDead(t *testing.T) {
	forPairs(t, func(t *testing.T, producer, consumer string) {
		b := newFixture(t)
		p := b.launch(launch{language: producer, role: "produce", args: b.producerArgs(), unreaped: true}).attached()
		c := b.launch(launch{language: consumer, role: "consume", args: b.consumerArgs("--delivery=lossless"),
			unreaped: true}).attached()
		holdUp(p, c)
		becomeZombie(t, c)
		p.write(5 * ring) // the dead reader is released
		becomeZombie(t, p)
		q := b.producer(producer) // takes over the dead producer's block
		assert.EqualValues(t, 6*ring, q.write(1).number(t, "first"))
		q.close()
		b.leavesNothing()
	})
}

func becomeZombie(t *testing.T, w *worker) {
	t.Helper()
	require.True(t, recovery.ProcessAlive(uint64(w.pid())))
	w.signal(syscall.SIGKILL)
	// The first thread may be a zombie while other threads still end. Then the process lives. The
	// kernel's list of threads is not reliable meanwhile: it leaves some threads out.
	eventually(t, func() bool { return state(w.pid()) == "Z" && !recovery.ProcessAlive(uint64(w.pid())) },
		"%s is a zombie, and dead", w.what)
	require.Equal(t, "Z", state(w.pid()))
}

// TestAnotherPidNamespace: pids have another meaning there, or none. Locks have the same meaning.
func TestAnotherPidNamespace(t *testing.T) {
	asRoot(t, "judging a process in another pid namespace")
	elsewhere := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	for name, attrs := range map[string][2]*syscall.SysProcAttr{"consumer": {nil, elsewhere},
		"producer": {elsewhere, nil}, "each_in_its_own": {elsewhere, elsewhere}} {
		t.Run(name, func(t *testing.T) {
			forPairs(t, func(t *testing.T, producer, consumer string) {
				b := newFixture(t)
				p := b.launch(launch{language: producer, role: "produce", args: b.producerArgs("--timeout=200"),
					attr: attrs[0]}).attached()
				c := b.launch(launch{language: consumer, role: "consume", args: b.consumerArgs("--delivery=lossless"),
					attr: attrs[1]}).attached()
				holdUp(p, c)
				b.isHeldUp(p, c)
				c.kill()
				p.write(5 * ring)
				assert.Equal(t, "PRODUCER_ACTIVE", b.launch(
					launch{language: consumer, role: "produce", args: b.producerArgs(), attr: attrs[1]}).refused())
				p.kill()
				q := b.launch(
					launch{language: consumer, role: "produce", args: b.producerArgs(), attr: attrs[1]}).attached()
				assert.EqualValues(t, 6*ring, q.write(1).number(t, "first"))
				q.close()
				b.leavesNothing()
			})
		})
	}
}
