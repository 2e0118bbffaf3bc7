package top

import (
	"errors"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"datablock"
	"datablock/cmd/internal/monitor"
)

func (m *model) messageKey(name string) tea.Cmd {
	page := max(1, m.height-5)
	switch name {
	case "up", "k":
		m.scroll--
	case "down", "j":
		m.scroll++
	case "pgup":
		m.scroll -= page
	case "pgdown":
		m.scroll += page
	case "home":
		m.scroll = 0
	case "end", "G":
		m.scroll = 1 << 30
	case "x":
		m.hex, m.scroll = !m.hex, 0
	case "g":
		m.screen = plot
	case "esc", "enter", "backspace", "left":
		return m.back()
	}
	return nil
}

func (m *model) messageScreen() string {
	s := m.subject
	lines := []string{titleStyle.Render(monitor.Printable(s.name)) + m.blockText(), m.messageTitle(), ""}
	body := m.messageBody()
	room := max(1, m.height-len(lines)-1)
	m.scroll = max(0, min(m.scroll, len(body)-room))
	lines = append(lines, body[m.scroll:min(len(body), m.scroll+room)]...)
	what := "x bytes"
	if m.hex {
		what = "x fields"
	}
	more := ""
	if len(body) > room {
		more = fmt.Sprintf("  lines %d-%d of %d", m.scroll+1, min(len(body), m.scroll+room), len(body))
	}
	last := m.lastLine(fmt.Sprintf("Esc back  %s  g plot  p pause  %s scroll  ? help  q quit%s", what,
		m.glyphs.upDown, more))
	return m.fit(lines, &last)
}

// blockText is the block in the title of a screen about it.
func (m *model) blockText() string {
	b := m.shown.Find(m.subject.name)
	text := ""
	switch {
	case b == nil:
		return "  " + badStyle.Render("the block has gone: no file has its name now") + m.pausedText()
	case b.Problem != nil:
		return "  " + badStyle.Render("UNREADABLE: "+monitor.Printable(b.Problem.Error())) + m.pausedText()
	case b.State == "live":
		text = fmt.Sprintf("  live (pid %d)", b.Info.ProducerPID)
	default:
		text = "  " + badStyle.Render(b.State)
	}
	if b.Schema != nil {
		text += fmt.Sprintf("  %s %s", monitor.Printable(b.Schema.Name), b.Schema.Version)
	}
	text += fmt.Sprintf("  %s messages/s  %s/s", monitor.Number(b.Rate), monitor.Bytes(b.ByteRate))
	return text + m.pausedText()
}

func (m *model) pausedText() string {
	if !m.paused {
		return ""
	}
	return "  " + warnStyle.Render("PAUSED")
}

// messageTitle says which message is shown, or why there is none.
func (m *model) messageTitle() string {
	s := m.subject
	r := &s.latest
	text := ""
	if r.data != nil {
		text = fmt.Sprintf("message %d, %s", r.seen.ID, plural(fmt.Sprint(r.seen.Length), "byte"))
		if r.seen.Timestamp != 0 {
			text += time.Unix(0, int64(r.seen.Timestamp)).Format(", 15:04:05.000000")
		}
		if n := uint64(len(r.data)); n < r.seen.Length {
			text += fmt.Sprintf(", of which %d are shown", n)
		}
	}
	missing := errors.Is(s.err, datablock.ErrNotFound)
	here := m.shown.Find(s.name) != nil
	if s.err == nil || missing && !here { // the line above says that the block has gone
		return text
	}
	if text != "" {
		text += "; "
	}
	switch {
	case errors.Is(s.err, datablock.ErrOverrun):
		return text + "the producer is faster than the copy of a message: the next look may succeed"
	case missing:
		return text + "the block has no message yet"
	case errors.Is(s.err, datablock.ErrSecret):
		return text + "the block has a secret: its messages are for programs that know it"
	}
	return text + badStyle.Render(monitor.Printable(s.err.Error()))
}

func (m *model) messageBody() []string {
	r := &m.subject.latest
	switch {
	case r.data == nil:
		return nil
	case m.hex || r.schema == nil:
		return dump(r.data, m.width)
	}
	lines := m.subject.decoder.Decode(r.data).Lines("  ")
	for i := range lines {
		lines[i] = monitor.Printable(lines[i])
	}
	return lines
}

// mostDumped is how many bytes of a message are shown.
const mostDumped = 64 << 10

// dump shows bytes: offset, values, and the characters that they are in ASCII.
func dump(data []byte, width int) (lines []string) {
	perLine := 16
	if width < 78 {
		perLine = 8
	}
	shown := data[:min(len(data), mostDumped)]
	for at := 0; at < len(shown); at += perLine {
		row := shown[at:min(at+perLine, len(shown))]
		chars := make([]byte, len(row))
		for i, c := range row {
			if chars[i] = '.'; c >= ' ' && c < 0x7f {
				chars[i] = c
			}
		}
		lines = append(lines, fmt.Sprintf("%08x  %-*s  %s", at, 3*perLine-1, fmt.Sprintf("% x", row), chars))
	}
	switch {
	case len(data) == 0:
		lines = append(lines, "(empty)")
	case len(data) > len(shown):
		lines = append(lines, fmt.Sprintf("(%d more bytes)", len(data)-len(shown)))
	}
	return lines
}
