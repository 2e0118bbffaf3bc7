// Command live draws the newest sample of the machine ten times a second. It is a LATEST consumer:
// it skips the messages in between, and never causes backpressure.
//
// The line goes to standard error, rewritten in place if that is a terminal, once a second
// otherwise.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"golang.org/x/sys/unix"
)

const (
	drawEvery = 100 * time.Millisecond
	window    = 10 // number of draws over which counters become rates
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: live BLOCK")
		os.Exit(2)
	}
	signal.Ignore(syscall.SIGTTOU) // drawing is allowed in the background too
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, block string) error {
	consumer, err := channel.OpenConsumer(block, segment.ConsumerOptions{Delivery: segment.Latest, Name: "live"})
	if err != nil {
		return err
	}
	defer consumer.Close()
	line := newLine()
	defer line.end()

	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	v := viewer{line: line}
	defer func() {
		fmt.Printf("result: read %d first %d next %d skipped %d crc_failures %d\n", v.read, v.first, v.next, v.skipped,
			v.damaged)
	}()
	for {
		message, err := consumer.Next(drawEvery)
		switch {
		case err == nil:
			if err := v.show(message); err != nil {
				return err
			}
			if err := consumer.Release(message); err != nil {
				return err
			}
		case errors.Is(err, status.NoProducer):
			line.draw("nobody writes; the next producer goes on where the last one stopped")
		case errors.Is(err, status.Timeout):
			line.draw("the producer writes nothing")
		case errors.Is(err, status.Closed):
			return v.verdict()
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return v.verdict()
		case <-tick.C:
		}
	}
}

// viewer checks each message and shows it.
type viewer struct {
	line        *line
	last        []sample // the newest at the end
	first, next uint64   // the ids of the first message, and after the last one
	read        uint64
	skipped     uint64
	damaged     uint64
}

// show draws one message. For a LATEST consumer ids only rise.
func (v *viewer) show(m channel.ReadSlot) error {
	if v.read == 0 {
		v.first = m.ID()
	} else {
		v.skipped += m.Missed()
	}
	if m.ID() < v.next {
		return fmt.Errorf("message %d came after message %d", m.ID(), v.next-1)
	}
	v.next = m.ID() + 1
	v.read++
	s, err := decode(m.ID(), m.Data())
	if err != nil {
		v.damaged++
		v.line.draw(err.Error())
		return nil
	}
	v.last = append(v.last, s)
	v.last = v.last[max(0, len(v.last)-window):]
	v.line.draw(describe(v.last[0], s))
	return nil
}

func (v *viewer) verdict() error {
	if v.damaged > 0 {
		return fmt.Errorf("%d messages were damaged", v.damaged)
	}
	return nil
}

// describe returns the state of the machine, computed from two samples.
func describe(from, to sample) string {
	seconds := float64(to.SampledNs-from.SampledNs) / 1e9
	cpu, received, sent := 0.0, 0.0, 0.0
	if ticks := to.CPUTotalTicks - from.CPUTotalTicks; ticks > 0 {
		cpu = 100 * float64(to.CPUBusyTicks-from.CPUBusyTicks) / float64(ticks)
	}
	if seconds > 0 {
		received = float64(to.ReceivedBytes-from.ReceivedBytes) / seconds / 1e3
		sent = float64(to.SentBytes-from.SentBytes) / seconds / 1e3
	}
	const gib = 1 << 20 // in KiB
	return fmt.Sprintf("CPU %3.0f %%  mem %.1f/%.1f GiB  load %.2f  in %.0f out %.0f kB/s  #%d", cpu,
		float64(to.MemoryTotalKiB-to.MemoryAvailableKiB)/gib, float64(to.MemoryTotalKiB)/gib,
		float64(to.Load1mPercent)/100, received, sent, to.ID)
}

// line is the line of the screen that is drawn repeatedly.
type line struct {
	terminal bool
	drawn    time.Time
}

func newLine() *line {
	_, err := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS)
	return &line{terminal: err == nil}
}

// draw replaces the line in one write. So lines of other programs on the same terminal come between
// two drawings and not into one.
func (l *line) draw(text string) {
	switch {
	case l.terminal:
		width := 80
		if size, err := unix.IoctlGetWinsize(int(os.Stderr.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			width = int(size.Col)
		}
		text = "live     | " + text
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text[:min(len(text), width-1)])
	case time.Since(l.drawn) >= time.Second:
		fmt.Fprintf(os.Stderr, "live     | %s\n", text)
		l.drawn = time.Now()
	}
}

func (l *line) end() {
	if l.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
