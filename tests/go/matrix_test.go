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

// matrix has the results of all kills of a run, for each point.
type matrix struct {
	file string // the file to write; "": the run tries only a part of the combinations

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
		m.file = "../../docs/crash-matrix.md"
	}
	return m
}

func (m *matrix) count() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trials++
}

var roleNames = map[string]string{"produce": "producer", "consume": "consumer", "recover": "repair"}

// add counts a kill after which all checks have passed.
func (m *matrix) add(k trial, x *kill, follows string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := [2]string{k.point, roleNames[x.how.role]}
	r := m.rows[at]
	if r == nil {
		r = &matrixRow{deliveries: map[string]bool{},
			policies: map[string]int{}, languages: map[string]int{}, how: map[string]int{}}
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

// whatFollows describes the recovery from a death, from what the victim has left. aftermath checks
// that this recovery happens, and that it needs no other help.
func (k *kill) whatFollows() string {
	switch {
	case k.dead == nil:
		return ""
	case k.how.role == "recover":
		return "the others go on"
	case k.how.role == "consume" && slices.Contains(k.how.args, "--durable"):
		return "under its name the next one goes on"
	case k.how.role == "consume":
		for _, r := range k.diagnosis().Rows {
			if r.Row != layout.ProducerRow && !r.Alive {
				return "whoever needs the row, or waits for it, frees it"
			}
		}
		return "nothing of it is left"
	case !slices.Contains(k.files(), block):
		return "the next producer creates the block"
	}
	switch state := uint32(k.word(k.dataPath(), layout.State)); {
	case state == layout.StateReplacing || state == layout.StateSuperseded:
		return "the next producer finishes the replacement"
	case k.producer != nil:
		return "the producer goes on"
	}
	return "the next producer goes on with the block"
}

// text returns the page: the table, and what was tried.
func (m *matrix) text() string {
	var b strings.Builder
	kills := 0
	for _, r := range m.rows {
		kills += r.kills
	}
	among := slices.Clone(languages)
	fmt.Fprintf(&b, `# Killed at every point

A process was killed (SIGKILL) at each crash point, which lie between any two stores, compare-and-swaps `+
		`or system calls that others can notice: on every route that comes by (a route has a
role and a delivery), in blocks of every policy, in every language whose worker has the point (%s), `+
		`in the part of the library that is Go, the part that is C, and in inline code.
%d kills; %d other trials did not come by their point.

After each, without anybody's help but what the table says: the survivors go on, a producer that is started again `+
		`continues the ids, every message that was committed is with the LOSSLESS witness, no
id has two contents, nothing is torn, `+"`validate`"+
		` finds nothing, and when everybody has closed no file is left. %s writes this page
(`+"`TestKilledAtEveryPoint`"+`).

| point | who died | delivery | ring | single | double |`,
		strings.Join(among, ", "), kills, m.trials-kills, "`make soak`")
	for _, l := range among {
		fmt.Fprintf(&b, " %s |", l)
	}
	b.WriteString(" what follows |\n|---|---|---|---|---|---|" + strings.Repeat("---|", len(among)) + "---|\n")
	byName := func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }
	for _, at := range slices.SortedFunc(maps.Keys(m.rows), byName) {
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
