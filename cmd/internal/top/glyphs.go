package top

import (
	"strings"
	"unicode"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// glyphs are the characters beside ASCII that the screen uses, or what stands for them.
type glyphs struct {
	levels    []rune // of a sparkline, from the least
	up, down  string
	cut       string // the end of a text that is cut
	braille   bool
	arrow     string // beside the selected block
	axis      string
	upDown    string // keys
	leftRight string
}

var (
	unicodeGlyphs = glyphs{[]rune("▁▂▃▄▅▆▇█"), "↑", "↓", "…", true, "▸", "│", "↑↓", "←→"}
	asciiGlyphs   = glyphs{[]rune("_.-=+*#@"), "+", "-", "~", false, ">", "|", "Up Down", "Left Right"}
)

// glyphsOf returns ASCII where the locale is not UTF-8.
func glyphsOf(environment func(string) string) *glyphs {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := environment(name); locale != "" {
			upper := strings.ToUpper(locale)
			if strings.Contains(upper, "UTF-8") || strings.Contains(upper, "UTF8") {
				return &unicodeGlyphs
			}
			return &asciiGlyphs
		}
	}
	return &asciiGlyphs
}

// plain replaces what a terminal without UTF-8 cannot show.
func (g *glyphs) plain(line string) string {
	if g.braille {
		return line
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == 'µ':
			return 'u'
		case r > unicode.MaxASCII:
			return '?'
		}
		return r
	}, strings.ReplaceAll(line, "…", "..."))
}

// The styles. Each of them only underlines what the text says: without colours nothing is lost.
var (
	titleStyle    = lipgloss.NewStyle().Bold(true)
	headStyle     = lipgloss.NewStyle().Faint(true)
	selectedStyle = lipgloss.NewStyle().Reverse(true)
	badStyle      = lipgloss.NewStyle().Foreground(lipgloss.Red)
	warnStyle     = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	keyStyle      = lipgloss.NewStyle().Faint(true)
)

// cell is one column of a line.
type cell struct {
	text  string
	width int
	right bool // aligned
}

// pad cuts or fills a text to a width in terminal columns.
func (g *glyphs) pad(c cell) string {
	text := c.text
	have := ansi.StringWidth(text)
	if have > c.width {
		text = ansi.Truncate(text, c.width, g.cut)
		have = ansi.StringWidth(text)
	}
	fill := strings.Repeat(" ", max(0, c.width-have))
	if c.right {
		return fill + text
	}
	return text + fill
}

// row joins cells by spaces.
func (g *glyphs) row(marker string, cells []cell) string {
	var b strings.Builder
	b.WriteString(marker)
	for i, c := range cells {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(g.pad(c))
	}
	return b.String()
}

// sparkline shows the newest values, one in each column, from zero to the largest of them.
func (g *glyphs) sparkline(values []float64, width int) string {
	values = values[max(0, len(values)-width):]
	var most float64
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(values)))
	for _, v := range values {
		level := 0
		if most > 0 {
			level = min(int(v/most*float64(len(g.levels)-1)+0.5), len(g.levels)-1)
		}
		b.WriteRune(g.levels[level])
	}
	return b.String()
}

// fit makes the screen of lines and of the last line. It cuts what is too wide or too much.
func (m *model) fit(lines []string, last *string) string {
	room := m.height
	if last != nil {
		room--
	}
	lines = lines[:max(0, min(len(lines), room))]
	if last != nil {
		all := make([]string, room+1)
		copy(all, lines)
		all[room] = *last
		lines = all
	}
	for i, line := range lines {
		line = m.glyphs.plain(line)
		lines[i] = line
		if ansi.StringWidth(line) > m.width {
			lines[i] = ansi.Truncate(line, m.width, m.glyphs.cut)
		}
	}
	return strings.Join(lines, "\n")
}
