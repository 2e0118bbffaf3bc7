package top

import (
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
)

// prompt is a text that is being typed in the last line.
type prompt struct {
	label, text, before string // before: what counts again after Esc
	problem             string // what is wrong with the text
}

const longestPrompt = 200 // characters

func (p *prompt) add(text string) {
	for _, r := range text {
		if unicode.IsPrint(r) && len(p.text) < longestPrompt {
			p.text += string(r)
		}
	}
}

func (p *prompt) line() string {
	text := p.label + p.text + "_"
	if p.problem != "" {
		text += "  " + p.problem
	}
	return text
}

func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case name == "ctrl+z":
		return tea.Suspend
	case m.prompt != nil:
		return m.typeKey(k, name)
	case m.help:
		m.help = false
		return nil
	}
	switch name {
	case "q":
		return tea.Quit
	case "?", "h", "f1":
		m.help = true
		return nil
	case "p", "space":
		m.paused = !m.paused
		if !m.paused {
			m.shown = m.newest
			m.reselectIfGone()
		}
		return nil
	}
	switch m.screen {
	case message:
		return m.messageKey(name)
	case plot:
		return m.plotKey(name)
	}
	return m.overviewKey(name)
}

func (m *model) reselectIfGone() {
	if m.shown != nil && m.shown.Find(m.selected) == nil {
		m.reselect()
	}
}

func (m *model) typeKey(k tea.KeyPressMsg, name string) tea.Cmd {
	p := m.prompt
	switch name {
	case "enter":
		return m.entered()
	case "esc":
		p.text = p.before
		m.prompt = nil
		if m.screen == overview {
			m.setFilter(p.text)
		}
		return nil
	case "backspace", "ctrl+h":
		if r := []rune(p.text); len(r) > 0 {
			p.text = string(r[:len(r)-1])
		}
	case "ctrl+u":
		p.text = ""
	default:
		p.add(k.Text)
	}
	m.typed()
	return nil
}

// typed follows a text that changes: a filter counts at once.
func (m *model) typed() {
	m.prompt.problem = ""
	if m.screen == overview {
		m.setFilter(m.prompt.text)
	}
}

func (m *model) entered() tea.Cmd {
	if m.screen == overview {
		m.prompt = nil
		return nil
	}
	path := strings.TrimSpace(m.prompt.text)
	if problem := m.subject.check(path); problem != "" && path != "" {
		m.prompt.problem = problem
		return nil
	}
	m.field, m.prompt = path, nil
	return nil
}

func (m *model) setFilter(text string) {
	m.filter = text
	for _, b := range m.blocks() {
		if b.Name == m.selected {
			return
		}
	}
	m.selected = ""
	m.reselect()
}

func (m *model) overviewKey(name string) tea.Cmd {
	switch name {
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-m.height / 2)
	case "pgdown":
		m.move(m.height / 2)
	case "home":
		m.move(-1 << 30)
	case "end", "G":
		m.move(1 << 30)
	case "s":
		m.order, m.reverse = (m.order+1)%orders, false
	case "S":
		m.order, m.reverse = (m.order+orders-1)%orders, false
	case "R":
		m.reverse = !m.reverse
	case "c":
		m.consumers = !m.consumers
	case "/":
		m.prompt = &prompt{label: "filter: ", text: m.filter}
	case "esc":
		m.setFilter("")
	case "enter":
		return m.open(message)
	case "x":
		m.hex = true
		return m.open(message)
	case "g":
		return m.open(plot)
	}
	return nil
}

// move selects another block.
func (m *model) move(by int) {
	blocks := m.blocks()
	if len(blocks) == 0 {
		return
	}
	at := 0
	for i, b := range blocks {
		if b.Name == m.selected {
			at = i
		}
	}
	m.selected = blocks[max(0, min(at+by, len(blocks)-1))].Name
}

// open shows a screen about the selected block.
func (m *model) open(s screen) tea.Cmd {
	if m.selected == "" {
		return nil
	}
	m.screen, m.scroll, m.series, m.field = s, 0, -1, ""
	m.subject = newSubject(m.monitor, m.selected)
	return m.read()
}

// back returns to the overview.
func (m *model) back() tea.Cmd {
	gone := m.subject
	m.screen, m.subject, m.hex = overview, nil, false
	m.reselectIfGone()
	return gone.close
}
