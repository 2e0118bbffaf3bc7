package process_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// side is a part of the code that has crash points of its own.
type side string

const (
	inGo   side = "go"
	inC    side = "c"      // the C part of the library
	inline side = "inline" // include/datablock_inline.h in a program; the same text is in the library
)

// sources are where the points of a side are.
var sources = []struct {
	pattern string
	call    *regexp.Regexp
	sides   []side
}{
	{"../../internal/*/*.go", regexp.MustCompile(`crash\.Point\("([^"]+)"\)`), []side{inGo}},
	{"../../capi/*.c", regexp.MustCompile(`DATABLOCK_CRASH_POINT\("([^"]+)"\)`), []side{inC}},
	{"../../include/datablock_inline.h", regexp.MustCompile(`DATABLOCK_CRASH_POINT\("([^"]+)"\)`), []side{inC, inline}},
}

// crashPoints are all places where a test may kill, and the sides that have them, found in the sources, so that none is forgotten.
func crashPoints(t *testing.T) map[string][]side {
	t.Helper()
	points := map[string][]side{}
	for _, source := range sources {
		files, err := filepath.Glob(source.pattern)
		require.NoError(t, err)
		found := false
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range source.call.FindAllStringSubmatch(string(text), -1) {
				found = true
				for _, s := range source.sides {
					if !slices.Contains(points[m[1]], s) {
						points[m[1]] = append(points[m[1]], s)
					}
				}
			}
		}
		require.True(t, found, "no crash points in %s", source.pattern)
	}
	return points
}

// killer is the language whose worker is killed on a side.
var killer = map[side]string{inGo: "go", inC: "c", inline: "cpp"}

// sideOf says on which side a victim is killed. The C++ worker is the one with inline code; the others of C's library go through its C part and its Go part in turn.
func sideOf(sides []side, victim string, round int) side {
	switch {
	case victim == "cpp" && slices.Contains(sides, inline):
		return inline
	case victim == "cpp" && slices.Contains(sides, inC):
		return inC // the waits, which are never inline
	case victim != "go" && slices.Contains(sides, inC) && round%2 == 0:
		return inC
	}
	return inGo
}

// routesTo are those that a point may lie on.
func routesTo(point string) []route {
	word, _, _ := strings.Cut(point, ".")
	if candidates, known := routes[word]; known {
		return candidates
	}
	return allRoutes()
}

// trigger is the environment of a victim that is to die (DATABLOCK_CRASH), or stop, at its n-th passage of a point on that side.
func trigger(variable string, sides []side, s side, point, victim string, passage int) []string {
	if s != inGo {
		return []string{fmt.Sprintf("%s=%s/%s:%d", variable, s, point, passage)}
	}
	env := []string{fmt.Sprintf("%s=%s:%d", variable, point, passage)}
	if victim != "go" && len(sides) > 1 { // or C would be there first
		env = append(env, "DATABLOCK_TEST_GO=1")
	}
	return env
}

// TestKilledAtEveryPoint kills at each of them, on every side that has it, on every route that comes by, in every language; in Python at a third of them, other ones in the
// next run. A point that no route reaches on one of its sides fails.
func TestKilledAtEveryPoint(t *testing.T) {
	all := crashPoints(t)
	for _, point := range slices.Sorted(maps.Keys(all)) {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			sides := all[point]
			require.Contains(t, sides, inGo, "a point that only C has")
			candidates := routesTo(point)
			reaching := map[side][]route{}
			for _, s := range sides {
				for attempt := 0; len(reaching[s]) == 0 && attempt < 3; attempt++ {
					for _, r := range candidates {
						if killedAt(t, trigger("DATABLOCK_CRASH", sides, s, point, killer[s], 1), r, killer[s], languages[0]) {
							reaching[s] = append(reaching[s], r)
						}
					}
				}
				require.NotEmpty(t, reaching[s], "no route reaches crash point %q in %s: give one to routes", point, s)
			}
			rounds := 5
			if soak {
				rounds = 200
			}
			first := turnOf(t)
			for round, pairs := range repeated(first, rounds, everyPair || first%3 == 0) {
				for _, p := range pairs {
					s := sideOf(sides, p[0], first+round)
					r := reaching[s][(first+round)%len(reaching[s])]
					// Later passages find the ring in other states; not every route has so many.
					if passage := 1 + round*round%41; passage == 1 || !killedAt(t, trigger("DATABLOCK_CRASH", sides, s, point, p[0], passage), r, p[0], p[1]) {
						reached := killedAt(t, trigger("DATABLOCK_CRASH", sides, s, point, p[0], 1), r, p[0], p[1])
						// Which side takes a step is a matter of time: one that slept, or lost its processor for a while, goes through the library, and that through Go.
						for attempt := 0; !reached && attempt < 3; attempt++ {
							other := reaching[s][(first+round+attempt)%len(reaching[s])]
							reached = killedAt(t, []string{"DATABLOCK_CRASH=" + point}, other, p[0], p[1])
						}
						require.True(t, reached, "%s by %s in %s", r.name, p[0], s)
					}
				}
			}
			skipMissing(t)
		})
	}
}

// killedAt kills a victim where its environment says and looks at what is left. It reports whether it came that way.
func killedAt(t *testing.T, env []string, r route, victim, others string) bool {
	t.Helper()
	reached := false
	ok := t.Run(fmt.Sprintf("%s/%s_among_%s/%s", r.name, victim, others, strings.ReplaceAll(env[0], "/", ".")), func(t *testing.T) {
		k := newKill(t, victim, others)
		k.env = env
		v, died := r.walk(k)
		reached = died
		if died && v != nil {
			require.Equal(t, syscall.SIGKILL, v.deathSignal(), "it ended by itself")
		}
		if !died {
			v.send("exit")
			v.deathSignal()
		}
		k.aftermath()
	})
	return ok && reached
}
