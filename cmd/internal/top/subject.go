package top

import (
	"errors"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"datablock"
	"datablock/cmd/internal/decode"
	"datablock/cmd/internal/faults"
	"datablock/cmd/internal/monitor"

	"datablock/schema"
)

// subject is the block whose messages are shown.
type subject struct {
	monitor *monitor.Monitor
	name    string
	busy    bool // a command uses the fields of this paragraph

	observer *datablock.Observer
	schema   *schema.Schema
	size     int // of the buffer for the next message

	// What the screens show.
	latest  reading // the last one that has a message
	err     error   // of the last reading
	decoder *decode.Decoder
	columns []string // paths of the numbers in a message
	points  []point  // of the field that is plotted
	plotted string   // that field
}

// reading is a look at the newest message.
type reading struct {
	at     time.Time
	took   time.Duration
	seen   datablock.Observation
	data   []byte // of the message, at most mostBytes
	schema *schema.Schema
	err    error
}

// point is the value of a field in one message.
type point struct {
	at    time.Time
	value float64
}

const (
	mostBytes   = 16 << 20 // of a message that are read
	mostColumns = 1000
	mostPoints  = 4096
	plotLook    = 50 * time.Millisecond // between two looks for a plot
)

func newSubject(m *monitor.Monitor, name string) *subject {
	return &subject{monitor: m, name: name, size: 4096, decoder: decode.New(nil)}
}

// look reads the newest message. It runs in the goroutine of a command.
func (s *subject) look() (r reading) {
	r.at = time.Now()
	for range 2 { // again if another block has the name by now
		r.err = faults.Catch(func() error { return s.readInto(&r) })
		again := errors.Is(r.err, datablock.ErrSuperseded)
		var truncated *faults.Truncated
		if again || errors.Is(r.err, datablock.ErrCorrupt) || errors.As(r.err, &truncated) {
			s.closeObserver()
		}
		if !again {
			break
		}
	}
	r.schema, r.took = s.schema, time.Since(r.at)
	return r
}

func (s *subject) readInto(r *reading) (err error) {
	if s.observer == nil {
		if s.observer, err = s.monitor.Observe(s.name); err != nil {
			return err
		}
		if s.schema, err = s.observer.Schema(); err != nil {
			return err
		}
	}
	for {
		data := make([]byte, s.size)
		if r.seen, err = s.observer.ReadNewest(data); err != nil {
			return err
		}
		if r.seen.Length > uint64(len(data)) && len(data) < mostBytes {
			s.size = int(min(r.seen.Length, mostBytes))
			continue
		}
		r.data = data[:min(uint64(len(data)), r.seen.Length)]
		return nil
	}
}

func (s *subject) closeObserver() {
	if s.observer != nil {
		_ = s.observer.Close()
		s.observer = nil
	}
}

// close is the command that releases the block.
func (s *subject) close() tea.Msg {
	s.closeObserver()
	return nil
}

// read returns the command that looks at the newest message, unless one does.
func (m *model) read() tea.Cmd {
	s := m.subject
	if s.busy {
		return nil
	}
	s.busy = true
	return func() tea.Msg { return looked{s, s.look()} }
}

func (m *model) takeReading(msg looked) tea.Cmd {
	s := msg.subject
	s.busy = false
	if s != m.subject {
		return s.close
	}
	if !m.paused {
		s.take(&msg.reading, m.plottedField())
	}
	wait := m.o.Interval
	if m.screen == plot {
		wait = min(wait, plotLook)
	}
	wait = max(wait, 20*msg.reading.took) // a large message costs a twentieth of the time
	return tea.Tick(wait, func(time.Time) tea.Msg { return look{s} })
}

// take remembers a reading, and the value of a field.
func (s *subject) take(r *reading, field string) {
	s.err = r.err
	if r.err != nil {
		return
	}
	if s.decoder.Schema() != r.schema {
		s.decoder, s.points = decode.New(r.schema), nil
		s.columns = numbers(s.decoder)
	}
	if s.plotted != field {
		s.plotted, s.points = field, nil
	}
	fresh := r.seen.ID != s.latest.seen.ID || len(s.points) == 0
	s.latest = *r
	if !fresh || field == "" {
		return
	}
	if value, err := s.decoder.Decode(r.data).Lookup(field); err == nil {
		if n, ok := value.Number(); ok {
			s.points = append(s.points[max(0, len(s.points)-mostPoints+1):], point{r.at, n})
		}
	}
}

// numbers returns the fields that can be plotted.
func numbers(d *decode.Decoder) (paths []string) {
	all, _ := d.Columns(mostColumns)
	for _, path := range all {
		if f, err := d.Field(path); err == nil && f.Type.Kind != schema.Char {
			paths = append(paths, path)
		}
	}
	return paths
}

// check says why a field cannot be plotted, "" if it can.
func (s *subject) check(path string) string {
	f, err := s.decoder.Field(path)
	switch {
	case err != nil:
		return monitor.Printable(err.Error())
	case len(f.Type.Dims) > 0 || f.Type.Kind == schema.Struct || f.Type.Kind == schema.Char:
		return fmt.Sprintf("%q is no number", path)
	}
	return ""
}
