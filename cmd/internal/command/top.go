package command

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"datablock/internal/core/segment"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"datablock"
	"datablock/cmd/internal/monitor"
	"datablock/cmd/internal/top"
)

type topJSON struct {
	TimeMs    int64          `json:"time_ms"` // since 1970
	TookMs    float64        `json:"took_ms"`
	Directory string         `json:"directory"`
	Problem   string         `json:"problem,omitempty"` // the directory cannot be read
	Blocks    []topBlockJSON `json:"blocks"`
}

type topBlockJSON struct {
	Name          string            `json:"name"`
	State         string            `json:"state"`
	Problem       string            `json:"problem,omitempty"`
	Schema        string            `json:"schema,omitempty"`
	SchemaVersion string            `json:"schema_version,omitempty"`
	Policy        string            `json:"policy,omitempty"`
	SlotCount     uint32            `json:"slot_count"`
	SlotSize      uint64            `json:"slot_size"`
	NextID        uint64            `json:"next_id"`
	ProducerPID   uint64            `json:"producer_pid"`
	Rate          *float64          `json:"messages_per_second"` // null: the first sample
	ByteRate      *float64          `json:"bytes_per_second"`
	Fill          float64           `json:"fill"`
	Living        uint32            `json:"living_consumers"`
	Lag           uint64            `json:"lag_messages"`
	LagMs         float64           `json:"lag_ms"`
	IdleMs        float64           `json:"idle_ms"`
	Replaced      bool              `json:"replaced"`
	Consumers     []topConsumerJSON `json:"consumers"`
}

type topConsumerJSON struct {
	Row      uint32   `json:"row"`
	Name     string   `json:"name"`
	Delivery string   `json:"delivery"`
	PID      uint64   `json:"pid"`
	Alive    bool     `json:"alive"`
	Durable  bool     `json:"durable"`
	Rate     *float64 `json:"messages_per_second"`
	Lag      uint64   `json:"lag_messages"`
	LagMs    float64  `json:"lag_ms"`
	LagKnown bool     `json:"lag_ms_exact"` // false: lag_ms is the least that it can be
	Trend    int      `json:"lag_trend"`    // 1 the lag grows, -1 it falls
	Missed   uint64   `json:"missed"`
	HeldUpMs float64  `json:"held_up_producer_ms"`
}

func (a *app) top() *cobra.Command {
	interval := time.Second
	once, asCSV := false, false
	cmd := &cobra.Command{
		Use:   "top [NAME]... [--interval 1s] [--once] [--json | --csv]",
		Short: "Watch all blocks and their consumers in the terminal",
		Long: `Shows a line for each block (schema, policy, messages and bytes a second, how full the ring is, its
consumers, the worst lag, a curve of the rate), and below it a line for each consumer: its lag in
messages and in time and whether it grows, what it missed, for how long it held the producer up. The
key ? explains the keys: sorting, a filter, a pause, the newest message decoded, and a plot.

The command takes no part in a block: it changes no byte, and no process sees it. Colours are for
terminals that have them; NO_COLOR in the environment switches them off.

For programs, --json prints a document in one line for each sample, and --csv rows, until Ctrl-C.
With --once the command takes two samples, --interval apart, prints the second one and ends.`,
		Example: `  datablock-admin top
  datablock-admin top camera lidar --interval 200ms
  datablock-admin top --once --json`,
		Args: cobra.ArbitraryArgs, ValidArgsFunction: a.completeBlocks,
		RunE: func(_ *cobra.Command, names []string) error {
			switch {
			case interval < 10*time.Millisecond:
				return usageError{fmt.Errorf("--interval=%v: at least 10ms", interval)}
			case asCSV && a.json:
				return usageError{errors.New("--csv and --json: give one of the two")}
			}
			directory, err := segment.ResolveDirectory(a.directory)
			if err != nil {
				return err
			}
			o := top.Options{Monitor: monitor.Options{Directory: a.directory, Names: names}, Directory: directory,
				Interval: interval, Output: os.Stdout}
			if once || asCSV || a.json {
				return a.topForPrograms(o, once, asCSV)
			}
			file, _ := a.out.to.(*os.File)
			if file == nil || !isatty.IsTerminal(file.Fd()) || !isatty.IsTerminal(os.Stdin.Fd()) {
				return usageError{errors.New("top needs a terminal: elsewhere say --once, --json or --csv")}
			}
			if err := top.Run(o); err != nil {
				return &datablock.Error{Code: datablock.ErrSystem, Detail: "the terminal: " + err.Error(), Cause: err}
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "the time between two samples")
	cmd.Flags().BoolVar(&once, "once", false, "print one sample and end")
	cmd.Flags().BoolVar(&asCSV, "csv", false, "print rows of comma-separated values, below the names of the columns")
	completeFlag(cmd, "interval", cobra.NoFileCompletions)
	return cmd
}

// topForPrograms prints samples, or only the second one.
func (a *app) topForPrograms(o top.Options, once, asCSV bool) error {
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	m := monitor.New(o.Monitor)
	defer m.Close()
	ticker := time.NewTicker(o.Interval)
	defer ticker.Stop()
	titled := false
	for first := true; ; first = false {
		v := m.Sample()
		if v.Problem != nil {
			return v.Problem
		}
		if !once || !first {
			if err := a.showTop(o, v, once, asCSV, !titled); err != nil {
				return err
			}
			titled = true
			if once || a.out.err != nil {
				return nil
			}
		}
		select {
		case <-stop.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (a *app) showTop(o top.Options, v *monitor.View, once, asCSV, title bool) error {
	switch {
	case asCSV:
		return a.topCSV(v, title)
	case a.json && once:
		return a.printJSON(topOf(v, o.Directory))
	case a.json:
		a.printed = true
		return json.NewEncoder(a.out).Encode(topOf(v, o.Directory))
	}
	a.print("%s", top.Text(o, v))
	return nil
}

func topOf(v *monitor.View, directory string) topJSON {
	j := topJSON{TimeMs: v.At.UnixMilli(), TookMs: *milliseconds(v.Took, true), Directory: directory,
		Blocks: []topBlockJSON{}}
	for _, b := range v.Blocks {
		j.Blocks = append(j.Blocks, topBlockOf(b))
	}
	return j
}

// known is a rate, nil in the first sample.
func known(b *monitor.Block, rate float64) *float64 {
	if b.Interval == 0 {
		return nil
	}
	return &rate
}

func topBlockOf(b *monitor.Block) topBlockJSON {
	j := topBlockJSON{Name: b.Name, State: b.State, Policy: policyName(b.Info.Policy), SlotCount: b.Info.SlotCount,
		SlotSize: b.Info.SlotSize, NextID: b.Info.NextID, ProducerPID: b.Info.ProducerPID, Rate: known(b, b.Rate),
		ByteRate: known(b, b.ByteRate), Fill: b.Fill, Living: b.Info.Consumers, Lag: b.WorstLag,
		LagMs: *milliseconds(b.WorstLagTime, true), IdleMs: *milliseconds(b.Idle, true), Replaced: b.Replaced,
		Consumers: []topConsumerJSON{}}
	if b.Problem != nil {
		j.Problem = b.Problem.Error()
	}
	if b.Schema != nil {
		j.Schema, j.SchemaVersion = b.Schema.Name, b.Schema.Version.String()
	}
	for i := range b.Consumers {
		c := &b.Consumers[i]
		j.Consumers = append(j.Consumers, topConsumerJSON{c.Row, printable(c.Name),
			datablock.Delivery(c.Delivery).String(), c.PID, c.Alive, c.Durable, known(b, c.Rate), c.Behind,
			*milliseconds(c.LagTime, true), c.LagTimeKnown, c.Trend, c.Missed, *milliseconds(c.HeldUp, true)})
	}
	return j
}

var topColumns = []string{"time_ms", "kind", "block", "state", "schema", "policy", "row", "consumer", "delivery", "pid",
	"alive", "durable", "messages_per_second", "bytes_per_second", "fill", "living_consumers", "lag_messages", "lag_ms",
	"lag_ms_exact", "missed", "held_up_producer_ms", "problem"}

// topCSV prints a row for each block and for each consumer. A column that does not concern a row is
// empty.
func (a *app) topCSV(v *monitor.View, title bool) error {
	w := csv.NewWriter(a.out)
	if title {
		_ = w.Write(topColumns)
	}
	now := strconv.FormatInt(v.At.UnixMilli(), 10)
	number := func(f *float64) string {
		if f == nil {
			return ""
		}
		return strconv.FormatFloat(*f, 'g', 9, 64)
	}
	for _, m := range v.Blocks {
		b := topBlockOf(m)
		_ = w.Write([]string{now, "block", b.Name, b.State, b.Schema, b.Policy, "", "", "", fmt.Sprint(b.ProducerPID),
			fmt.Sprint(b.ProducerPID != 0), "", number(b.Rate), number(b.ByteRate), number(&b.Fill),
			fmt.Sprint(b.Living), fmt.Sprint(b.Lag), number(&b.LagMs), "", "", "", printable(b.Problem)})
		for i := range b.Consumers {
			c := &b.Consumers[i]
			_ = w.Write([]string{now, "consumer", b.Name, "", "", "", fmt.Sprint(c.Row), c.Name, c.Delivery,
				fmt.Sprint(c.PID), fmt.Sprint(c.Alive), fmt.Sprint(c.Durable), number(c.Rate), "", "", "",
				fmt.Sprint(c.Lag), number(&c.LagMs), fmt.Sprint(c.LagKnown), fmt.Sprint(c.Missed),
				number(&c.HeldUpMs), ""})
		}
	}
	w.Flush()
	return w.Error()
}
