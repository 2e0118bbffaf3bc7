package command

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
	"datablock/cmd/internal/pulse"
)

// A character of a picture, in units of SVG.
const (
	cellWidth  = 9.0
	cellHeight = 19.0
	margin     = 12.0
)

// look is how a terminal shows a character.
type look struct {
	bold, faint, reverse bool
	colour               string
}

var (
	escape  = regexp.MustCompile(`\x1b\[([0-9;]*)m`)
	words   = regexp.MustCompile(` +|[^ ]+`)
	colours = map[int]string{31: "#ff7b72", 33: "#e3b341"}
)

const ground, ink = "#14171a", "#e6e6e6"

// after is the look after the numbers of an escape sequence. An unknown number fails the test.
func (l look) after(t *testing.T, numbers string) look {
	t.Helper()
	for _, text := range strings.Split(numbers, ";") {
		number, err := strconv.Atoi("0" + text)
		require.NoError(t, err)
		switch {
		case number == 0:
			l = look{}
		case number == 1:
			l.bold = true
		case number == 2:
			l.faint = true
		case number == 7:
			l.reverse = true
		case number == 22:
			l.bold, l.faint = false, false
		case number == 27:
			l.reverse = false
		case number == 39:
			l.colour = ""
		case number == 49: // the usual background
		case colours[number] != "":
			l.colour = colours[number]
		default:
			t.Fatalf("a picture does not know the escape sequence %q", numbers)
		}
	}
	return l
}

func place(column, line int) (x, y float64) {
	return margin + float64(column)*cellWidth, margin + float64(line)*cellHeight
}

// bar is what is behind reversed text.
func (l look) bar(column, line, width int) string {
	x, y := place(column, line)
	return fmt.Sprintf(`<rect x="%g" y="%g" width="%g" height="%g" fill="%s"/>`+"\n", x, y, float64(width)*cellWidth,
		cellHeight, cmp.Or(l.colour, ink))
}

// text is a word, as SVG. textLength keeps the columns in every font.
func (l look) text(column, line int, word string) string {
	x, y := place(column, line)
	colour, style := cmp.Or(l.colour, ink), ""
	if l.reverse {
		colour = ground
	}
	if l.bold {
		style += ` font-weight="bold"`
	}
	if l.faint {
		style += ` opacity="0.65"`
	}
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(word))
	return fmt.Sprintf(`<text x="%g" y="%g" textLength="%g" fill="%s"%s>%s</text>`+"\n", x, y+cellHeight-5,
		cellWidth*float64(utf8.RuneCountInString(word)), colour, style, escaped.String())
}

// svg is a screen with escape sequences as a picture.
func svg(t *testing.T, screen, title string) string {
	t.Helper()
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	var body strings.Builder
	columns, l := 0, look{}
	for y, line := range lines {
		column := 0
		for line != "" {
			at := escape.FindStringSubmatchIndex(line)
			end := len(line)
			if at != nil {
				end = at[0]
			}
			if width := utf8.RuneCountInString(line[:end]); l.reverse && width > 0 {
				body.WriteString(l.bar(column, y, width))
			}
			for _, word := range words.FindAllString(line[:end], -1) {
				if word[0] != ' ' {
					body.WriteString(l.text(column, y, word))
				}
				column += utf8.RuneCountInString(word)
			}
			if at == nil {
				break
			}
			l = l.after(t, line[at[2]:at[3]])
			line = line[at[1]:]
		}
		columns = max(columns, column)
	}
	width, height := 2*margin+float64(columns)*cellWidth, 2*margin+float64(len(lines))*cellHeight
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img"`+
		` font-family="ui-monospace, 'DejaVu Sans Mono', monospace" font-size="15">
<title>%s</title>
<rect width="100%%" height="100%%" rx="8" fill="%s"/>
%s</svg>
`, width, height, width, height, title, ground, body.String())
}

// picture stores a picture of the screen in the build, for the documents.
func (s *screen) picture(name, title, dir string) string {
	s.t.Helper()
	folder := os.Getenv("DATABLOCK_BUILD")
	if folder == "" {
		folder = s.t.TempDir()
	}
	folder = filepath.Join(folder, "pictures")
	require.NoError(s.t, os.MkdirAll(folder, 0o755))
	screen := strings.ReplaceAll(s.tmux("capture-pane", "-e", "-p"), dir, "/dev/shm")
	text := svg(s.t, screen, title)
	require.NoError(s.t, xml.Unmarshal([]byte(text), &struct{ XMLName xml.Name }{}))
	require.NoError(s.t, os.WriteFile(filepath.Join(folder, name+".svg"), []byte(text), 0o644))
	return text
}

// TestPicturesOfTop makes the pictures of docs/monitoring.md from the program in a terminal.
func TestPicturesOfTop(t *testing.T) {
	dir := blocksIn(t)
	start(t, dir, pulse.Plan{Produce: []string{"camera"}, Every: 5 * time.Millisecond, Schema: true, Slots: 64})
	start(t, dir, pulse.Plan{Consume: "camera", Delivery: datablock.Lossless, Name: "recorder",
		Every: 7 * time.Millisecond})
	start(t, dir, pulse.Plan{Consume: "camera", Delivery: datablock.Latest, Name: "display",
		Every: 30 * time.Millisecond})
	start(t, dir, pulse.Plan{Produce: []string{"lidar"}, Every: 30 * time.Millisecond, Schema: true})
	start(t, dir, pulse.Plan{Consume: "lidar", Delivery: datablock.Ordered, Name: "fusion",
		Every: 20 * time.Millisecond})
	require.NoError(t, start(t, dir, pulse.Plan{Produce: []string{"odometry"}}).Process.Kill())
	s := onScreen(t, dir, 100, 16, "--interval", "200ms")
	s.wait(`(?m)^.camera .*[▁▂▃▄▅▆▇█]{7}$`, `(?m)^ odometry .* DEAD$`, `recorder +LOSSLESS`, `display +LATEST`)
	text := s.picture("top", "datablock-admin top: three blocks and their consumers", dir)
	for _, part := range []string{"recorder", "fusion", "fill=\"#ff7b72\"", "font-weight"} {
		assert.Contains(t, text, part)
	}
	s.press("Down", "Enter", "g")
	s.press("Right", "Right", "-")
	s.wait(`(?m)^position\[1\]: .* in 10s$`, `(?m)^.{10,50}[\x{2801}-\x{28ff}]`)
	s.picture("top-plot", "datablock-admin top: a plot of one block", dir)
}
