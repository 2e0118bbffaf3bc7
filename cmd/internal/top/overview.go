package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"datablock"
	"datablock/cmd/internal/monitor"
)

// order is the column that the table is sorted by.
type order int

const (
	byName order = iota
	byRate
	byBytes
	byFill
	byConsumers
	byLag
	byAge
	byState
	orders // their number
)

var orderNames = [...]string{byName: "name", byRate: "msg/s", byBytes: "bytes/s", byFill: "fill",
	byConsumers: "consumers", byLag: "lag", byAge: "age", byState: "state"}

// compare sorts names and states upwards, figures downwards: the largest ones first.
func (o order) compare(a, b *monitor.Block) int {
	c := 0
	switch o {
	case byRate:
		c = cmp.Compare(b.Rate, a.Rate)
	case byBytes:
		c = cmp.Compare(b.ByteRate, a.ByteRate)
	case byFill:
		c = cmp.Compare(b.Fill, a.Fill)
	case byConsumers:
		c = cmp.Compare(b.Info.Consumers, a.Info.Consumers)
	case byLag:
		c = cmp.Compare(b.WorstLag, a.WorstLag)
	case byAge:
		c = cmp.Compare(b.WorstLagTime, a.WorstLagTime)
	case byState:
		c = cmp.Compare(stateRank(b), stateRank(a))
	}
	return c
}

// stateRank is how much attention a state needs.
func stateRank(b *monitor.Block) int {
	return slices.Index([]string{"live", "creating", "closed", "superseded", "replacing", "dead producer",
		"unreadable"}, b.State)
}

// blocks returns the blocks that match the filter, in order.
func (m *model) blocks() []*monitor.Block {
	if m.shown == nil {
		return nil
	}
	wanted := strings.ToLower(m.filter)
	var all []*monitor.Block
	for _, b := range m.shown.Blocks {
		if strings.Contains(strings.ToLower(b.Name), wanted) ||
			b.Schema != nil && strings.Contains(strings.ToLower(b.Schema.Name), wanted) {
			all = append(all, b)
		}
	}
	slices.SortStableFunc(all, func(a, b *monitor.Block) int {
		c := m.order.compare(a, b)
		if c == 0 {
			c = strings.Compare(a.Name, b.Name)
		}
		if m.reverse {
			return -c
		}
		return c
	})
	return all
}

// line is a line of the table: a block, or one of its consumers.
type line struct {
	block    *monitor.Block
	consumer int // index, -1: the line of the block
}

func (m *model) lines(blocks []*monitor.Block) (all []line) {
	for _, b := range blocks {
		all = append(all, line{b, -1})
		if m.consumers {
			for i := range b.Consumers {
				all = append(all, line{b, i})
			}
		}
	}
	return all
}

// columns are the widths of the table: 80 columns, and more where the terminal has them.
type columns struct{ name, schema, policy, rate, bytes, fill, consumers, lag, age, trend int }

func (m *model) columns() columns {
	c := columns{name: 12, schema: 9, policy: 7, rate: 6, bytes: 8, fill: 4, consumers: 4, lag: 7, age: 6, trend: 7}
	extra := max(0, m.width-80)
	for _, share := range []struct {
		width *int
		most  int
	}{{&c.name, 20}, {&c.schema, 11}, {&c.trend, 53}} {
		more := min(extra, share.most)
		*share.width += more
		extra -= more
	}
	return c
}

func (m *model) overviewScreen() string {
	last := m.lastLine(fmt.Sprintf("%s select  Enter message  g plot  s sort  / filter  p pause  ? help  q quit",
		m.glyphs.upDown))
	return m.fit(m.overviewLines(m.blocks()), &last)
}

// overviewLines are the titles, and the lines of the table for which there is room.
func (m *model) overviewLines(blocks []*monitor.Block) []string {
	all := []string{m.title(len(blocks)), "", ""}
	c := m.columns()
	all[1] = headStyle.Render(m.glyphs.row(" ", []cell{{"NAME", c.name, false}, {"SCHEMA", c.schema, false},
		{"POLICY", c.policy, false}, {"MSG/S", c.rate, true}, {"BYTES/S", c.bytes, true}, {"FILL", c.fill, true},
		{"CONS", c.consumers, true}, {"LAG", c.lag - 1, true}, {" AGE", c.age + 1, true}, {"MSG/S", c.trend, false}}))
	all[2] = headStyle.Render(m.glyphs.row(" ", []cell{{"  CONSUMER", c.name, false}, {"DELIVERY", c.schema, false},
		{"STATE", c.policy, false}, {"MSG/S", c.rate, true}, {"MISSED", c.bytes, true},
		{"HELD UP", c.fill + 1 + c.consumers, true}, {"LAG", c.lag - 1, true}, {" AGE", c.age + 1, true},
		{"PID", c.trend, false}}))
	lines := m.lines(blocks)
	room := max(0, m.height-len(all)-1)
	m.showSelected(lines, room)
	for _, l := range lines[m.first:min(len(lines), m.first+room)] {
		if l.consumer < 0 {
			all = append(all, m.blockLine(l.block, c))
		} else {
			all = append(all, m.consumerLine(&l.block.Consumers[l.consumer], c))
		}
	}
	return append(all, m.emptyLines(len(lines))...)
}

func (m *model) emptyLines(lines int) []string {
	switch {
	case m.shown == nil:
		return []string{"", "  reading the blocks ..."}
	case m.shown.Problem != nil:
		return []string{"", "  " + badStyle.Render(monitor.Printable(m.shown.Problem.Error()))}
	case lines == 0 && m.filter != "":
		return []string{"", fmt.Sprintf("  no block of %d matches %q: Esc shows all", len(m.shown.Blocks), m.filter)}
	case lines == 0:
		return []string{"", "  no blocks"}
	}
	return nil
}

// showSelected scrolls the table so that the selected block is on the screen, and as many of its
// consumers as there is room for.
func (m *model) showSelected(lines []line, room int) {
	begin, end := 0, 0
	for i, l := range lines {
		if l.block.Name == m.selected {
			if l.consumer < 0 {
				begin = i
			}
			end = i
		}
	}
	if end >= m.first+room {
		m.first = end - room + 1
	}
	m.first = min(m.first, begin)
	m.first = max(0, min(m.first, len(lines)-room))
}

func (m *model) title(matching int) string {
	consumers := 0
	if m.shown == nil {
		return titleStyle.Render("DataBlock")
	}
	for _, b := range m.shown.Blocks {
		consumers += int(b.Info.Consumers)
	}
	count := fmt.Sprint(len(m.shown.Blocks))
	if matching != len(m.shown.Blocks) {
		count = fmt.Sprintf("%d of %d", matching, len(m.shown.Blocks))
	}
	text := titleStyle.Render("DataBlock") + fmt.Sprintf("  %s  %s, %s", m.shown.At.Format("15:04:05"),
		plural(count, "block"), plural(fmt.Sprint(consumers), "consumer"))
	if m.filter != "" {
		text += fmt.Sprintf("  filter %q", m.filter)
	}
	text += fmt.Sprintf("%s  sort %s%s  %s", m.pausedText(), orderNames[m.order], m.direction(),
		monitor.Printable(m.o.Directory))
	return text
}

func (m *model) direction() string {
	if m.reverse {
		return " reversed"
	}
	return ""
}

func plural(count, noun string) string {
	if count != "1" {
		noun += "s"
	}
	return count + " " + noun
}

func (m *model) blockLine(b *monitor.Block, c columns) string {
	marker := " "
	if b.Name == m.selected {
		marker = m.glyphs.arrow
	}
	name := monitor.Printable(b.Name)
	if b.Problem != nil {
		rest := m.width - c.name - 2
		return m.styled(b, m.glyphs.row(marker, []cell{{name, c.name, false},
			{"UNREADABLE: " + monitor.Printable(b.Problem.Error()), rest, false}}), true)
	}
	schema := "-"
	if b.Schema != nil {
		schema = monitor.Printable(b.Schema.Name)
	}
	return m.styled(b, m.glyphs.row(marker, []cell{{name, c.name, false}, {schema, c.schema, false},
		{policyName(b.Info.Policy), c.policy, false}, {monitor.Number(b.Rate), c.rate, true},
		{monitor.Bytes(b.ByteRate), c.bytes, true}, {fillText(b), c.fill, true},
		{fmt.Sprint(b.Info.Consumers), c.consumers, true}, {monitor.Number(float64(b.WorstLag)) + " ", c.lag, true},
		{lagTimeText(b.WorstLagTime, b.WorstLag), c.age, true}, {m.trendText(b, c.trend), c.trend, false}}),
		b.State != "live" && b.State != "closed")
}

// styled marks the line of the selected block, and of one that needs attention.
func (m *model) styled(b *monitor.Block, text string, attention bool) string {
	switch {
	case b.Name == m.selected:
		return selectedStyle.Render(text)
	case attention:
		return badStyle.Render(text)
	}
	return text
}

func policyName(p uint32) string {
	switch datablock.Policy(p) {
	case datablock.Single:
		return "SINGLE"
	case datablock.DoubleBuffer:
		return "DOUBLE"
	}
	return "RING"
}

// fillText is "-" without a LOSSLESS consumer.
func fillText(b *monitor.Block) string {
	for i := range b.Consumers {
		if b.Consumers[i].Delivery == uint8(datablock.Lossless) {
			return fmt.Sprintf("%.0f%%", b.Fill*100)
		}
	}
	return "-"
}

func lagTimeText(d time.Duration, lag uint64) string {
	if lag == 0 {
		return "-"
	}
	return monitor.ShortTime(d.Seconds())
}

// trendText is the sparkline of the rate. A block without a living producer has its state there.
func (m *model) trendText(b *monitor.Block, width int) string {
	switch b.State {
	case "live":
		rates := make([]float64, 0, len(b.History))
		for _, p := range b.History[min(1, len(b.History)):] { // the first one is not known
			rates = append(rates, p.Rate)
		}
		return m.glyphs.sparkline(rates, width)
	case "dead producer":
		return "DEAD"
	}
	return b.State
}

func (m *model) consumerLine(c *monitor.Consumer, w columns) string {
	trend := " "
	switch c.Trend {
	case 1:
		trend = m.glyphs.up
	case -1:
		trend = m.glyphs.down
	}
	age := "-"
	if c.Behind > 0 {
		if age = monitor.ShortTime(c.LagTime.Seconds()); !c.LagTimeKnown {
			age = ">" + age
		}
	}
	text := m.glyphs.row(" ", []cell{{"  " + monitor.Printable(c.Name), w.name, false},
		{datablock.Delivery(c.Delivery).String(), w.schema, false}, {consumerState(c), w.policy, false},
		{monitor.Number(c.Rate), w.rate, true}, {monitor.Number(float64(c.Missed)), w.bytes, true},
		{heldUpText(c), w.fill + 1 + w.consumers, true}, {monitor.Number(float64(c.Behind)) + trend, w.lag, true},
		{age, w.age, true}, {fmt.Sprint(c.PID), w.trend, false}})
	switch {
	case !c.Alive && !c.Durable:
		return badStyle.Render(text)
	case c.Trend > 0:
		return warnStyle.Render(text)
	}
	return text
}

func consumerState(c *monitor.Consumer) string {
	switch {
	case c.Alive && c.Durable:
		return "durable"
	case c.Alive:
		return "alive"
	case c.Durable:
		return "kept"
	}
	return "DEAD"
}

func heldUpText(c *monitor.Consumer) string {
	if c.HeldUp == 0 {
		return "-"
	}
	return monitor.ShortTime(c.HeldUp.Seconds())
}

// lastLine is what is being typed, or the keys.
func (m *model) lastLine(keys string) string {
	if m.prompt != nil {
		return m.prompt.line()
	}
	return keyStyle.Render(keys)
}
