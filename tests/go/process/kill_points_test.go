package process_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
	inline side = "inline" // the inline functions in a program; the same text is in the library
)

// source has files with crash points, and the sides that these files are on.
type source struct {
	pattern string
	call    *regexp.Regexp
	sides   []side
}

// sources has the files with the crash points of each side.
var sources = append([]source{
	{"../../../internal/core/*/*.go", regexp.MustCompile(`crash\.Point\("([^"]+)"\)`), []side{inGo}},
	{"../../../capi/*.c", regexp.MustCompile(`DATABLOCK_CRASH_POINT\("([^"]+)"\)`), []side{inC}},
	{"../../../include/datablock/detail/*.h", regexp.MustCompile(`DATABLOCK_CRASH_POINT\("([^"]+)"\)`),
		[]side{inC, inline}},
}, systemSources...)

// crashPoints returns all crash points and their sides. It finds them in the sources, so that none
// is forgotten.
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

// speakersOf returns the languages of a side for a point.
func speakersOf(point string, s side) []string {
	if s == inGo && strings.HasSuffix(point, "any") { // C's wait for several blocks never becomes Go's
		return speakers[s][:1]
	}
	return speakers[s]
}

// routesTo returns the routes that may reach a point.
func routesTo(point string) []route {
	word, _, _ := strings.Cut(point, ".")
	if candidates, known := routes[word]; known {
		return candidates
	}
	return allRoutes()
}

// trigger returns the environment that makes a victim die (DATABLOCK_CRASH), or stop, at its n-th
// passage of a point on this side.
func trigger(variable string, sides []side, s side, point, victim string, passage int) []string {
	if s != inGo {
		return []string{fmt.Sprintf("%s=%s/%s:%d", variable, s, point, passage)}
	}
	env := []string{fmt.Sprintf("%s=%s:%d", variable, point, passage)}
	if victim != "go" && len(sides) > 1 { // otherwise C would reach the point first
		env = append(env, "DATABLOCK_TEST_GO=1")
	}
	return env
}

// trial is one kill: its point, its route, and the other languages.
type trial struct {
	point          string
	sides          []side
	on             side
	route          route
	policy         policy
	victim, others string
	passage        int
}

// TestKilledAtEveryPoint kills at each crash point, on every side, and on every route that reaches
// the point. Each route has one of the policies, and another one in another run: a policy decides
// the size of the ring, and all policies run the same code. With DATABLOCK_SOAK=1 or
// DATABLOCK_MATRIX=FILE the test tries every combination of point, route (role and delivery),
// policy, side and language, and writes docs/crash-matrix.md or FILE. The test fails if no route
// reaches a point on one of its sides.
func TestKilledAtEveryPoint(t *testing.T) {
	all := crashPoints(t)
	m := newMatrix()
	t.Run("at", func(t *testing.T) {
		for _, point := range chosen(slices.Sorted(maps.Keys(all))) {
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

// chosen takes DATABLOCK_POINTS=N of the points, and other ones in the next turn. Without the
// variable it takes all.
func chosen(points []string) (some []string) {
	n, err := strconv.Atoi(os.Getenv("DATABLOCK_POINTS"))
	if err != nil || n <= 0 || n >= len(points) {
		return points
	}
	for i := range n {
		some = append(some, points[(turn+i*len(points)/n)%len(points)])
	}
	return some
}

// killAt kills at one point on one side, in all combinations of this run.
func (m *matrix) killAt(t *testing.T, k trial) {
	t.Helper()
	first := turnOf(t)
	var reaching []route
	for attempt := 0; len(reaching) == 0 && attempt < 6; attempt++ { // timing decides, as in kill
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
			if m.file == "" && j != (first/2+i)%len(policies) {
				continue
			}
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

// killByAll kills in every language of the side. The soak repeats it until there are about 200
// kills at a point, at later and later passages.
func (m *matrix) killByAll(t *testing.T, k trial, reaching []route, first int) {
	t.Helper()
	each := len(reaching) * len(policies) * len(speakersOf(k.point, k.on))
	for round := 0; round == 0 || soak && round*each < 200; round++ {
		for l, victim := range speakersOf(k.point, k.on) {
			if missing[victim] == "" {
				k.victim, k.others = victim, compiled()[(first+round+l)%len(compiled())]
				m.kill(t, k, reaching, round*round%41)
			}
		}
	}
}

// kill kills at a later passage, where the ring is in another state. If the route has fewer
// passages, it kills at the first one.
func (m *matrix) kill(t *testing.T, k trial, reaching []route, later int) {
	t.Helper()
	k.passage = 1 + later
	if m.killed(t, k) {
		return
	}
	k.passage = 1
	reached := later > 0 && m.killed(t, k)
	// Timing decides which side takes a step: after a sleep or a pause inline code calls the
	// library, and the library calls Go. Also, a ring of one or two messages is rarely full in the
	// way that a route needs.
	for attempt := 0; !reached && !t.Failed() && attempt < 3; attempt++ {
		if attempt > 0 {
			k.policy = policies[0]
		}
		k.on, k.route = "", reaching[(later+attempt)%len(reaching)]
		reached = m.killed(t, k)
	}
	require.True(t, reached || t.Failed(), "%s by %s in %s", k.route.name, k.victim, k.policy.name)
}

// environment makes the victim die. Without a side the victim dies at its first passage on any
// side.
func (k trial) environment() []string {
	if k.on == "" {
		return []string{"DATABLOCK_CRASH=" + k.point}
	}
	return trigger("DATABLOCK_CRASH", k.sides, k.on, k.point, k.victim, k.passage)
}

// killed kills a victim as its environment says, and checks what is left. It reports whether the
// victim reached the point.
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
