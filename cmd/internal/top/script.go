package top

import (
	"os"
	"strconv"

	"github.com/charmbracelet/x/ansi"

	"datablock/cmd/internal/monitor"
)

// Text returns a sample as the table that the terminal shows, of all blocks and without colours.
func Text(o Options, v *monitor.View) string {
	m := newModel(o)
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns >= 40 {
		m.width = columns
	}
	m.height = 1 << 20
	m.shown = v
	lines := m.overviewLines(m.blocks())
	text := ""
	for _, l := range lines {
		text += ansi.Truncate(ansi.Strip(m.glyphs.plain(l)), m.width, m.glyphs.cut) + "\n"
	}
	return text
}
