package process_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// threes returns casts of three different languages, the producer's first. Every language has every
// role in some of them.
func threes(t *testing.T) (casts [][3]string) {
	t.Helper()
	n := len(languages)
	if n < 3 {
		t.Skipf("NOT SHOWN: there are workers in %v only", languages)
	}
	second, third := 1+turnOf(t)%(n-1), 1+(turnOf(t)/n)%(n-2)
	if third >= second {
		third++
	}
	for i, one := range languages {
		if !everyPair {
			casts = append(casts, [3]string{one, languages[(i+second)%n], languages[(i+third)%n]})
			continue
		}
		for j, two := range languages {
			for k, three := range languages {
				if i != j && i != k && j != k {
					casts = append(casts, [3]string{one, two, three})
				}
			}
		}
	}
	return casts
}

// TestThreeLanguagesOnOneBlockOneOfThemKilled kills the producer or one of two LOSSLESS consumers
// in the middle of the traffic. The other two continue, and both have exactly the committed
// messages.
func TestThreeLanguagesOnOneBlockOneOfThemKilled(t *testing.T) {
	for _, cast := range threes(t) {
		t.Run(fmt.Sprintf("%s_to_%s_and_%s", cast[0], cast[1], cast[2]), func(t *testing.T) {
			for dies, language := range cast {
				t.Run(fmt.Sprintf("%s_%s_dies", []string{"producer", "consumer", "consumer"}[dies], language),
					func(t *testing.T) {
						oneOfThreeKilled(t, cast, dies)
					})
			}
		})
	}
	skipMissing(t)
}

func oneOfThreeKilled(t *testing.T, cast [3]string, dies int) {
	const burst = 2000
	b := newFixture(t)
	defer os.RemoveAll(b.dir)
	all := []*worker{b.producer(cast[0], "--echo", "--salt=1", "--rate=20000")}
	for _, language := range cast[1:] {
		c := b.consumer(language, "lossless", "--echo")
		c.send("read 0")
		all = append(all, c)
	}
	p, victim := all[0], all[dies]
	p.send(fmt.Sprintf("write %d", burst))
	goal := 1 + rand.Uint64N(burst/2)
	eventually(t, func() bool { return b.word(b.dataPath(), layout.Commit) >= goal }, "message %d is written", goal)
	victim.kill()
	victim.rest()
	last, producers := p, []*worker{p}
	if dies == 0 {
		at := b.word(b.dataPath(), layout.Commit)
		last = b.producer(cast[0], "--echo", "--salt=2", "--rate=20000")
		producers = append(producers, last)
		first := write(last, burst).number(t, "first")
		assert.True(t, first == at || first == at+1, "the successor begins with %d after %d", first, at)
	} else {
		assert.Equal(t, "OK", parseSummary(p.expect("wrote="))["end"])
	}
	n := last.write(ring).number(t, "last") + 1
	last.close()

	salts := map[uint64]uint64{} // of all messages long enough to identify their writer
	for _, w := range all[1:] {
		if w != victim {
			s := parseSummary(w.expect("read="))
			assert.Equal(t, "CLOSED", s["end"])
			assert.EqualValues(t, n, s.number(t, "read"), "%s: all that was written, whoever died", w.what)
			w.close()
		}
		for i, m := range w.messages() {
			require.True(t, m.good, "%s: message %d is torn", w.what, m.id)
			require.EqualValues(t, i, m.id, "%s: all, in order", w.what)
			if other, again := salts[m.id]; again {
				require.Equal(t, other, m.salt, "message %d had two contents", m.id)
			}
			salts[m.id] = m.salt
		}
	}
	for _, w := range producers {
		for _, m := range w.committed() {
			salt, found := salts[m.id]
			require.True(t, found, "%s: message %d was committed and is lost", w.what, m.id)
			require.True(t, salt == m.salt || salt == 0, "message %d of producer %d has the content of producer %d",
				m.id, m.salt, salt)
		}
	}
	b.leavesNothing()
}
