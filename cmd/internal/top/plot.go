package top

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"datablock/cmd/internal/monitor"
)

// The series that every block has come after the fields.
var blockSeries = []struct {
	name  string
	value func(p *monitor.Point) float64
}{
	{"messages/s", func(p *monitor.Point) float64 { return p.Rate }},
	{"bytes/s", func(p *monitor.Point) float64 { return p.ByteRate }},
	{"lag in messages", func(p *monitor.Point) float64 { return float64(p.WorstLag) }},
	{"lag in seconds", func(p *monitor.Point) float64 { return p.WorstLagTime.Seconds() }},
}

// spans are the times that a plot can be of.
var spans = []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute}

func (m *model) plotKey(name string) tea.Cmd {
	count := len(m.subject.columns) + len(blockSeries)
	switch name {
	case "right", "tab", "n":
		m.series, m.field = (m.seriesIndex()+1)%count, ""
	case "left", "shift+tab", "N":
		m.series, m.field = (m.seriesIndex()+count-1)%count, ""
	case "f", "/":
		m.prompt = &prompt{label: "field: ", before: m.field}
	case "+", "=":
		m.span = min(m.span+1, len(spans)-1)
	case "-":
		m.span = max(m.span-1, 0)
	case "m", "g":
		m.screen, m.scroll = message, 0
	case "esc", "backspace", "enter":
		return m.back()
	}
	return nil
}

// seriesIndex is the series that is chosen. At first that is the first field.
func (m *model) seriesIndex() int { return max(m.series, 0) }

// plottedField is the path of the field that is plotted, "" for a series of the block.
func (m *model) plottedField() string {
	switch i := m.seriesIndex(); {
	case m.screen != plot:
		return ""
	case m.field != "":
		return m.field
	case i < len(m.subject.columns):
		return m.subject.columns[i]
	}
	return ""
}

// plottedPoints returns the name of what is plotted, and its points.
func (m *model) plottedPoints() (name string, points []point) {
	s := m.subject
	if field := m.plottedField(); field != "" {
		if s.plotted == field {
			points = s.points
		}
		return field, points
	}
	series := blockSeries[min(max(0, m.seriesIndex()-len(s.columns)), len(blockSeries)-1)]
	if b := m.shown.Find(s.name); b != nil {
		for i := 1; i < len(b.History); i++ { // the rate of the first point is not known
			points = append(points, point{b.History[i].At, series.value(&b.History[i])})
		}
	}
	return series.name, points
}

func (m *model) plotScreen() string {
	name, points := m.plottedPoints()
	end := m.shown.At
	if n := len(points); n > 0 && points[n-1].at.After(end) {
		end = points[n-1].at
	}
	begin := end.Add(-spans[m.span])
	points = slices.DeleteFunc(slices.Clone(points), func(p point) bool {
		return p.at.Before(begin) || math.IsNaN(p.value) || math.IsInf(p.value, 0)
	})
	lines := []string{titleStyle.Render(monitor.Printable(m.subject.name)) + m.blockText(), m.plotTitle(name, points)}
	lines = append(lines, m.chart(points, begin, end, max(1, m.height-4))...)
	last := m.lastLine(fmt.Sprintf("%s other number  f field  + - time  m message  p pause  Esc back  q quit",
		m.glyphs.leftRight))
	return m.fit(lines, &last)
}

func (m *model) plotTitle(name string, points []point) string {
	if len(points) == 0 {
		if m.subject.err != nil && m.plottedField() != "" {
			return monitor.Printable(name) + ": " + m.messageTitle()
		}
		return monitor.Printable(name) + ": no value yet"
	}
	least, most := bounds(points)
	return fmt.Sprintf("%s: %s  min %s  max %s  in %s", monitor.Printable(name),
		figure(points[len(points)-1].value), figure(least), figure(most), spanText(spans[m.span]))
}

func spanText(d time.Duration) string { return fmt.Sprintf("%.0fs", d.Seconds()) }

func bounds(points []point) (least, most float64) {
	least, most = math.Inf(1), math.Inf(-1)
	for _, p := range points {
		least, most = min(least, p.value), max(most, p.value)
	}
	return least, most
}

func figure(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

// labelWidth is the width of the figures beside a chart.
const labelWidth = 11

// chart draws the points, with the figures of the top, the middle and the bottom, and the times.
func (m *model) chart(points []point, begin, end time.Time, height int) []string {
	least, most := 0.0, 1.0
	if len(points) > 0 {
		least, most = bounds(points)
	}
	if room := (most - least) / 20; room > 0 && !math.IsInf(room, 0) {
		least, most = least-room, most+room
	} else if least == most {
		room = max(math.Abs(most)/10, 0.5)
		least, most = least-room, most+room
	}
	c := newCanvas(max(1, m.width-labelWidth-2), height, m.glyphs)
	var before *[2]int
	for _, p := range points {
		x := float64(p.at.Sub(begin)) / float64(end.Sub(begin)) * float64(c.dotsX-1)
		y := (1 - (p.value/2-least/2)/(most/2-least/2)) * float64(c.dotsY-1) // halves do not overflow
		at := [2]int{int(math.Round(x)), int(math.Round(y))}
		if before != nil {
			c.line(*before, at)
		}
		c.set(at[0], at[1])
		before = &at
	}
	lines := c.lines()
	for i := range lines {
		label := ""
		switch i {
		case 0:
			label = figure(most)
		case len(lines) / 2:
			label = figure(least + (most-least)*(1-(float64(i)+0.5)/float64(len(lines))))
		case len(lines) - 1:
			label = figure(least)
		}
		lines[i] = m.glyphs.pad(cell{label, labelWidth, true}) + " " + m.glyphs.axis + lines[i]
	}
	left, right := "-"+spanText(end.Sub(begin)), end.Format("15:04:05")
	gap := max(1, m.width-labelWidth-2-len(left)-len(right))
	return append(lines, strings.Repeat(" ", labelWidth+2)+left+strings.Repeat(" ", gap)+right)
}

// canvas is a picture of dots: eight in a character where the terminal has Braille, else one.
type canvas struct {
	width, height int
	dotsX, dotsY  int
	braille       bool
	cells         []rune
}

func newCanvas(width, height int, g *glyphs) *canvas {
	c := &canvas{width: width, height: height, dotsX: width, dotsY: height, braille: g.braille,
		cells: make([]rune, width*height)}
	if c.braille {
		c.dotsX, c.dotsY = 2*width, 4*height
	}
	return c
}

// The bit of each dot in a Braille character, by column and row.
var brailleDots = [2][4]rune{{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}

func (c *canvas) set(x, y int) {
	if x < 0 || y < 0 || x >= c.dotsX || y >= c.dotsY {
		return
	}
	if c.braille {
		c.cells[y/4*c.width+x/2] |= brailleDots[x%2][y%4]
	} else {
		c.cells[y*c.width+x] = '*'
	}
}

func (c *canvas) line(from, to [2]int) {
	steps := max(abs(to[0]-from[0]), abs(to[1]-from[1]))
	for i := 1; i < steps; i++ {
		c.set(from[0]+(to[0]-from[0])*i/steps, from[1]+(to[1]-from[1])*i/steps)
	}
}

func abs(n int) int { return max(n, -n) }

func (c *canvas) lines() []string {
	all := make([]string, c.height)
	for y := range all {
		row := c.cells[y*c.width : (y+1)*c.width]
		for x := range row {
			switch {
			case row[x] == 0:
				row[x] = ' '
			case c.braille:
				row[x] += 0x2800
			}
		}
		all[y] = strings.TrimRight(string(row), " ")
	}
	return all
}
