package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"datablock"
	"datablock/cmd/internal/monitor"
)

// lookInterval is how often rate looks at the block.
const lookInterval = 200 * time.Microsecond

type rateJSON struct {
	Kind     string   `json:"kind"`    // "window", or "summary" of the whole time
	TimeMs   int64    `json:"time_ms"` // since 1970, at the end
	Seconds  float64  `json:"seconds"`
	Messages uint64   `json:"messages"`
	Rate     float64  `json:"messages_per_second"`
	ByteRate float64  `json:"bytes_per_second"`
	Periods  uint64   `json:"periods"` // between two messages; the figures below are of these
	MinMs    *float64 `json:"period_min_ms"`
	MeanMs   *float64 `json:"period_mean_ms"`
	P99Ms    *float64 `json:"period_p99_ms"`
	MaxMs    *float64 `json:"period_max_ms"`
	JitterMs *float64 `json:"jitter_ms"` // standard deviation of the period
	Exact    bool     `json:"exact"`     // the block stores the times of the messages
}

var rateColumns = []string{"kind", "time_ms", "seconds", "messages", "messages_per_second", "bytes_per_second",
	"periods", "period_min_ms", "period_mean_ms", "period_p99_ms", "period_max_ms", "jitter_ms", "exact"}

type rateOptions struct {
	window, duration time.Duration
	count            uint64
	csv              bool
}

func (a *app) rate() *cobra.Command {
	var name string
	var o rateOptions
	cmd := &cobra.Command{
		Use:   "rate --shm-name NAME [--window 1s] [--duration 10s | --count N]",
		Short: "Measure messages a second, bytes a second, and the time between messages",
		Long: `Prints a line for each window of time until Ctrl-C, then a summary of the whole time: messages and
bytes of payload a second, the least, the mean, the 99th percentile and the largest time between two
messages (the period), and the jitter, which is the standard deviation of the period.

The command is no participant, and the producer does not see it. If the block stores the time of
each message (TIMESTAMP), the periods are exact. Otherwise the command looks at the block 5,000
times a second at most, and a period can be wrong by the time between two looks. A block that is
made again under the same name is followed, and the line of that window has messages of both.

With --json each line is one document, with --csv a row. The summary has the kind "summary", and is
left out where there was only one line.`,
		Example: `  datablock-admin rate camera
  datablock-admin rate --shm-name camera --window 5s --duration 1m --csv`,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case o.window < 10*time.Millisecond:
				return usageError{fmt.Errorf("--window=%v: at least 10ms", o.window)}
			case o.duration < 0:
				return usageError{fmt.Errorf("--duration=%v: at least 0s, which is no limit", o.duration)}
			case o.csv && a.json:
				return usageError{errors.New("--csv and --json: give one of the two")}
			}
			return a.measure(name, o)
		},
	}
	cmd.Flags().DurationVar(&o.window, "window", time.Second, "the time that one line is of")
	cmd.Flags().DurationVar(&o.duration, "duration", 0, "stop after this time (0s: at Ctrl-C)")
	cmd.Flags().Uint64Var(&o.count, "count", 0, "stop after so many lines (0: at Ctrl-C)")
	cmd.Flags().BoolVar(&o.csv, "csv", false, "print rows of comma-separated values, below the names of the columns")
	for _, flag := range []string{"window", "duration", "count"} {
		completeFlag(cmd, flag, cobra.NoFileCompletions)
	}
	return a.blockFlag(cmd, &name)
}

// measurement is what one line is of.
type measurement struct {
	begun    time.Time
	messages uint64
	bytes    float64
	periods  monitor.Periods
}

// gauge measures one block.
type gauge struct {
	a              *app
	name           string
	o              rateOptions
	reader         *datablock.MetricsReader
	meter          *monitor.Meter
	bytes          uint64 // of the block, at the end of the last window
	window, whole  measurement
	lines          uint64
	complete       bool // nothing was measured after the last line
	titled         bool
	slowest        time.Duration // the longest time between two looks
	lastLookOfTurn time.Time
}

func (a *app) measure(name string, o rateOptions) error {
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	g := &gauge{a: a, name: name, o: o}
	if err := g.open(); err != nil {
		return err
	}
	defer func() { _ = g.reader.Close() }()
	now := time.Now()
	g.window.begun, g.whole.begun, g.lastLookOfTurn = now, now, now
	err := g.run(stop)
	forPrograms := a.json || o.csv
	if a.out.err == nil && (g.whole.messages > 0 || err == nil) && !(forPrograms && g.lines == 1 && g.complete) {
		if e := g.print("summary", &g.whole, time.Now()); err == nil {
			err = e
		}
	}
	return err
}

func (g *gauge) open() error {
	reader, err := datablock.OpenMetrics(g.name, g.a.directory)
	if err != nil {
		return err
	}
	meter, err := monitor.NewMeter(reader)
	if err != nil {
		_ = reader.Close()
		return err
	}
	if g.reader != nil {
		_ = g.reader.Close()
	}
	g.reader, g.meter, g.bytes = reader, meter, 0
	if metrics, _, err := reader.Read(); err == nil {
		g.bytes = metrics.Bytes
	}
	return nil
}

// run looks at the block until the time is over, the user ends it, or the block has gone.
func (g *gauge) run(stop context.Context) error {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		now := time.Now()
		g.slowest, g.lastLookOfTurn = max(g.slowest, now.Sub(g.lastLookOfTurn)), now
		g.complete = false
		if err := g.look(); err != nil {
			return err
		}
		over := g.o.duration > 0 && now.Sub(g.whole.begun) >= g.o.duration
		if now.Sub(g.window.begun) >= g.o.window || over && now.Sub(g.window.begun) >= g.o.window/2 {
			if err := g.endWindow(now); err != nil || g.a.out.err != nil {
				return err
			}
			over = over || g.o.count > 0 && g.lines >= g.o.count
		}
		if over {
			return nil
		}
		select {
		case <-stop.Done():
			return g.addBytes()
		case <-ticker.C:
		}
	}
}

func (g *gauge) look() error {
	count, err := g.meter.Look(&g.window.periods, &g.whole.periods)
	if errors.Is(err, datablock.ErrSuperseded) {
		return g.open() // ErrNotFound: it was removed
	}
	g.window.messages += count
	g.whole.messages += count
	return err
}

// addBytes adds the bytes since the last window.
func (g *gauge) addBytes() error {
	metrics, _, err := g.reader.Read()
	if errors.Is(err, datablock.ErrSuperseded) {
		return nil // the next look opens the block
	}
	if err != nil {
		return err
	}
	if metrics.Bytes >= g.bytes {
		g.window.bytes += float64(metrics.Bytes - g.bytes)
		g.whole.bytes += float64(metrics.Bytes - g.bytes)
	}
	g.bytes = metrics.Bytes
	return nil
}

func (g *gauge) endWindow(now time.Time) error {
	if err := g.addBytes(); err != nil {
		return err
	}
	g.lines++
	err := g.print("window", &g.window, now)
	g.window, g.complete = measurement{begun: now}, true
	return err
}

func milliseconds(d time.Duration, known bool) *float64 {
	if !known {
		return nil
	}
	ms := float64(d) / float64(time.Millisecond)
	return &ms
}

func (g *gauge) print(kind string, m *measurement, now time.Time) error {
	seconds := max(now.Sub(m.begun).Seconds(), 1e-9)
	p, known := &m.periods, m.periods.Count > 0
	j := rateJSON{kind, now.UnixMilli(), seconds, m.messages, float64(m.messages) / seconds, m.bytes / seconds, p.Count,
		milliseconds(p.Min, known), milliseconds(p.Mean(), known), milliseconds(p.Quantile(0.99), known),
		milliseconds(p.Max, known), milliseconds(p.Jitter(), known), g.meter.Exact()}
	switch {
	case g.a.json:
		g.a.printed = true
		return json.NewEncoder(g.a.out).Encode(j)
	case g.o.csv:
		g.printCSV(j)
	case kind == "summary":
		g.printSummary(j, p)
	default:
		g.printLine(j, p)
	}
	return nil
}

func (g *gauge) printCSV(j rateJSON) {
	if !g.titled {
		g.a.print("%s\n", strings.Join(rateColumns, ","))
		g.titled = true
	}
	float := func(f *float64) string {
		if f == nil {
			return ""
		}
		return strconv.FormatFloat(*f, 'g', 9, 64)
	}
	g.a.print("%s,%d,%s,%d,%s,%s,%d,%s,%s,%s,%s,%s,%v\n", j.Kind, j.TimeMs, float(&j.Seconds), j.Messages,
		float(&j.Rate), float(&j.ByteRate), j.Periods, float(j.MinMs), float(j.MeanMs), float(j.P99Ms),
		float(j.MaxMs), float(j.JitterMs), j.Exact)
}

const rateFormat = "%12s %12s %9s %9s %9s %9s %9s\n"

func (g *gauge) printLine(j rateJSON, p *monitor.Periods) {
	const titleEvery = 20
	if (g.lines-1)%titleEvery == 0 {
		g.a.print(rateFormat, "MESSAGES/S", "BYTES/S", "MIN", "MEAN", "P99", "MAX", "JITTER")
	}
	g.a.print(rateFormat, monitor.Number(j.Rate), monitor.Bytes(j.ByteRate), period(p, p.Min), period(p, p.Mean()),
		period(p, p.Quantile(0.99)), period(p, p.Max), period(p, p.Jitter()))
}

func period(p *monitor.Periods, d time.Duration) string {
	if p.Count == 0 {
		return "-"
	}
	return monitor.Time(d)
}

func (g *gauge) printSummary(j rateJSON, p *monitor.Periods) {
	g.a.print("\n%d messages of block %q in %s: %s messages/s, %s/s\n", j.Messages, printable(g.name),
		monitor.Time(time.Duration(j.Seconds*1e9)), monitor.Number(j.Rate), monitor.Bytes(j.ByteRate))
	if p.Count == 0 {
		g.a.print("too few messages for a period\n")
		return
	}
	g.a.print("period: min %s, mean %s, p99 %s, max %s, jitter %s\n", period(p, p.Min), period(p, p.Mean()),
		period(p, p.Quantile(0.99)), period(p, p.Max), period(p, p.Jitter()))
	if !j.Exact {
		g.a.print("%s\n", dim("the block stores no times: the looks were up to "+monitor.Time(g.slowest)+" apart"))
	}
}
