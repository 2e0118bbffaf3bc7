package top

func (m *model) helpLines() []string {
	g := m.glyphs
	return []string{
		titleStyle.Render("datablock-admin top: keys"),
		"",
		"  " + g.pad(cell{g.upDown + " k j", 11, false}) + "select a block; PgUp, PgDn, Home, End",
		"  Enter      the newest message of the block, decoded; x shows its bytes",
		"  g          plot a number of the messages, the rate or the lag",
		"  s  S       sort by the next column, by the one before; R reverses",
		"  /          show only blocks whose name or schema has a text in it; Esc all",
		"  c          show or hide the consumers",
		"  p, space   pause: the screen keeps one sample",
		"  Esc        back;   q  quit",
		"",
		"  FILL     what the slowest LOSSLESS consumer has yet to read, of the ring",
		"  LAG      messages that a consumer has yet to read; " + g.up + " it grows, " + g.down + " it falls",
		"  AGE      how old the oldest of them is; > at least",
		"  MISSED   messages that were overwritten before the consumer read them",
		"  HELD UP  for how long the producer waited for the consumer, since top began",
		"  STATE    durable: its place outlives it; kept: it ended, its place is kept",
		"",
		"  top takes no part in a block: it changes no byte, and no process sees it.",
		"",
		keyStyle.Render("any key: back"),
	}
}
