package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"datablock"
	"datablock/cmd/internal/decode"
	"datablock/cmd/internal/follow"
	"datablock/schema"
)

// starts are the values of --from.
var starts = map[string]follow.Start{"oldest": follow.Oldest, "newest": follow.Newest, "next": follow.Next}

// echo is one run of the command.
type echo struct {
	a          *app
	note       io.Writer // for what is no message
	name, from string
	secretFile string
	fields     []string
	csv, hex   bool
	wait       bool
	count      uint64
	rate       float64 // messages a second at most, 0: no limit
	timeout    time.Duration

	secret  []byte
	reader  *follow.Reader
	printer printer
	seen    uint64
	last    time.Time // of the last message, or the start
	due     time.Time // of the next message, with a rate
}

func (a *app) echo() *cobra.Command {
	e := &echo{a: a}
	cmd := &cobra.Command{
		Use:   "echo --shm-name NAME [--field PATH]...",
		Short: "The messages of a block as they come, decoded with the block's schema",
		Long: `Shows the messages of a block, decoded as its schema says, from the newest one on until Ctrl-C. The
command copies messages as an observer does: it attaches nothing, changes no byte, and holds nobody
up. It may therefore miss messages, and says so on standard error.

PATH leads to a part of a message: pose.x, points[3].y or matrix[1][2]. Without a schema the message
is shown as bytes. When the block is replaced, the command opens the new one.

With --json each message is one line: {"id", "time", "length", "message"}, with --field "fields"
instead of "message", with --hex "hex". A line {"event": "missed", "count"} says how many messages
were overwritten before the next line; other events are "discarded", "unreadable", "waiting",
"replaced" and "removed". With --csv the first line has the names of the columns.

After --timeout without a message the command ends: with code 0 if --count was not given and a
message was shown, else with code 1.`,
		Example: `  datablock-admin echo --shm-name camera
  datablock-admin echo --shm-name camera --field pose.x --field pose.y --csv > poses.csv
  datablock-admin echo --shm-name camera --json --count 1 --timeout 5s --wait`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e.note = cmd.ErrOrStderr()
			return e.run()
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&e.fields, "field", nil, "show only this part of each message; may be given more than once")
	f.BoolVar(&e.csv, "csv", false, "print CSV: one line a message, a column for each scalar")
	f.BoolVar(&e.hex, "hex", false, "show the bytes instead of the values")
	f.Uint64Var(&e.count, "count", 0, "end after this many messages (default 0: never)")
	f.DurationVar(&e.timeout, "timeout", 0, "end when no message came for this long (default 0: never)")
	f.StringVar(&e.from, "from", "newest", "the first message: oldest, newest or next")
	f.Float64Var(&e.rate, "rate", 0, "show at most this many messages a second, and skip the others")
	f.BoolVar(&e.wait, "wait", false, "wait for a block that does not exist yet, or any more")
	f.StringVar(&e.secretFile, "secret-file", "", "the file with the block's secret, if it has one")
	completeFlag(cmd, "field", a.completeField)
	completeFlag(cmd, "from", cobra.FixedCompletions([]cobra.Completion{"oldest", "newest", "next"},
		cobra.ShellCompDirectiveNoFileComp))
	for _, number := range []string{"count", "timeout", "rate"} {
		completeFlag(cmd, number, cobra.NoFileCompletions)
	}
	return a.blockFlag(cmd, &e.name)
}

// completeField lists the parts of the block's messages.
func (a *app) completeField(cmd *cobra.Command, args []string, typed string) (all []cobra.Completion,
	_ cobra.ShellCompDirective) {
	const limit = 500
	if s, err := datablock.BlockSchema(named(cmd, args), a.directory); err == nil && s != nil {
		columns, _ := decode.New(s).Columns(limit)
		for _, c := range columns {
			if strings.HasPrefix(c, typed) {
				all = append(all, c)
			}
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

func (e *echo) run() error {
	if err := e.check(); err != nil {
		return err
	}
	// A reader of the output that ends is the end of the command, and no failure.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	e.a.mayBreak = true
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(stop, cancel) // a second Ctrl-C ends a command whose output is blocked

	e.last = time.Now()
	err := e.open(stop, starts[e.from])
	if err == nil {
		err = e.follow(stop)
	}
	if e.reader != nil {
		_ = e.reader.Close()
	}
	e.flush()
	if stop.Err() != nil {
		return nil // by the user
	}
	return err
}

// check checks the options and reads the secret.
func (e *echo) check() error {
	_, known := starts[e.from]
	switch {
	case !known:
		return usageError{fmt.Errorf("--from %q: say oldest, newest or next", e.from)}
	case e.csv && e.a.json:
		return usageError{errors.New("--csv and --json: choose one of the two")}
	case e.rate < 0 || e.rate != e.rate:
		return usageError{fmt.Errorf("--rate %v: messages a second, 0 for all", e.rate)}
	case e.timeout < 0:
		return usageError{fmt.Errorf("--timeout %v: a time from 0s on", e.timeout)}
	case e.secretFile == "":
		return nil
	}
	const limit = 1024 // of the library
	file, err := os.Open(e.secretFile)
	if err != nil {
		return usageError{err}
	}
	defer file.Close()
	secret, err := io.ReadAll(io.LimitReader(file, limit+2))
	if err != nil {
		return usageError{err}
	}
	e.secret = []byte(strings.TrimSuffix(string(secret), "\n"))
	return nil
}

// open opens the block, and with --wait waits for it.
func (e *echo) open(stop context.Context, from follow.Start) error {
	var pause follow.Pause
	waiting := false
	for {
		r, err := follow.Open(e.name, follow.Options{Directory: e.a.directory, Secret: e.secret, Start: from})
		if err == nil {
			e.reader = r
			return e.prepare(r.Schema())
		}
		if !e.wait || !errors.Is(err, datablock.ErrNotFound) || e.late() {
			return err
		}
		if !waiting {
			e.event("waiting", 0, fmt.Sprintf("… waiting for block %q", printable(e.name)))
			e.flush()
		}
		waiting, from = true, follow.Oldest // the block will be new
		if !pause.Wait(stop, e.patience()) {
			return err
		}
	}
}

// prepare makes the printer for a schema. A later block may have another one.
func (e *echo) prepare(s *schema.Schema) error {
	e.flush()
	before := e.printer
	p, err := newPrinter(e, s)
	if err != nil {
		return err
	}
	if old, ok := before.(*csvPrinter); ok {
		if !old.continues(p) {
			return &datablock.Error{Code: datablock.ErrSchema, Detail: fmt.Sprintf("block %q was replaced by one with "+
				"other fields, and the columns of a CSV file stay the same: start again", e.name)}
		}
	}
	e.printer = p
	return nil
}

// follow shows messages until the end.
func (e *echo) follow(stop context.Context) error {
	var pause follow.Pause
	for e.count == 0 || e.seen < e.count {
		if stop.Err() != nil || e.a.out.err != nil {
			return nil
		}
		m, err := e.take()
		switch {
		case err == nil:
			pause.Reset()
			e.show(m)
			continue
		case errors.Is(err, follow.ErrNothing):
			err = nil
		case errors.Is(err, datablock.ErrSuperseded):
			err = e.again(stop)
		case errors.Is(err, datablock.ErrChecksum), errors.Is(err, datablock.ErrInvalid):
			e.event("unreadable", 1, err.Error())
			continue
		}
		if err != nil {
			return err
		}
		e.flush()
		if e.late() {
			return e.timedOut()
		}
		pause.Wait(stop, e.patience())
	}
	return nil
}

// take returns the next message, or with --rate the newest one when it is due.
func (e *echo) take() (follow.Message, error) {
	if e.rate == 0 || e.seen == 0 {
		return e.reader.Next()
	}
	if wait := time.Until(e.due); wait > 0 {
		return follow.Message{}, follow.ErrNothing
	}
	return e.reader.Skip()
}

func (e *echo) show(m follow.Message) {
	e.seen++
	e.last = time.Now()
	if e.rate > 0 {
		e.due = e.last.Add(time.Duration(float64(time.Second) / e.rate))
	}
	if m.Missed > 0 {
		e.event("missed", m.Missed, fmt.Sprintf("… %d messages missed", m.Missed))
	}
	if m.Discarded > 0 {
		e.event("discarded", m.Discarded, fmt.Sprintf("… %d messages discarded by an operator", m.Discarded))
	}
	e.printer.message(m)
	if e.printer.Len() > 1<<15 {
		e.flush()
	}
}

// again opens the block that has the name now.
func (e *echo) again(stop context.Context) error {
	_ = e.reader.Close()
	e.reader = nil
	err := e.openNow()
	if errors.Is(err, datablock.ErrNotFound) {
		e.event("removed", 0, fmt.Sprintf("… block %q was removed", printable(e.name)))
		err = e.open(stop, follow.Oldest)
	} else if err == nil {
		e.event("replaced", 0, fmt.Sprintf("… block %q was replaced; this is the new one", printable(e.name)))
	}
	return err
}

func (e *echo) openNow() error {
	r, err := follow.Open(e.name, follow.Options{Directory: e.a.directory, Secret: e.secret, Start: follow.Oldest})
	if err != nil {
		return err
	}
	e.reader = r
	return e.prepare(r.Schema())
}

// late reports whether the time is over.
func (e *echo) late() bool { return e.timeout > 0 && time.Since(e.last) >= e.timeout }

// patience is how long a pause may last.
func (e *echo) patience() time.Duration {
	limit := time.Hour
	if e.timeout > 0 {
		limit = e.timeout - time.Since(e.last)
	}
	if e.rate > 0 && e.seen > 0 {
		if due := time.Until(e.due); due > 0 {
			limit = min(limit, due)
		}
	}
	return max(limit, 0)
}

func (e *echo) timedOut() error {
	if e.count == 0 && e.seen > 0 {
		return nil
	}
	fmt.Fprintf(e.note, "datablock-admin: block %q: no message came for %v\n", printable(e.name), e.timeout)
	return errProblems
}

// event says what is no message: in JSON as a line among the messages, else on standard error.
func (e *echo) event(kind string, count uint64, text string) {
	if e.a.json {
		if e.printer == nil {
			e.printer = &jsonPrinter{}
		}
		e.printer.event(kind, count, text)
		return
	}
	e.flush()
	fmt.Fprintln(e.note, text)
}

func (e *echo) flush() {
	if e.printer != nil && e.printer.Len() > 0 {
		e.a.printed = true
		_, _ = e.printer.WriteTo(e.a.out) // which remembers an error
	}
}
