package process_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"datablock/internal/core/recovery"

	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// kill is one experiment: a victim dies among other participants, which must continue. The same
// checks follow for every victim and every point: see aftermath.
type kill struct {
	*fixture
	slots          int    // length of the ring
	victim, others string // languages
	env            []string
	geometry       []string // the arguments of a restarted producer
	reclaims       bool
	replacement    []string // its arguments when the block has been replaced

	producer *worker // the living producer, or nil
	claims   bool    // the producer has an open claim
	writers  []epoch // all producers so far
	witness  *worker // LOSSLESS, attached from the beginning, always reading
	segments []epoch // all attachments of the witness
	stay     []*worker
	salt     int

	dead  *worker // the victim, if its environment makes it die
	how   launch  // how the victim was started
	again string  // the call that was necessary after its death
}

// policy is a kind of block, and the producer's arguments for it.
type policy struct {
	name     string
	slots    int
	geometry []string
}

var policies = []policy{{"ring", ring, nil}, {"single", 1, []string{"--policy=single", "--slots=1",
	"--flags=lossless"}}, {"double", 2, []string{"--policy=double", "--slots=2", "--flags=lossless"}}}

// epoch is a participant's time in one block.
type epoch struct {
	who   *worker
	block string // the control file of the block
}

func newKill(t testing.TB, victim, others string) *kill {
	return newKillIn(t, policies[0], victim, others)
}

func newKillIn(t testing.TB, p policy, victim, others string) *kill {
	k := &kill{fixture: newFixture(t), slots: p.slots, victim: victim, others: others}
	k.geometry = k.producerArgs(p.geometry...)
	k.launched = func(w *worker, l launch) {
		if len(l.env) > 0 && len(k.env) > 0 && l.env[0] == k.env[0] {
			k.dead, k.how = w, l
		}
	}
	return k
}

// withFlag is the geometry with one more flag.
func (k *kill) withFlag(flag string) (args []string) {
	flags := "--flags=" + flag
	for _, a := range k.geometry {
		if strings.HasPrefix(a, "--flags=") {
			flags = a + "," + flag
		} else {
			args = append(args, a)
		}
	}
	return append(args, flags)
}

// begin starts a worker and waits until it has opened the block. nil: the worker died before that.
func (k *kill) begin(l launch) *worker {
	k.t.Helper()
	w := k.launch(l)
	line, ok := w.next()
	if !ok {
		<-w.ended
		return nil
	}
	if line != "attached" {
		w.fail("could not open the block")
	}
	return w
}

// writer starts a producer whose messages identify it.
func (k *kill) writer(language string, env []string, args ...string) *worker {
	k.t.Helper()
	k.salt++
	w := k.begin(launch{language: language, role: "produce", env: env,
		args: append([]string{"--echo", fmt.Sprintf("--salt=%d", k.salt)}, args...)})
	if w != nil {
		k.writers = append(k.writers, epoch{w, k.controlPath()})
	}
	return w
}

// start starts the surviving producer and its witness.
func (k *kill) start() {
	k.t.Helper()
	k.producer = k.writer(k.others, nil, k.geometry...)
	k.watch()
}

// watch attaches the witness, which reads at once unless a later command starts it.
func (k *kill) watch() {
	k.t.Helper()
	k.attachWitness()
	k.witness.send("read 0")
}

func (k *kill) attachWitness() {
	k.t.Helper()
	k.startWitness()
	k.witness.attached()
}

// startWitness does not wait until the witness has attached.
func (k *kill) startWitness() {
	k.t.Helper()
	k.witness = k.launch(launch{language: k.others, role: "consume",
		args: k.consumerArgs("--delivery=lossless", "--start=oldest", "--echo")})
	k.segments = append(k.segments, epoch{k.witness, k.controlPath()})
}

func (k *kill) bystander(delivery string) {
	k.t.Helper()
	w := k.consumer(k.others, delivery, "--start=oldest")
	w.send("read 0")
	k.stay = append(k.stay, w)
}

// victimWriter and victimReader start the victim. nil: the victim died during the open.
func (k *kill) victimWriter(args ...string) *worker {
	k.t.Helper()
	return k.writer(k.victim, k.env, append([]string{"--timeout=300"}, args...)...)
}

func (k *kill) victimReader(delivery string, args ...string) *worker {
	k.t.Helper()
	return k.begin(launch{language: k.victim, role: "consume", env: k.env,
		args: k.consumerArgs(append(args, "--delivery="+delivery, "--timeout=300")...)})
}

// aftermath lets the survivors continue without help, and then checks everything: no committed
// message is lost, no id has two contents, no payload is torn, a restart works, nothing is left
// behind.
func (k *kill) aftermath() {
	k.t.Helper()
	if k.claims { // the producer may have been replaced while it had a claim
		if answer := k.producer.ask("commit", "committed", "error SUPERSEDED"); answer[0] == 'e' {
			k.producer.close()
			k.producer = nil
		}
	}
	if k.producer == nil {
		k.restart()
	}
	if k.witness == nil {
		k.watch()
	}
	k.exchange(5 * ring)
	k.lookBack()
	found, err := recovery.ValidateIntegrity(block, k.dir)
	require.NoError(k.t, err)
	require.True(k.t, found.Healthy(), found.Message())
	k.end()
	k.audit()
	k.leavesNothing()
}

// restart opens the block again with the arguments of the old producer. If a replacement was
// finished in between, it uses the arguments of the replacer.
func (k *kill) restart() {
	k.t.Helper()
	k.salt++
	args := append([]string{"--echo", fmt.Sprintf("--salt=%d", k.salt)}, k.geometry...)
	w := k.launch(launch{language: k.others, role: "produce", args: args})
	if k.replacement != nil && w.expect("attached", "failed GEOMETRY") != "attached" {
		k.geometry = k.replacement
		k.restart()
		return
	} else if k.replacement == nil {
		w.attached()
	}
	k.producer = w
	k.writers = append(k.writers, epoch{w, k.controlPath()})
}

// exchange writes n messages, and waits until the witness has read the last one. A participant
// whose stream has ended attaches again.
func (k *kill) exchange(n int) {
	k.t.Helper()
	x := exchange{kill: k, command: fmt.Sprintf("write %d", n)}
	k.producer.send(x.command)
	for deadline := time.Now().Add(patience); x.written == "" || x.seen != x.written; {
		if x.hearProducer() || x.hearWitness() {
			continue
		}
		if time.Now().After(deadline) {
			k.t.Logf("the witness (there: %t) has not caught up within %v: it has %q of %q", k.witness != nil, patience,
				x.seen, x.written)
			k.producer.fail("is slow, or its witness")
		}
		time.Sleep(200 * time.Microsecond)
	}
}

type exchange struct {
	*kill
	command string
	written string // id of the last message, when the producer has finished
	seen    string // id of the last message that the witness has read
	closed  int    // how often the witness got CLOSED in a row
}

// hearProducer handles a line of the producer, if there is one.
func (x *exchange) hearProducer() bool {
	x.t.Helper()
	line, ok, ended, _ := x.producer.take()
	if ended {
		x.producer.fail("ended")
	}
	if !ok || echoed(line) {
		return ok
	}
	switch s := parseSummary(line); s["end"] {
	case "OK":
		x.written = s["last"]
	case "SUPERSEDED":
		x.producer.close()
		x.restart()
		x.producer.send(x.command)
	default:
		x.producer.fail("could not go on")
	}
	return true
}

// hearWitness handles a line of the witness, if there is one.
func (x *exchange) hearWitness() bool {
	x.t.Helper()
	if x.witness == nil {
		return x.watchAgain()
	}
	line, ok, ended, _ := x.witness.take()
	if ended {
		x.witness.fail("ended")
	}
	if !ok {
		return false
	}
	if echoed(line) {
		_, _ = fmt.Sscanf(line, "message %s", &x.seen)
		x.closed = 0
		return true
	}
	x.closed++
	switch s := parseSummary(line); {
	case s["end"] == "CLOSED" && x.closed == 1: // a producer has closed; another one may continue
		x.witness.send("read 0")
	case s["end"] == "CLOSED", s["end"] == "SUPERSEDED":
		x.witness.close()
		x.witness, x.seen, x.closed = nil, "", 0
	default:
		x.witness.fail("could not go on")
	}
	return true
}

// watchAgain attaches the witness to the current block of the name, from the oldest message on, so
// that the witness reads the last message in any case. It returns false while the replacer of this
// block is dead: then the next producer has to finish the replacement first.
func (x *exchange) watchAgain() bool {
	x.t.Helper()
	w := x.launch(launch{language: x.others, role: "consume",
		args: x.consumerArgs("--delivery=lossless", "--start=oldest", "--echo")})
	if w.expect("attached", "failed SUPERSEDED") != "attached" {
		return false
	}
	x.witness = w
	x.segments = append(x.segments, epoch{w, x.controlPath()})
	w.send("read 0")
	return true
}

// lookBack reads the messages in the ring with a late consumer.
func (k *kill) lookBack() {
	k.t.Helper()
	late := k.consumer(k.others, "ordered", "--start=oldest", "--echo")
	row, found := k.row(late.pid()) // perhaps the victim's row
	require.True(k.t, found && len(row.Pins) == 0, "the row of somebody who holds nothing: %+v", row)
	if k.reclaims {
		late.read(1) // the newest message is always there
	} else {
		late.read(k.slots)
	}
	late.close()
	k.segments = append(k.segments, epoch{late, k.controlPath()})
}

// end closes all participants.
func (k *kill) end() {
	k.t.Helper()
	k.producer.close()
	for _, w := range append(k.stay, k.witness) {
		w.expect("read=")
		w.close()
	}
	k.producer, k.witness, k.stay = nil, nil, nil
}

// audit compares the messages of the witness with the commits that the producers reported, for each
// block.
func (k *kill) audit() {
	k.t.Helper()
	blocks := map[string]map[uint64]message{}
	for _, s := range k.segments {
		seen := blocks[s.block]
		if seen == nil {
			seen = map[uint64]message{}
			blocks[s.block] = seen
		}
		for i, all := 0, s.who.messages(); i < len(all); i++ {
			m := all[i]
			require.True(k.t, m.good, "%s: message %d is not what was written", s.who.what, m.id)
			require.True(k.t, i == 0 || m.id == all[i-1].id+1, "%s: message %d after %d", s.who.what, m.id,
				all[max(i, 1)-1].id)
			if other, again := seen[m.id]; again {
				require.Equal(k.t, other.salt, m.salt, "message %d had two contents", m.id)
			}
			seen[m.id] = m
		}
	}
	for _, w := range k.writers {
		seen := blocks[w.block]
		if seen == nil {
			continue // no participant was attached
		}
		first := ^uint64(0)
		for id := range seen {
			first = min(first, id)
		}
		for _, m := range w.who.committed() {
			got, found := seen[m.id]
			require.True(k.t, found || m.id < first, "%s: message %d was committed and is lost", w.who.what, m.id)
			if found && got.salt != 0 { // short messages do not identify their writer
				require.Equal(k.t, m.salt, got.salt, "%s: message %d has the content of another producer", w.who.what,
					m.id)
			}
		}
	}
}

// forKills repeats an experiment for pairs of languages of the victim and the survivors.
func forKills(t *testing.T, experiment func(k *kill)) {
	rounds := 5
	if soak {
		rounds = 200
	}
	runPairs(t, slices.Concat(repeated(turnOf(t), rounds, true)...), func(t *testing.T, victim, others string) {
		k := newKill(t, victim, others)
		experiment(k)
		k.aftermath()
		_ = os.RemoveAll(k.dir)
	})
}

func TestProducerKilledWithAClaimOpen(t *testing.T) {
	forKills(t, func(k *kill) {
		v := k.victimWriter(k.geometry...)
		k.watch()
		k.bystander("ordered")
		k.bystander("latest")
		v.write(20)
		v.ask("claim", "claimed 20") // the message is half written by now
		v.kill()
	})
}

func TestProducerKilledWhileWriting(t *testing.T) {
	forKills(t, func(k *kill) {
		k.slotSize = 1 << 20
		k.geometry = k.producerArgs()
		v := k.victimWriter(k.geometry...)
		k.attachWitness()
		v.write(ring - 1)
		v.send("write 1") // without waiting: the victim claims, fills or commits the slot
		eventually(k.t, func() bool {
			return k.word(k.dataPath(), layout.ClaimID) == ring || k.word(k.dataPath(), layout.Commit) == ring
		}, "the claim is open")
		v.kill()
		v.rest()
		k.witness.send("read 0")
	})
}

// TestHeldMessageSurvivesTheProducer: the successor does not write to a slot that a consumer holds,
// although the slot is not in the ring any more.
func TestHeldMessageSurvivesTheProducer(t *testing.T) {
	for _, delivery := range []string{"ordered", "latest"} {
		t.Run(delivery, func(t *testing.T) {
			forKills(t, func(k *kill) {
				k.start()
				c := k.consumer(k.victim, delivery, "--pins=3")
				for range 3 {
					k.producer.write(1)
					c.ask("hold", "holding")
				}
				k.producer.write(2 * ring) // out of the ring
				k.producer.kill()
				k.restart()
				k.producer.write(10 * ring)
				for range 3 {
					require.True(t, strings.HasSuffix(c.ask("check", "checked"), "true"))
					c.ask("release", "released")
				}
				c.close()
			})
		})
	}
}

func TestConsumerKilledWhileHolding(t *testing.T) {
	for _, delivery := range []string{"lossless", "ordered", "latest"} {
		t.Run(delivery, func(t *testing.T) {
			forKills(t, func(k *kill) {
				k.start()
				v := k.victimReader(delivery)
				k.producer.write(4)
				v.ask("hold", "holding")
				v.kill()
			})
		})
	}
}

func TestConsumerKilledWhileAsleep(t *testing.T) {
	for _, delivery := range []string{"lossless", "ordered", "latest"} {
		t.Run(delivery, func(t *testing.T) {
			forKills(t, func(k *kill) {
				k.start()
				v := k.begin(
					launch{language: k.victim, role: "consume", args: k.consumerArgs("--delivery=" + delivery)})
				v.send("read 0")
				k.asleep(v)
				v.kill()
			})
		})
	}
}

func TestProducerKilledWhileHeldUp(t *testing.T) {
	forKills(t, func(k *kill) {
		v := k.writer(k.victim, nil, k.geometry...)
		k.attachWitness()
		v.send("write 20")
		k.heldUp(v)
		v.kill()
		v.rest()
		k.witness.send("read 0")
	})
}
