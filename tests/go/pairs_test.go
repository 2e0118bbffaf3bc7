package process_test

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// languages in which there is a worker.
var languages = []string{"go", "c", "cpp", "python"}

// pair is who writes and who reads, or who dies and who lives on.
type pair [2]string

// everyPair is asked for, not a choice of them.
var everyPair = soak || os.Getenv("DATABLOCK_PAIRS") == "all"

// turn makes the choices of pairs differ from run to run.
var turn = func() int {
	if n, err := strconv.Atoi(os.Getenv("DATABLOCK_TURN")); err == nil {
		return n
	}
	return int(time.Now().Unix() % 1000)
}()

// turnOf makes them differ from scenario to scenario, so that together they see all pairs in every
// run.
func turnOf(t *testing.T) int {
	t.Helper()
	t.Logf("DATABLOCK_TURN=%d", turn)
	h := fnv.New32()
	_, _ = h.Write([]byte(t.Name()))
	return turn + int(h.Sum32()%1000)
}

// cast pairs them so that each is on both sides once; who is with whom depends on the turn.
func cast(among []string, turn int) (pairs []pair) {
	for i, one := range among {
		pairs = append(pairs, pair{one, among[(i+turn)%len(among)]})
	}
	return pairs
}

func allPairs() (pairs []pair) {
	for i := range languages {
		pairs = append(pairs, cast(languages, i)...)
	}
	return pairs
}

// compiled are the languages whose workers start quickly. A Python worker takes as long as twenty
// of them.
func compiled() []string {
	return slices.DeleteFunc(slices.Clone(languages), func(language string) bool { return language == "python" })
}

// fewer is n, less for a pair in which Python takes part.
func fewer(n int, p ...string) int {
	if slices.Contains(p, "python") {
		return max(n/10, 3)
	}
	return n
}

// repeated casts the rounds of a scenario that is repeated. Python, if at all, comes in every
// tenth, the first of them included.
func repeated(turn, rounds int, python bool) (pairs [][]pair) {
	for round := range rounds {
		if python && round%10 == 0 {
			pairs = append(pairs, cast(languages, turn+round/10))
		} else {
			pairs = append(pairs, cast(compiled(), turn+round))
		}
	}
	return pairs
}

// anyLanguage is one of them, for what is only asked in passing.
func anyLanguage() string { return languages[rand.IntN(len(languages))] }

// forPairs runs a scenario for pairs in which every language is on each side.
func forPairs(t *testing.T, scenario func(t *testing.T, producer, consumer string)) {
	if everyPair {
		forAllPairs(t, scenario)
		return
	}
	runPairs(t, cast(languages, turnOf(t)), scenario)
}

func forAllPairs(t *testing.T, scenario func(t *testing.T, producer, consumer string)) {
	runPairs(t, allPairs(), scenario)
}

// runPairs runs a scenario once for each, or as often as it is among them.
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

// skipMissing shows what was not run.
func skipMissing(t *testing.T) {
	for language, why := range missing {
		t.Run(language, func(t *testing.T) { t.Skipf("NOT SHOWN: %s", why) })
	}
}
