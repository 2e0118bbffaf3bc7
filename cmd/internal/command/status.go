package command

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"datablock/internal/core/segment"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"datablock"
)

type rowJSON struct {
	Row              uint32 `json:"row"`
	Role             string `json:"role"`
	Name             string `json:"name"`
	PID              uint64 `json:"pid"`
	PIDNamespace     uint64 `json:"pid_namespace"` // inode, 0: not known
	UID              uint32 `json:"uid"`
	Alive            bool   `json:"alive"`
	Delivery         string `json:"delivery,omitempty"`
	Durable          bool   `json:"durable"`
	Cursor           uint64 `json:"cursor"`
	Lag              uint64 `json:"lag"`
	Read             uint64 `json:"read"`
	Bytes            uint64 `json:"bytes"`
	Missed           uint64 `json:"missed"`
	Lost             uint64 `json:"lost"`
	Overruns         uint64 `json:"overruns"`
	ChecksumFailures uint64 `json:"checksum_failures"`
	Waits            uint64 `json:"waits"`
	WaitMs           int64  `json:"wait_ms"`
	Timeouts         uint64 `json:"timeouts"`
	// messages a second in the last RateMs: since the last reading, or at first since the attach
	Rate       float64  `json:"rate"`
	RateMs     int64    `json:"rate_window_ms"`
	Pins       []uint32 `json:"pins"`
	SilentMs   int64    `json:"silent_ms"`
	AgeUnknown bool     `json:"age_unknown"` // the clock of another time namespace cannot be compared
	AttachedMs int64    `json:"attached_ms"`
}

type metricsJSON struct {
	Written    uint64  `json:"written"`
	Bytes      uint64  `json:"bytes"`
	Aborted    uint64  `json:"aborted"`
	Fenced     uint64  `json:"fenced"`
	Waits      uint64  `json:"waits"`
	WaitMs     int64   `json:"wait_ms"`
	Timeouts   uint64  `json:"timeouts"`
	Scans      uint64  `json:"scans"`
	Cleaned    uint64  `json:"cleaned"`
	Recoveries uint64  `json:"recoveries"`
	AgeMs      int64   `json:"age_ms"`
	IdleMs     int64   `json:"idle_ms"`
	MaxLag     uint64  `json:"max_lag"`
	Rate       float64 `json:"rate"` // messages a second in the last RateMs; at the first reading, since the creation
	RateMs     int64   `json:"rate_window_ms"`
}

type statusJSON struct {
	Block        blockJSON   `json:"block"`
	Metrics      metricsJSON `json:"metrics"`
	Participants []rowJSON   `json:"participants"`
}

func (a *app) status() *cobra.Command {
	var name string
	var watch time.Duration
	cmd := &cobra.Command{
		Use:   "status --shm-name NAME [--watch[=1s]]",
		Short: "The producer and every consumer: position, rate, lag, what they missed",
		Long: `Shows a block's figures and its participants as their rows have them, and whether the kernel says
that they live. Nothing is changed. RATE is messages a second: on average since the block was made
(producer) or since the attach (consumer). With --watch the command repeats this until Ctrl-C, and
each rate after the first reading is that of the interval before. With --json each repetition then is
one line, and rate_window_ms is the time that a rate is of.`,
		Example: `  datablock-admin status --shm-name camera
  datablock-admin status --shm-name camera --watch=500ms`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("watch") {
				s, err := a.look(name, nil)
				if err != nil {
					return err
				}
				return a.showStatus(s, false)
			}
			if watch < 10*time.Millisecond {
				return usageError{fmt.Errorf("--watch=%v: at least 10ms", watch)}
			}
			return a.watch(name, watch)
		},
	}
	cmd.Flags().DurationVar(&watch, "watch", time.Second, "repeat at this interval")
	cmd.Flags().Lookup("watch").NoOptDefVal = "1s"
	completeFlag(cmd, "watch", cobra.NoFileCompletions)
	a.blockFlag(cmd, &name)
	block := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		for _, arg := range args {
			if _, err := time.ParseDuration(arg); err == nil && cmd.Flags().Changed("watch") {
				return usageError{fmt.Errorf("--watch %s: say --watch=%s, with = and without a space (and "+
					"--shm-name %s, if it is a block that is called so)", arg, arg, arg)}
			}
		}
		return block(cmd, args)
	}
	return cmd
}

// sample is one reading of a block's figures.
type sample struct {
	at     time.Time
	status statusJSON
	read   map[rowKey]uint64
	window time.Duration // of all rates, 0 at the first reading
}

// rowKey identifies a participant, and not a later owner of its row.
type rowKey struct {
	row      uint32
	attached int64
}

// look reads a block's figures. Rates are since the reading before, if there was one.
func (a *app) look(name string, before *sample) (*sample, error) {
	m, all, err := datablock.ReadMetrics(name, a.directory)
	if err != nil {
		return nil, err
	}
	s := &sample{at: time.Now(), read: map[rowKey]uint64{}}
	if before != nil {
		s.window = s.at.Sub(before.at)
	}
	rate := func(now, then uint64, window time.Duration) float64 {
		if window <= 0 || now < then {
			return 0
		}
		return float64(now-then) / window.Seconds()
	}
	written, window := uint64(0), m.Age
	if before != nil {
		written, window = before.status.Metrics.Written, s.window
	}
	s.status = statusJSON{blockOf(m.Block), metricsJSON{
		m.Written, m.Bytes, m.Aborted, m.Fenced, m.Waits, m.Waited.Milliseconds(), m.Timeouts, m.Scans, m.Cleaned,
		m.Recoveries, m.Age.Milliseconds(), m.Idle.Milliseconds(), m.MaxLag,
		rate(m.Written, written, window), window.Milliseconds(),
	}, []rowJSON{}}
	for i := range all {
		p := &all[i]
		key := rowKey{p.Row, p.Attached.UnixNano()}
		s.read[key] = p.Read
		row := rowOf(p, s.at)
		then, window := uint64(0), s.at.Sub(p.Attached)
		if before != nil {
			then, window = before.read[key], s.window
		}
		row.Rate, row.RateMs = rate(p.Read, then, window), window.Milliseconds()
		if p.Role == datablock.RoleProducer {
			row.Rate, row.RateMs = s.status.Metrics.Rate, s.status.Metrics.RateMs
		}
		s.status.Participants = append(s.status.Participants, row)
	}
	return s, nil
}

func rowOf(p *datablock.ParticipantMetrics, now time.Time) rowJSON {
	j := rowJSON{
		Row: p.Row, Role: "consumer", Name: printable(p.Name), PID: p.PID, PIDNamespace: p.PIDNamespace, UID: p.UID,
		Alive: p.Alive, Delivery: datablock.Delivery(p.Delivery).String(), Durable: p.Durable,
		Cursor: p.Cursor, Lag: p.Behind, Read: p.Read, Bytes: p.Bytes, Missed: p.Missed, Lost: p.Lost,
		Overruns: p.Overruns, ChecksumFailures: p.ChecksumFailures,
		Waits: p.Waits, WaitMs: p.Waited.Milliseconds(), Timeouts: p.Timeouts, Pins: append([]uint32{}, p.Pins...),
		SilentMs: p.Silent.Milliseconds(), AgeUnknown: p.AgeUnknown,
		AttachedMs: now.Sub(p.Attached).Milliseconds(),
	}
	if p.Role == datablock.RoleProducer {
		j.Role, j.Delivery = "producer", ""
	}
	return j
}

// watch repeats the reading until the user ends it. On a terminal each reading replaces the one
// before.
func (a *app) watch(name string, every time.Duration) error {
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	file, _ := a.out.to.(*os.File)
	redraw := file != nil && isatty.IsTerminal(file.Fd()) && !a.json
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var before *sample
	for {
		now, err := a.look(name, before)
		if err != nil {
			return err
		}
		if redraw {
			a.print("\x1b[H\x1b[2J")
		}
		if err := a.showStatus(now, true); err != nil {
			return err
		}
		if a.out.err != nil {
			return nil // run says why
		}
		before = now
		select {
		case <-stop.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (a *app) showStatus(s *sample, inOneLine bool) error {
	if a.json && inOneLine {
		a.printed = true
		return json.NewEncoder(a.out).Encode(s.status)
	}
	if a.json {
		return a.printJSON(s.status)
	}
	b, m := s.status.Block, s.status.Metrics
	more := ""
	if b.Checksum != "" {
		more = fmt.Sprintf(", checksums %s (%s)", b.Checksum, b.Algorithm)
	}
	if b.Reclaims {
		more += ", reclaims released messages"
	}
	a.print("block %q: %s, %s, %d+%d slots of %s (%s in all), %d messages written%s\n", b.Name, b.State, b.Policy,
		b.SlotCount, b.SpareSlots, size(b.SlotSize), size(b.TotalBytes), b.NextID, more)
	since := "since the block was made"
	if s.window > 0 {
		since = "in the last " + duration(s.window)
	}
	a.print("%.0f messages/s %s, aborted %d, fenced %d, held up %d times for %s, dead rows cleaned %d, "+
		"recoveries %d\n", m.Rate, since, m.Aborted, m.Fenced, m.Waits,
		duration(time.Duration(m.WaitMs)*time.Millisecond), m.Cleaned, m.Recoveries)
	if len(s.status.Participants) == 0 {
		a.print("nobody is attached\n")
		return nil
	}
	a.table("\nROW\tROLE\tNAME\tPID\tDELIVERY\tNEXT\tLAG\tREAD\tRATE\tMISSED\tSILENT\tSTATE",
		func(w *tabwriter.Writer) {
			for _, r := range s.status.Participants {
				if r.Role == "producer" {
					fmt.Fprintf(w, "%d\t%s\t%s\t%d\t\t%d\t\t\t%.0f/s\t\t\t%s%s\n", r.Row, r.Role, r.Name, r.PID,
						b.NextID, r.Rate, alive(r.Alive), elsewhere(r))
					continue
				}
				silent := duration(time.Duration(r.SilentMs) * time.Millisecond)
				if r.AgeUnknown {
					silent = "unknown"
				}
				kept := ""
				if r.Durable {
					kept = dim(" durable")
				}
				fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%.0f/s\t%d\t%s\t%s%s%s\n", r.Row, r.Role, r.Name, r.PID,
					r.Delivery, r.Cursor, r.Lag, r.Read, r.Rate, r.Missed,
					silent, alive(r.Alive), kept, elsewhere(r))
			}
		})
	if s.window == 0 {
		since = "since the block was made (producer) or since the attach (consumer); --watch shows the present rates"
	}
	a.print("\n%s\n", dim("RATE is messages a second "+since))
	return nil
}

// elsewhere says that the pid of a row belongs to another pid namespace.
func elsewhere(r rowJSON) string {
	if !segment.OtherPIDNamespace(r.PIDNamespace) {
		return ""
	}
	return fmt.Sprintf(" in another pid namespace (%d)", r.PIDNamespace)
}
