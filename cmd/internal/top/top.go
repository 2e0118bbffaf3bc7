// Package top shows the blocks of a directory in a terminal, as a table that renews itself.
package top

import (
	"errors"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"

	"datablock/cmd/internal/monitor"
)

// Options are the settings of the program.
type Options struct {
	Monitor   monitor.Options
	Directory string        // where the blocks are, for the title
	Interval  time.Duration // between two samples
	Input     io.Reader     // the terminal; nil: standard input
	Output    io.Writer     // the terminal
}

// Run shows the blocks until the user ends it. The output must be a terminal.
func Run(o Options) error {
	m := newModel(o)
	defer m.monitor.Close()
	settings := []tea.ProgramOption{tea.WithOutput(o.Output)}
	if o.Input != nil {
		settings = append(settings, tea.WithInput(o.Input))
	}
	_, err := tea.NewProgram(m, settings...).Run()
	if errors.Is(err, tea.ErrInterrupted) {
		return nil // Ctrl-C, or the signal
	}
	return err
}

// screen is what the terminal shows.
type screen int

const (
	overview screen = iota
	message
	plot
)

// model is the state of the program. One goroutine changes it. Commands, which run in goroutines of
// their own, read blocks, and answer with a message.
type model struct {
	o             Options
	monitor       *monitor.Monitor
	glyphs        *glyphs
	width, height int

	newest *monitor.View // nil: the first sample is not complete
	shown  *monitor.View // the newest, or an earlier one during a pause
	paused bool

	screen    screen
	help      bool
	order     order
	reverse   bool
	filter    string
	prompt    *prompt // nil: no text is being typed
	selected  string  // name of the block
	first     int     // line of the table that is the first one on the screen
	consumers bool    // whether their lines are shown

	subject *subject // of the screens message and plot
	scroll  int      // lines
	hex     bool
	series  int    // what is plotted: an index into the columns of the subject, then into blockSeries
	field   string // typed path of a field; "": series counts
	span    int    // time of a plot, an index into spans
}

func newModel(o Options) *model {
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	return &model{o: o, monitor: monitor.New(o.Monitor), glyphs: glyphsOf(os.Getenv), width: 80, height: 24,
		consumers: true, span: 1}
}

// The messages of the commands.
type (
	sampled struct{ view *monitor.View }
	sample  struct{}
	look    struct{ subject *subject }
	looked  struct {
		subject *subject
		reading reading
	}
)

func (m *model) Init() tea.Cmd { return m.sample }

// sample reads the blocks once. Only one such command runs at a time.
func (m *model) sample() tea.Msg { return sampled{m.monitor.Sample()} }

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 1), max(msg.Height, 1)
	case sample:
		return m, m.sample
	case sampled:
		m.take(msg.view)
		wait := max(0, m.o.Interval-time.Since(msg.view.At))
		return m, tea.Tick(wait, func(time.Time) tea.Msg { return sample{} })
	case look:
		if msg.subject == m.subject {
			return m, m.read()
		}
	case looked:
		return m, m.takeReading(msg)
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case tea.PasteMsg:
		if m.prompt != nil {
			m.prompt.add(msg.Content)
			m.typed()
		}
	}
	return m, nil
}

// take shows a new sample, unless the user has paused.
func (m *model) take(v *monitor.View) {
	m.newest = v
	if !m.paused || m.shown == nil {
		m.shown = v
	}
	if m.selected == "" || m.shown.Find(m.selected) == nil {
		m.reselect()
	}
}

// reselect selects the block in whose place the selected one was.
func (m *model) reselect() {
	if m.subject != nil {
		return // the screen is about a block that has vanished, and says so
	}
	blocks := m.blocks()
	if len(blocks) == 0 {
		m.selected = ""
		return
	}
	at := 0
	for i, b := range blocks {
		if m.order == byName && b.Name <= m.selected {
			at = i
		}
	}
	m.selected = blocks[at].Name
}

func (m *model) View() tea.View {
	var content string
	switch {
	case m.help:
		content = m.fit(m.helpLines(), nil)
	case m.screen == message:
		content = m.messageScreen()
	case m.screen == plot:
		content = m.plotScreen()
	default:
		content = m.overviewScreen()
	}
	v := tea.NewView(content)
	v.AltScreen = true
	v.WindowTitle = "datablock-admin top"
	return v
}
