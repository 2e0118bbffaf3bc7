package process_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// TestRandomKills kills anybody at any moment, and starts it again. The durable LOSSLESS consumer must see every message at least once and in order, whatever happens
// to whom; the witness, which nobody kills, exactly once.
func TestRandomKills(t *testing.T) {
	rounds := 20
	if soak {
		rounds = 2000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	language := func() string { return languages[random.IntN(len(languages))] }
	b := newBench(t)

	salt := 0
	roles := map[string]func() *worker{
		"producer": func() *worker {
			salt++
			w := b.producer(language(), fmt.Sprintf("--salt=%d", salt), "--rate=5000")
			if salt > 1 {
				w.send("write 1000000000")
			}
			return w
		},
	}
	for _, delivery := range []string{"lossless", "ordered", "latest"} {
		roles[delivery] = func() *worker {
			args := []string{"--start=oldest", "--echo"}
			if delivery == "lossless" {
				args = append(args, "--durable", "--name=log")
			}
			w := b.consumer(language(), delivery, args...)
			w.send("read 0")
			return w
		}
	}
	order := []string{"producer", "lossless", "ordered", "latest"}
	running := map[string]*worker{}
	lives := map[string][]*worker{}
	begin := func(role string) {
		running[role] = roles[role]()
		lives[role] = append(lives[role], running[role])
	}
	begin("producer")
	witness := b.consumer(language(), "lossless", "--start=oldest", "--echo")
	witness.send("read 0")
	for _, role := range order[1:] {
		begin(role)
	}
	running["producer"].send("write 1000000000") // the first one only now, so that all see all
	for range rounds {
		at := b.word(b.dataPath(), layout.Commit)
		goal := at + random.Uint64N(200)
		eventually(t, func() bool { return b.word(b.dataPath(), layout.Commit) >= goal }, "messages %d to %d are written", at, goal)
		role := order[random.IntN(len(order))]
		running[role].kill()
		running[role].rest()
		begin(role)
	}
	running["producer"].kill()
	last := b.producer(language(), fmt.Sprintf("--salt=%d", salt+1))
	n := last.write(ring).number(t, "last") + 1
	last.close()
	for _, w := range append([]*worker{witness}, running["lossless"], running["ordered"], running["latest"]) {
		assert.Equal(t, "CLOSED", parseSummary(w.expect("read="))["end"], w.what)
		w.close()
	}

	salts := map[uint64]uint64{}
	for _, w := range append(append(append([]*worker{witness}, lives["lossless"]...), lives["ordered"]...), lives["latest"]...) {
		for _, m := range w.messages() {
			require.True(t, m.good, "%s: message %d is torn", w.what, m.id)
			other, again := salts[m.id]
			require.True(t, !again || other == m.salt, "message %d had two contents: of producers %d and %d", m.id, other, m.salt)
			salts[m.id] = m.salt
		}
	}
	assertGapless(t, "the witness", []*worker{witness}, n, 0)
	assertGapless(t, "the durable consumer", lives["lossless"], n, 1)
	for _, delivery := range []string{"ordered", "latest"} {
		for _, w := range lives[delivery] {
			assertRising(t, w)
		}
	}
	b.leavesNothing()
}

// assertGapless: all messages up to n, in order; each new life may see that many of the last ones again.
func assertGapless(t *testing.T, who string, lives []*worker, n, again uint64) {
	t.Helper()
	next := uint64(0)
	for _, w := range lives {
		for i, m := range w.messages() {
			repeated := i == 0 && m.id < next && next-m.id <= again
			require.True(t, m.id == next || repeated, "%s: message %d where %d was due", who, m.id, next)
			next = m.id + 1
		}
	}
	assert.Equal(t, n, next, who)
}

func assertRising(t *testing.T, w *worker) {
	t.Helper()
	for i, all := 1, w.messages(); i < len(all); i++ {
		require.Equal(t, all[i-1].id+1+all[i].missed, all[i].id, w.what)
	}
}

// TestDurableConsumerRestartedUnderLoad: whatever it had not released is there again.
func TestDurableConsumerRestartedUnderLoad(t *testing.T) {
	forPairs(t, func(t *testing.T, producer, consumer string) {
		b := newBench(t)
		p := b.producer(producer, "--rate=20000")
		durable := func() *worker { return b.consumer(consumer, "lossless", "--durable", "--name=log", "--echo") }
		c := durable()
		p.send("write 1000000000")
		lives := []*worker{c}
		for range fewer(20, consumer) {
			c.send("read 0")
			for range 30 {
				_, ok := c.next()
				require.True(t, ok)
			}
			c.kill()
			c.rest()
			c = durable()
			lives = append(lives, c)
		}
		p.kill()
		q := b.producer(producer)
		c.send("read 0")
		n := q.write(ring).number(t, "last") + 1
		q.close()
		c.expect("read=")
		c.close()
		assertGapless(t, "the durable consumer", lives, n, 1)
		b.leavesNothing()
	})
}
