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

// crashPoints are all places where a test may kill, and the sides that have them, found in the
// sources, so that none is forgotten.
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

// speakers are the languages whose workers have a side; the first one tries which routes come by.
var speakers = map[side][]string{inGo: {"go", "c", "cpp", "python"}, inC: {"c", "python"}, inline: {"cpp"}}

// speakersOf are those of a side at a point.
func speakersOf(point string, s side) []string {
	if s == inGo && strings.HasSuffix(point, "any") { // C's wait for several blocks never becomes Go's
		return speakers[s][:1]
	}
	return speakers[s]
}

// routesTo are those that a point may lie on.
func routesTo(point string) []route {
	word, _, _ := strings.Cut(point, ".")
	if candidates, known := routes[word]; known {
		return candidates
	}
	return allRoutes()
}

// trigger is the environment of a victim that is to die (DATABLOCK_CRASH), or stop, at its n-th
// passage of a point on that side.
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

// trial is one kill: where, on the way of which route, and among whom.
type trial struct {
	point          string
	sides          []side
	on             side
	route          route
	policy         policy
	victim, others string
	passage        int
}

// TestKilledAtEveryPoint kills at each of them, on every side that has it, on every route that
// comes by and in every policy, so that at each point each language meets each policy, and each
// route each policy. With DATABLOCK_SOAK=1 or DATABLOCK_MATRIX=FILE every combination of point,
// route (role and delivery), policy, side and language, of which docs/crash-matrix.md, or that
// file, tells. A point that no route reaches on one of its sides fails.
func TestKilledAtEveryPoint(t *testing.T) {
	all := crashPoints(t)
	m := newMatrix()
	t.Run("at", func(t *testing.T) {
		for _, point := range slices.Sorted(maps.Keys(all)) {
			t.Run(point, func(t *testing.T) {
				t.Parallel()
				require.Contains(t, all[point], inGo, "a point that only C has")
				for _, s := range all[point] {
					m.killAt(t, trial{point: point, sides: all[point], on: s, policy: policies[0], passage: 1})
				}
				skipMissing(t)
			})
		}
	})
	if file := m.file; file != "" && !t.Failed() {
		require.NoError(t, os.WriteFile(file, []byte(m.text()), 0o644))
	}
}

// killAt kills at one point on one side, in all ways that this run is to try.
func (m *matrix) killAt(t *testing.T, k trial) {
	t.Helper()
	first := turnOf(t)
	var reaching []route
	for attempt := 0; len(reaching) == 0 && attempt < 3; attempt++ {
		for _, r := range routesTo(k.point) {
			k.route, k.victim, k.others = r, speakersOf(k.point, k.on)[0], languages[0]
			if m.killed(t, k) {
				reaching = append(reaching, r)
			}
		}
	}
	require.True(t, len(reaching) > 0 || t.Failed(), "no route reaches crash point %q in %s: give one to routes",
		k.point, k.on)
	among := slices.DeleteFunc(slices.Clone(speakersOf(k.point, k.on)),
		func(l string) bool { return l == "python" || missing[l] != "" })
	for i, r := range reaching {
		for j, p := range policies {
			k.route, k.policy, k.victim, k.others = r, p, among[(first+i+j)%len(among)],
				compiled()[(first/3+i+j)%len(compiled())]
			if m.file == "" {
				m.kill(t, k, reaching, (first+i+j)%3*((first+i)%20))
			} else {
				m.killByAll(t, k, reaching, first+i+j)
			}
		}
	}
	if first%3 == 0 && m.file == "" && missing["python"] == "" && slices.Contains(speakersOf(k.point, k.on), "python") {
		k.route, k.victim, k.policy = reaching[first%len(reaching)], "python", policies[first/3%len(policies)]
		m.kill(t, k, reaching, 0)
	}
}

// killByAll does it in every language that has the side. The soak does so until there are some 200
// kills at a point, later and later in a life.
func (m *matrix) killByAll(t *testing.T, k trial, reaching []route, first int) {
	t.Helper()
	for round := 0; round == 0 || soak && round*len(reaching)*len(policies)*len(speakersOf(k.point, k.on)) < 200; round++ {
		for l, victim := range speakersOf(k.point, k.on) {
			if missing[victim] == "" {
				k.victim, k.others = victim, compiled()[(first+round+l)%len(compiled())]
				m.kill(t, k, reaching, round*round%41)
			}
		}
	}
}

// kill kills at a later passage, which finds the ring in another state, or, as not every route has
// so many, at the first one.
func (m *matrix) kill(t *testing.T, k trial, reaching []route, later int) {
	t.Helper()
	k.passage = 1 + later
	if m.killed(t, k) {
		return
	}
	k.passage = 1
	reached := later > 0 && m.killed(t, k)
	// Which side takes a step is a matter of time: one that slept, or lost its processor for a
	// while, goes through the library, and that through Go. And a ring of one or two messages is
	// not so often full in the way that a route means.
	for attempt := 0; !reached && !t.Failed() && attempt < 3; attempt++ {
		if attempt > 0 {
			k.policy = policies[0]
		}
		k.on, k.route = "", reaching[(later+attempt)%len(reaching)]
		reached = m.killed(t, k)
	}
	require.True(t, reached || t.Failed(), "%s by %s in %s", k.route.name, k.victim, k.policy.name)
}

// environment makes the victim die. Without a side: wherever it comes by first.
func (k trial) environment() []string {
	if k.on == "" {
		return []string{"DATABLOCK_CRASH=" + k.point}
	}
	return trigger("DATABLOCK_CRASH", k.sides, k.on, k.point, k.victim, k.passage)
}

// killed kills a victim where its environment says and looks at what is left. It reports whether it
// came that way.
func (m *matrix) killed(t *testing.T, k trial) bool {
	t.Helper()
	reached := false
	env := k.environment()
	ok := t.Run(fmt.Sprintf("%s/%s/%s_among_%s/%s", k.route.name, k.policy.name, k.victim, k.others,
		strings.ReplaceAll(env[0], "/", ".")), func(t *testing.T) {
		x := newKillIn(t, k.policy, k.victim, k.others)
		x.env = env
		v, died := k.route.walk(x)
		reached = died
		if died && v != nil {
			require.Equal(t, syscall.SIGKILL, v.deathSignal(), "it ended by itself")
		}
		if !died {
			v.send("exit")
			v.deathSignal()
		}
		follows := x.whatFollows()
		x.aftermath()
		if died {
			m.add(k, x, follows)
		}
	})
	m.count()
	return ok && reached
}
