package command

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datablock"
	"datablock/cmd/internal/monitor"
)

type checkJSON struct {
	Name      string   `json:"name"`
	Healthy   bool     `json:"healthy"`
	Problems  []string `json:"problems"`
	State     string   `json:"state"`
	Rate      *float64 `json:"messages_per_second"` // null: the limits were decided before it was known
	Lag       uint64   `json:"lag_messages"`        // the largest of a LOSSLESS or ORDERED consumer
	LagMs     *float64 `json:"lag_ms"`              // the same in time; null: not known
	IdleMs    float64  `json:"idle_ms"`             // since the newest message
	Consumers uint32   `json:"consumers"`           // living ones
}

// limits are what check compares with. Zero: not asked for.
type limits struct {
	lag, idle, window time.Duration
	lagMessages       uint64
	rate              float64
	consumers         uint32
	producer          bool
	given             func(flag string) bool
}

func (a *app) check() *cobra.Command {
	var l limits
	perfdata := false
	cmd := &cobra.Command{
		Use:   "check [NAME]... [--max-lag 1s] [--max-idle 5s] [--producer-alive]",
		Short: "Compare blocks with limits, for a monitoring system",
		Long: `Prints one line for each block, "OK" or "PROBLEM" first, and ends with exit code 1 if a block is over
a limit, cannot be read, or is named and does not exist. Without a NAME it checks all blocks of the
directory. Without limits a block is healthy if its files can be read.

The command is no participant, and the producer does not see it. It ends as soon as every limit is
decided: at once where the block stores the times of its messages, and otherwise after --window for
--min-rate, and after the limit itself at most for --max-lag and --max-idle.

--max-lag and --max-lag-messages are about the LOSSLESS and ORDERED consumers: the age and the
number of the messages that the slowest one has yet to read. --max-idle is about the newest message.

Nagios, Icinga and the like take 0 for OK, 1 for WARNING, 2 for CRITICAL and 3 for UNKNOWN. With the
exit codes of this program a problem is a WARNING, wrong usage CRITICAL, and a directory that does
not exist UNKNOWN. Their plug-in "negate" makes a problem CRITICAL:
"negate -w CRITICAL datablock-admin check camera --max-lag 1s". --perfdata adds figures in their
format.`,
		Example: `  datablock-admin check camera --max-lag 1s --max-idle 5s --producer-alive
  datablock-admin check --min-rate 25 --perfdata
  datablock-admin check camera lidar --max-lag-messages 100 --json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			l.given = cmd.Flags().Changed
			for _, d := range []struct {
				flag string
				d    time.Duration
			}{{"max-lag", l.lag}, {"max-idle", l.idle}, {"window", l.window}} {
				if d.d < 0 || d.d == 0 && d.flag == "window" {
					return usageError{fmt.Errorf("--%s=%v: more than 0s", d.flag, d.d)}
				}
			}
			if !(l.rate >= 0) { // not a number, too
				return usageError{fmt.Errorf("--min-rate=%v: at least 0", l.rate)}
			}
			return a.checkBlocks(names, &l, perfdata)
		},
		ValidArgsFunction: a.completeBlocks,
	}
	f := cmd.Flags()
	f.DurationVar(&l.lag, "max-lag", 0, "the oldest message that a consumer has yet to read is not older")
	f.Uint64Var(&l.lagMessages, "max-lag-messages", 0, "no consumer has yet to read more messages")
	f.DurationVar(&l.idle, "max-idle", 0, "the newest message is not older")
	f.Float64Var(&l.rate, "min-rate", 0, "the producer writes as many messages a second")
	f.Uint32Var(&l.consumers, "min-consumers", 0, "as many living consumers are attached")
	f.BoolVar(&l.producer, "producer-alive", false, "a living producer has the block open")
	f.DurationVar(&l.window, "window", time.Second, "the time in which --min-rate counts")
	f.BoolVar(&perfdata, "perfdata", false, "add figures after a bar, as monitoring systems read them")
	for _, flag := range []string{"max-lag", "max-lag-messages", "max-idle", "min-rate", "min-consumers", "window"} {
		completeFlag(cmd, flag, cobra.NoFileCompletions)
	}
	return cmd
}

// answer is whether a limit is kept.
type answer int

const (
	undecided answer = iota // until later samples show more
	kept
	exceeded
)

// checkInterval is how often check looks at the blocks.
const checkInterval = 50 * time.Millisecond

func (a *app) checkBlocks(names []string, l *limits, perfdata bool) error {
	m := monitor.New(monitor.Options{Directory: a.directory, Names: names,
		History: l.window + l.lag + l.idle + time.Minute})
	defer m.Close()
	begun := time.Now()
	first := map[string]monitor.Point{} // of each block
	for {
		v := m.Sample()
		if v.Problem != nil {
			return v.Problem
		}
		for _, b := range v.Blocks {
			if errors.Is(b.Problem, datablock.ErrInvalid) { // no block can have that name
				return b.Problem
			}
		}
		all, decided := l.compare(v, first, v.At.Sub(begun))
		if decided || v.At.Sub(begun) > l.longest() {
			return a.showChecks(all, l, perfdata)
		}
		time.Sleep(checkInterval)
	}
}

// longest is when every limit is decided.
func (l *limits) longest() time.Duration { return max(l.window, l.lag, l.idle) + 10*checkInterval }

// compare compares all blocks. It reports whether later samples can change nothing.
func (l *limits) compare(v *monitor.View, first map[string]monitor.Point, elapsed time.Duration) (all []checkJSON,
	decided bool) {
	decided = true
	for _, b := range v.Blocks {
		j := checkJSON{Name: b.Name, State: b.State, Problems: []string{}}
		if b.Problem != nil {
			j.Problems = append(j.Problems, b.Problem.Error())
			all = append(all, j)
			continue
		}
		newest := b.History[len(b.History)-1]
		begun, known := first[b.Name]
		if !known || b.Replaced {
			begun = newest
			first[b.Name] = newest
		}
		if seconds := newest.At.Sub(begun.At).Seconds(); elapsed >= l.window && seconds > 0 {
			rate := float64(newest.NextID-min(begun.NextID, newest.NextID)) / seconds
			j.Rate = &rate
		}
		j.Lag, j.LagMs, j.IdleMs = b.WorstLag, milliseconds(b.WorstLagTime, lagsKnown(b)), *milliseconds(b.Idle, true)
		j.Consumers = b.Info.Consumers
		for _, c := range l.conditions(b, j, newest.NextID > begun.NextID, elapsed) {
			decided = decided && c.answer != undecided
			if c.answer == exceeded {
				j.Problems = append(j.Problems, c.problem)
			}
		}
		all = append(all, j)
	}
	for i := range all {
		all[i].Healthy = len(all[i].Problems) == 0
	}
	return all, decided
}

type condition struct {
	answer  answer
	problem string
}

// conditions compares one block. came: a message came while the command looked.
func (l *limits) conditions(b *monitor.Block, j checkJSON, came bool, elapsed time.Duration) (all []condition) {
	add := func(flag string, a answer, format string, args ...any) {
		if l.given(flag) {
			all = append(all, condition{a, fmt.Sprintf(format, args...)})
		}
	}
	isKept := func(yes bool) answer {
		if yes {
			return kept
		}
		return exceeded
	}
	add("producer-alive", isKept(b.State == "live"), "no living producer: %s", b.State)
	add("min-consumers", isKept(b.Info.Consumers >= l.consumers), "living consumers: %d, less than %d",
		b.Info.Consumers, l.consumers)
	c := worstConsumer(b, func(a, b *monitor.Consumer) bool { return a.Behind > b.Behind })
	if c != nil {
		add("max-lag-messages", isKept(c.Behind <= l.lagMessages), "%s has yet to read %d messages, more than %d",
			consumerText(c), c.Behind, l.lagMessages)
	}
	if c = worstConsumer(b, func(a, b *monitor.Consumer) bool { return a.LagTime > b.LagTime }); c != nil {
		least, inTime := "", kept
		switch {
		case c.LagTime > l.lag:
			inTime = exceeded
		case !lagsKnown(b) && elapsed <= l.lag:
			inTime = undecided
		}
		if !c.LagTimeKnown {
			least = "at least "
		}
		add("max-lag", inTime, "%s has yet to read a message that is %s%s old, more than %v", consumerText(c), least,
			monitor.Time(c.LagTime), l.lag)
	}
	idle := isKept(b.Idle <= l.idle)
	if idle == kept && !came && !b.IdleKnown && elapsed <= l.idle {
		idle = undecided
	}
	if b.Info.NextID == 0 {
		add("max-idle", idle, "no message was ever written")
	} else {
		add("max-idle", idle, "the newest message is %s old, more than %v", monitor.Time(b.Idle), l.idle)
	}
	if j.Rate != nil {
		add("min-rate", isKept(*j.Rate >= l.rate), "%s messages/s, less than %g", monitor.Number(*j.Rate), l.rate)
	} else {
		add("min-rate", undecided, "")
	}
	return all
}

// worstConsumer returns a LOSSLESS or ORDERED consumer, nil if there is none.
func worstConsumer(b *monitor.Block, worse func(a, b *monitor.Consumer) bool) (worst *monitor.Consumer) {
	for i := range b.Consumers {
		c := &b.Consumers[i]
		if c.Delivery != uint8(datablock.Latest) && (worst == nil || worse(c, worst)) {
			worst = c
		}
	}
	return worst
}

func lagsKnown(b *monitor.Block) bool {
	for i := range b.Consumers {
		if c := &b.Consumers[i]; c.Delivery != uint8(datablock.Latest) && !c.LagTimeKnown {
			return false
		}
	}
	return true
}

func consumerText(c *monitor.Consumer) string {
	return fmt.Sprintf("consumer %q (row %d, pid %d)", printable(c.Name), c.Row, c.PID)
}

func (a *app) showChecks(all []checkJSON, l *limits, perfdata bool) error {
	healthy := true
	for _, j := range all {
		healthy = healthy && j.Healthy
	}
	if a.json {
		if all == nil {
			all = []checkJSON{}
		}
		if err := a.printJSON(all); err != nil {
			return err
		}
	} else {
		for _, j := range all {
			a.print("%s\n", l.line(j, perfdata))
		}
		if len(all) == 0 {
			a.print("OK no blocks\n")
		}
	}
	if !healthy {
		return errProblems
	}
	return nil
}

func (l *limits) line(j checkJSON, perfdata bool) string {
	text := good("OK")
	if !j.Healthy {
		text = bad("PROBLEM")
	}
	text += " " + printable(j.Name) + ": "
	figures := j.State
	if j.Rate != nil {
		figures += fmt.Sprintf(", %s messages/s", monitor.Number(*j.Rate))
	}
	figures += fmt.Sprintf(", lag %d", j.Lag)
	if j.LagMs != nil {
		figures += fmt.Sprintf(" (%s)", fromMs(*j.LagMs))
	}
	figures += fmt.Sprintf(", living consumers %d, newest message %s old", j.Consumers, fromMs(j.IdleMs))
	if !j.Healthy {
		figures = printable(strings.Join(j.Problems, "; "))
	}
	text += strings.ReplaceAll(figures, "|", "/") // a bar begins the figures for programs
	if perfdata {
		text += fmt.Sprintf(" | rate=%s;%s lag=%d;%s lag_time=%s;%s idle=%.6gs;%s consumers=%d",
			orUnknown(j.Rate, 1, ""), l.bound("min-rate", fmt.Sprintf("%g:", l.rate)),
			j.Lag, l.bound("max-lag-messages", fmt.Sprint(l.lagMessages)),
			orUnknown(j.LagMs, 1000, "s"), l.bound("max-lag", fmt.Sprintf("%g", l.lag.Seconds())),
			j.IdleMs/1000, l.bound("max-idle", fmt.Sprintf("%g", l.idle.Seconds())), j.Consumers)
	}
	return text
}

// orUnknown is a figure for programs. U stands for one that is not known.
func orUnknown(value *float64, divide float64, unit string) string {
	if value == nil {
		return "U"
	}
	return fmt.Sprintf("%.6g%s", *value/divide, unit)
}

// bound is a limit in the figures for programs, "" if it was not given.
func (l *limits) bound(flag, text string) string {
	if !l.given(flag) {
		return ""
	}
	return text
}

func fromMs(ms float64) string { return monitor.Time(time.Duration(ms * float64(time.Millisecond))) }
