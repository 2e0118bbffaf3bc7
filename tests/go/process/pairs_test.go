package process_test

import (
	"hash/fnv"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// pair has the languages of the writer and the reader, or of the victim and the survivors.
type pair [2]string

// everyPair makes a run try all pairs, not only a choice of them.
var everyPair = soak || os.Getenv("DATABLOCK_PAIRS") == "all"

// turn makes the choice of pairs differ from run to run.
var turn = func() int {
	if n, err := strconv.Atoi(os.Getenv("DATABLOCK_TURN")); err == nil {
		return n
	}
	return int(time.Now().Unix() % 1000)
}()

// turnOf makes the choice differ from scenario to scenario, so that the scenarios of a run use all
// pairs together.
func turnOf(t *testing.T) int {
	t.Helper()
	t.Logf("DATABLOCK_TURN=%d", turn)
	h := fnv.New32()
	_, _ = h.Write([]byte(t.Name()))
	return turn + int(h.Sum32()%1000)
}

// cast makes pairs so that each language is on both sides once. The turn decides which languages
// form a pair.
func cast(among []string, turn int) (pairs []pair) {
	for i, one := range among {
		pairs = append(pairs, pair{one, among[(i+turn)%len(among)]})
	}
	return pairs
}

// inTurn tells if a participant of this language takes part in case i. Compiled ones always do. A
// Python worker takes part in one case of four, another one from run to run, because it starts
// slowly and the core that it calls is the same. `make soak` has all cases.
func inTurn(language string, i int) bool {
	return language != "python" || everyPair || (i+turn)%4 == 0
}

// taking returns the languages that take part in a scenario, or in a round of one. The Rust worker
// calls the same library as the C worker, and takes part in every other one, in other ones from run
// to run. `make soak` has all languages everywhere.
func taking(among []string, turn int) []string {
	if everyPair || bits.OnesCount(uint(turn))%2 == 0 { // not turn%2, which decides about the pairs too
		return among
	}
	return slices.DeleteFunc(slices.Clone(among), func(language string) bool { return language == "rust" })
}

// allPairs returns every pair. With Rust it has one pair with Rust on each side, other pairs from
// run to run, and all of them in `make soak`.
func allPairs() (pairs []pair) {
	for i := range languages {
		for _, p := range cast(languages, i) {
			if everyPair || i == turn%len(languages) || !slices.Contains(p[:], "rust") {
				pairs = append(pairs, p)
			}
		}
	}
	return pairs
}

// compiled returns the languages whose workers start quickly. A Python worker takes as long as
// twenty of them.
func compiled() []string {
	return slices.DeleteFunc(slices.Clone(languages), func(language string) bool { return language == "python" })
}

// rounds returns how often a race is repeated: n times in `make soak`, else two fifths of it, and
// less for a pair with Python.
func rounds(n int, p ...string) int {
	if !everyPair {
		n = n * 2 / 5
	}
	return fewer(n, p...)
}

// fewer returns n, or less for a pair with Python.
func fewer(n int, p ...string) int {
	if slices.Contains(p, "python") {
		return max(n/10, 3)
	}
	return n
}

// repeated makes the pairs for the rounds of a repeated scenario. With `python` every tenth round
// has Python, the first one included.
func repeated(turn, rounds int, python bool) (pairs [][]pair) {
	for round := range rounds {
		if python && round%10 == 0 {
			pairs = append(pairs, cast(taking(languages, turn+round), turn+round/10))
		} else {
			pairs = append(pairs, cast(taking(compiled(), turn+round), turn+round))
		}
	}
	return pairs
}

// anyLanguage returns a random language, for steps that are not the subject of the test.
func anyLanguage() string { return languages[rand.IntN(len(languages))] }

// forPairs runs a scenario for pairs in which every language that takes part is on each side.
func forPairs(t *testing.T, scenario func(t *testing.T, producer, consumer string)) {
	if everyPair {
		forAllPairs(t, scenario)
		return
	}
	runPairs(t, cast(taking(languages, turnOf(t)), turnOf(t)), scenario)
}

// forCompiledPairs leaves Python out, unless the run tries every pair.
func forCompiledPairs(t *testing.T, scenario func(t *testing.T, producer, consumer string)) {
	if everyPair {
		forAllPairs(t, scenario)
		return
	}
	runPairs(t, cast(taking(compiled(), turnOf(t)), turnOf(t)), scenario)
}

func forAllPairs(t *testing.T, scenario func(t *testing.T, producer, consumer string)) {
	runPairs(t, allPairs(), scenario)
}

// runPairs runs a scenario once for each element of pairs.
func runPairs(t *testing.T, pairs []pair, scenario func(t *testing.T, producer, consumer string)) {
	times := map[pair]int{}
	for _, p := range pairs {
		times[p]++
	}
	for _, p := range pairs {
		n := times[p]
		delete(times, p)
		if n > 0 {
			t.Run(p[0]+"_to_"+p[1], func(t *testing.T) {
				for range n {
					scenario(t, p[0], p[1])
				}
			})
		}
	}
	skipMissing(t)
}

func forLanguages(t *testing.T, scenario func(t *testing.T, language string)) {
	for _, language := range languages {
		t.Run(language, func(t *testing.T) { scenario(t, language) })
	}
	skipMissing(t)
}

// skipMissing reports what was not run.
func skipMissing(t *testing.T) {
	for language, why := range missing {
		t.Run(language, func(t *testing.T) { t.Skipf("NOT SHOWN: %s", why) })
	}
}
