package process_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// race lets two producers open the block at the same time. It returns the producer that has the
// block and the answer of the other one.
func race(b *fixture, languages [2]string, args ...string) (winner *worker, other string) {
	b.t.Helper()
	var both [2]*worker
	for i, language := range languages {
		both[i] = b.launch(launch{language: language, role: "produce", args: b.producerArgs(append(args, "--wait")...)})
		both[i].expect("ready")
	}
	both[0].send("go")
	both[1].send("go")
	var answers [2]string
	for i, w := range both {
		answers[i] = w.expect("attached", "failed")
	}
	require.Contains(b.t, answers, "attached", "one of two wins")
	require.NotEqual(b.t, answers[0], answers[1], "only one of two wins")
	if answers[0] == "attached" {
		return both[0], answers[1]
	}
	return both[1], answers[0]
}

func TestTwoProducersRaceToCreate(t *testing.T) {
	forPairs(t, func(t *testing.T, one, other string) {
		for range rounds(50, one, other) {
			b := newFixture(t)
			p, answer := race(b, [2]string{one, other})
			assert.Equal(t, "PRODUCER_ACTIVE", strings.Fields(answer)[1])
			assert.Len(t, b.files(), 2, "the loser has removed what it made: %v", b.files())
			assert.EqualValues(t, 0, p.write(1).number(t, "first"))
			p.close()
			b.leavesNoGarbage()
		}
	})
}

func TestTwoProducersRaceToAdopt(t *testing.T) {
	forPairs(t, func(t *testing.T, one, other string) {
		b := newFixture(t)
		first := b.producer(one)
		first.write(3)
		first.kill()
		for i := range rounds(20, one, other) {
			p, answer := race(b, [2]string{one, other})
			assert.Equal(t, "PRODUCER_ACTIVE", strings.Fields(answer)[1])
			assert.EqualValues(t, 3+i, p.write(1).number(t, "first"))
			p.kill()
		}
		b.leavesNothing()
	})
}

func TestTwoProducersRaceToReplace(t *testing.T) {
	forPairs(t, func(t *testing.T, one, other string) {
		for range rounds(50, one, other) {
			b := newFixture(t)
			old := b.producer(one)
			c := b.consumer(other, "lossless")
			old.write(3)
			old.kill()
			p, answer := race(b, [2]string{one, other}, "--slots=16", "--flags=replace")
			assert.Equal(t, "PRODUCER_ACTIVE", strings.Fields(answer)[1])
			assert.EqualValues(t, 0, p.write(1).number(t, "first"))
			s := parseSummary(c.ask("read 0", "read="))
			assert.Equal(t, "SUPERSEDED", s["end"])
			assert.EqualValues(t, 3, s.number(t, "read"))
			c.close()
			p.close()
			b.leavesNothing()
		}
	})
}

// TestTwoProducersRaceToReplaceByForce: both may get the block, one after the other. Then the first
// one gets SUPERSEDED.
func TestTwoProducersRaceToReplaceByForce(t *testing.T) {
	forPairs(t, func(t *testing.T, one, other string) {
		for range rounds(20, one, other) {
			b := newFixture(t)
			old := b.producer(one)
			old.ask("claim", "claimed 0")
			var both [2]*worker
			for i, language := range []string{one, other} {
				both[i] = b.launch(launch{language: language, role: "produce",
					args: b.producerArgs("--slots=16", "--flags=replace,force", "--wait")})
				both[i].expect("ready")
			}
			both[0].send("go")
			both[1].send("go")
			both[0].attached()
			both[1].attached()
			old.ask("commit", "error SUPERSEDED")
			old.close()
			having := 0
			for _, p := range both {
				if parseSummary(p.ask("write 1", "wrote="))["end"] == "OK" {
					having++
				}
			}
			assert.Equal(t, 1, having, "one of them has the block")
			both[0].close()
			both[1].close()
			b.leavesNoGarbage()
		}
	})
}

func TestMinConsumers(t *testing.T) {
	forPairs(t, func(t *testing.T, producer, consumer string) {
		b := newFixture(t)
		p := b.producer(producer, "--min-consumers=2")
		p.write(ring) // nothing is overwritten yet
		p.send("write 1")
		b.heldUp(p)
		one := b.consumer(consumer, "latest")
		b.heldUp(p)
		require.False(t, p.hasNews(), "one consumer is not enough")
		two := b.consumer(consumer, "ordered", "--start=oldest")
		p.expect("wrote=1 first=8")
		two.close()
		p.send("write 1")
		b.heldUp(p)
		require.False(t, p.hasNews(), "one consumer is not enough")
		two = b.consumer(consumer, "ordered")
		p.expect("wrote=1 first=9")
		for _, w := range []*worker{one, two, p} {
			w.close()
		}
		b.leavesNoGarbage()
	})
}

// TestReplacerThatDiedBeforeTheFence: the dead replacer has set the state, and the producer has an
// open claim. No message may be committed after a LOSSLESS reader got the end of the stream.
func TestReplacerThatDiedBeforeTheFence(t *testing.T) {
	forPairs(t, func(t *testing.T, producer, consumer string) {
		b := newFixture(t)
		p := b.producer(producer)
		c := b.consumer(consumer, "lossless", "--timeout=300")
		p.ask("claim", "claimed 0")
		victim := b.launch(launch{
			language: producer, role: "produce", args: b.producerArgs("--slots=16", "--flags=replace,force"),
			env: []string{"DATABLOCK_CRASH=replace.marked"},
		})
		require.Empty(t, victim.rest())
		told := parseSummary(c.ask("read 1", "read="))["end"]
		if answer := p.ask("commit", "committed", "error SUPERSEDED"); answer[0] == 'c' {
			assert.NotEqual(t, "SUPERSEDED", told,
				"message 0 was committed after the reader had been told that all was read")
			c.read(1)
		}
		p.close()
		q := b.producer(producer)
		assert.Equal(t, "SUPERSEDED", parseSummary(c.ask("read 0", "read="))["end"])
		c.close()
		q.close()
		b.leavesNothing()
	})
}
