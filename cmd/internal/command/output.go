package command

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/fatih/color"

	"datablock"
	"datablock/cmd/internal/monitor"
)

// Colour only on a terminal: the package checks that, and NO_COLOR.
var (
	good = color.New(color.FgGreen).SprintFunc()
	bad  = color.New(color.FgRed, color.Bold).SprintFunc()
	dim  = color.New(color.Faint).SprintFunc()
)

// output remembers that a write failed, for example on a full disk. No command checks each of its
// lines; all commands fail at their end then.
type output struct {
	to  io.Writer
	err error
}

func (o *output) Write(b []byte) (int, error) {
	if o.err == nil {
		_, o.err = o.to.Write(b)
	}
	return len(b), nil
}

func (a *app) print(format string, args ...any) { fmt.Fprintf(a.out, format, args...) }

func (a *app) printJSON(v any) error {
	a.printed = true
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table aligns columns. Cells must not be coloured unless they are the last ones.
func (a *app) table(header string, rows func(w *tabwriter.Writer)) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	rows(w)
	_ = w.Flush()
}

func size(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, 0
	for value >= unit && prefix < 4 {
		value /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[prefix])
}

func duration(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// printable shows a name that any attached process may have chosen, without the control characters
// that a terminal would obey.
func printable(name string) string { return monitor.Printable(name) }

func policyName(p uint32) string {
	return map[datablock.Policy]string{datablock.Single: "SINGLE", datablock.DoubleBuffer: "DOUBLE_BUFFER",
		datablock.Ring: "RING"}[datablock.Policy(p)]
}

func stateName(s uint32) string {
	return map[uint32]string{0: "UNREADABLE", 1: "CREATING", 2: "READY", 3: "CLOSED", 4: "SUPERSEDED",
		5: "REPLACING"}[s]
}

func alive(yes bool) string {
	if yes {
		return good("alive")
	}
	return bad("DEAD")
}
