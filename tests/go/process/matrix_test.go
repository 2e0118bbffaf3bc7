package process_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"datablock/internal/layout"
)

// matrix is what the kills of a run showed, point by point.
type matrix struct {
	file string // to be written; "": the test tries only some of the combinations

	mu     sync.Mutex
	trials int
	rows   map[[2]string]*matrixRow // by point and role
}

// matrixRow counts the kills of one role at one point.
type matrixRow struct {
	kills                    int
	deliveries               map[string]bool
	policies, languages, how map[string]int
}

func newMatrix() *matrix {
	m := &matrix{rows: map[[2]string]*matrixRow{}, file: os.Getenv("DATABLOCK_MATRIX")}
	if soak && m.file == "" {
		m.file = "../../../docs/crash-matrix.md"
	}
	return m
}

func (m *matrix) count() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trials++
}

var roleNames = map[string]string{"produce": "producer", "consume": "consumer", "recover": "repair"}

// add notes a kill after which every check passed.
func (m *matrix) add(k trial, x *kill, follows string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := [2]string{k.point, roleNames[x.how.role]}
	r := m.rows[at]
	if r == nil {
		r = &matrixRow{
			deliveries: map[string]bool{},
			policies:   map[string]int{}, languages: map[string]int{}, how: map[string]int{},
		}
		m.rows[at] = r
	}
	r.kills++
	r.policies[k.policy.name]++
	r.languages[k.victim]++
	for _, a := range x.how.args {
		if d, found := strings.CutPrefix(a, "--delivery="); found {
			r.deliveries[strings.ToUpper(d)] = true
		}
	}
	if x.again != "" {
		follows = x.again
	}
	r.how[follows]++
}

// whatFollows says what happens after a death, judged by what the dead process has left. The
// aftermath shows that this happens, and that no other help is needed.
func (k *kill) whatFollows() string {
	switch {
	case k.dead == nil:
		return ""
	case k.how.role == "recover":
		return "the other participants continue"
	case k.how.role == "consume" && slices.Contains(k.how.args, "--durable"):
		return "the next consumer of that name continues"
	case k.how.role == "consume":
		for _, r := range k.diagnosis().Rows {
			if r.Row != layout.ProducerRow && !r.Alive {
				return "the process that needs the row, or waits for the owner, cleans the row"
			}
		}
		return "nothing of the consumer is left"
	case !slices.Contains(k.files(), block):
		return "the next producer creates the block"
	}
	switch state := uint32(k.word(k.dataPath(), layout.State)); {
	case state == layout.StateReplacing || state == layout.StateSuperseded:
		return "the next producer finishes the replacement"
	case k.producer != nil:
		return "the producer continues"
	}
	return "the next producer takes over the block"
}

// text is the page: what was tried, and the table.
func (m *matrix) text() string {
	var b strings.Builder
	kills := 0
	for _, r := range m.rows {
		kills += r.kills
	}
	among := slices.Clone(languages)
	fmt.Fprintf(&b, `# Killed at every point

A test killed a process with SIGKILL at each crash point. Crash points lie between any two stores,
compare-and-swaps or system calls that other processes can notice. The test used:

* every route that reaches the point (a route has a role and a delivery),
* blocks of every policy,
* every language whose worker has the point (%s),
* the part of the library that is Go, the part that is C, and inline code.

%d kills; %d other trials did not reach their point.

After each kill the test checks this, with no help but what the table says:

* The survivors continue, and a producer that is started again continues the ids.
* The LOSSLESS witness has every message that was committed.
* No id has two contents, and no message is torn.
* `+"`validate`"+` finds nothing.
* No file is left when all participants have closed.

%s writes this page (`+"`TestKilledAtEveryPoint`"+`).

| point | process | delivery | ring | single | double |`,
		strings.Join(among, ", "), kills, m.trials-kills, "`make soak`")
	for _, l := range among {
		fmt.Fprintf(&b, " %s |", l)
	}
	b.WriteString(" what follows |\n|---|---|---|---|---|---|" + strings.Repeat("---|", len(among)) + "---|\n")
	order := func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }
	for _, at := range slices.SortedFunc(maps.Keys(m.rows), order) {
		r := m.rows[at]
		fmt.Fprintf(&b, "| `%s` | %s | %s |", at[0], at[1], strings.Join(slices.Sorted(maps.Keys(r.deliveries)), ", "))
		for _, p := range policies {
			fmt.Fprintf(&b, " %d |", r.policies[p.name])
		}
		for _, l := range among {
			fmt.Fprintf(&b, " %d |", r.languages[l])
		}
		fmt.Fprintf(&b, " %s |\n", strings.Join(slices.Sorted(maps.Keys(r.how)), "; or "))
	}
	return b.String()
}
