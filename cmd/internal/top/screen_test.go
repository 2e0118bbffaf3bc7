package top

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
	"datablock/cmd/internal/monitor"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.Local)

// pictured is a sample with a block in each state.
func pictured() *monitor.View {
	s, err := datablock.ParseSchema("schema CameraImageMeta 2.1.0 { exposure: f64; }")
	if err != nil {
		panic(err)
	}
	history := func(rates ...float64) (all []monitor.Point) {
		for i, r := range rates {
			all = append(all, monitor.Point{At: noon.Add(time.Duration(i-len(rates)) * time.Second), Rate: r})
		}
		return all
	}
	camera := &monitor.Block{Name: "camera", State: "live", Rate: 30, ByteRate: 93.1 * 1024 * 1024, Fill: 0.754,
		Schema: s, WorstLag: 1234, WorstLagTime: 41 * time.Second, Interval: time.Second,
		Info: datablock.BlockInfo{Name: "camera", Policy: uint32(datablock.Ring), Consumers: 2},
		Consumers: []monitor.Consumer{
			{Participant: participant("logger", datablock.Lossless, 1234, 4711), Rate: 29.97, Trend: 1,
				LagTime: 41 * time.Second, LagTimeKnown: true, HeldUp: 90 * time.Second},
			{Participant: participant("a\x1b[31m\nb", datablock.Latest, 3, 4194304), Trend: -1,
				LagTime: 150 * time.Millisecond}},
		History: history(0, 1, 2, 30, 30, 15, 30, 30)}
	camera.Consumers[0].Durable = true
	dead := participant("display", datablock.Ordered, 0, 99)
	dead.Alive, dead.Missed = false, 5_300_000
	lidar := &monitor.Block{Name: "lidar_with_a_long_name", State: "dead producer",
		Info:      datablock.BlockInfo{Name: "lidar_with_a_long_name", Policy: uint32(datablock.DoubleBuffer)},
		Consumers: []monitor.Consumer{{Participant: dead, LagTimeKnown: true}}, History: history(0, 0)}
	sick := &monitor.Block{Name: "sick", State: "unreadable", Problem: errors.New("its header is\x1b[2J damaged")}
	return &monitor.View{At: noon, Blocks: []*monitor.Block{camera, lidar, sick}}
}

func participant(name string, d datablock.Delivery, behind, pid uint64) monitor.Participant {
	return monitor.Participant{RowInfo: datablock.RowInfo{Name: name, PID: pid, Delivery: uint8(d), Alive: true,
		Role: datablock.RoleConsumer}, Behind: behind}
}

func shown(v *monitor.View) *model {
	m := newModel(Options{Directory: "/dev/shm"})
	m.glyphs = &unicodeGlyphs
	m.Update(sampled{v})
	return m
}

// picture is the screen without colours and without spaces at the ends of lines.
func picture(m *model) string {
	lines := strings.Split(ansi.Strip(m.View().Content), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func press(m *model, keys ...string) (last tea.Cmd) {
	for _, k := range keys {
		key := tea.Key{Text: k}
		switch k {
		case "enter":
			key = tea.Key{Code: tea.KeyEnter}
		case "esc":
			key = tea.Key{Code: tea.KeyEscape}
		case "down":
			key = tea.Key{Code: tea.KeyDown}
		case "backspace":
			key = tea.Key{Code: tea.KeyBackspace}
		case "ctrl+c":
			key = tea.Key{Code: 'c', Mod: tea.ModCtrl}
		default:
			key.Code = []rune(k)[0]
		}
		_, last = m.Update(tea.KeyPressMsg(key))
	}
	return last
}

func TestTheTableFitsEightyColumns(t *testing.T) {
	m := shown(pictured())
	m.height = 13
	assert.Equal(t, strings.TrimPrefix(`
DataBlock  12:00:00  3 blocks, 2 consumers  sort name  /dev/shm
 NAME         SCHEMA    POLICY   MSG/S  BYTES/S FILL CONS    LAG     AGE MSG/S
   CONSUMER   DELIVERY  STATE    MSG/S   MISSED   HELD UP    LAG     AGE PID
▸camera       CameraIm… RING        30 93.1 MiB  75%    2  1.23k     41s ▁▁██▅██
   logger     LOSSLESS  durable   30.0        0       90s  1.23k↑    41s 4711
   a?[31m?b   LATEST    alive        0        0         -      3↓ >150ms 4194304
 lidar_with_… -         DOUBLE       0      0 B    -    0      0       - DEAD
   display    ORDERED   DEAD         0    5.30M         -      0       - 99
 sick         UNREADABLE: its header is?[2J damaged



↑↓ select  Enter message  g plot  s sort  / filter  p pause  ? help  q quit`, "\n"), picture(m))
	for line := range strings.Lines(picture(m)) {
		assert.LessOrEqual(t, ansi.StringWidth(strings.TrimSuffix(line, "\n")), 80)
	}
	m.glyphs = &asciiGlyphs
	for _, r := range picture(m) {
		assert.Less(t, r, rune(128), "the locale has ASCII only")
	}
	assert.Contains(t, picture(m), "CameraIm~")
	assert.Contains(t, picture(m), "1.23k+")
}

func TestEachKeyOfTheTable(t *testing.T) {
	m := shown(pictured())
	order := func() (names []string) {
		for _, b := range m.blocks() {
			names = append(names, b.Name[:4])
		}
		return names
	}
	assert.Equal(t, []string{"came", "lida", "sick"}, order())
	press(m, "R")
	assert.Equal(t, []string{"sick", "lida", "came"}, order())
	assert.Contains(t, picture(m), "sort name reversed")
	press(m, "s")
	assert.Contains(t, picture(m), "sort msg/s  ")
	assert.Equal(t, []string{"came", "lida", "sick"}, order())
	press(m, "S", "S")
	assert.Contains(t, picture(m), "sort state")
	assert.Equal(t, []string{"sick", "lida", "came"}, order())
	press(m, "s")

	press(m, "down", "down", "down")
	assert.Equal(t, "sick", m.selected)
	assert.Contains(t, picture(m), "▸sick")
	press(m, "c")
	assert.NotContains(t, picture(m), "logger")
	press(m, "/", "m", "e", "t")
	assert.Contains(t, picture(m), "filter: met_")
	assert.Equal(t, []string{"came"}, order(), "by the name of the schema")
	assert.Equal(t, "camera", m.selected)
	press(m, "backspace", "a", "x", "enter")
	assert.Empty(t, order())
	assert.Contains(t, picture(m), `no block of 3 matches "meax": Esc shows all`)
	press(m, "enter", "g", "x")
	assert.Equal(t, overview, m.screen, "there is no block to show")
	press(m, "esc")
	assert.Len(t, order(), 3)
	press(m, "/", "s", "i", "esc")
	assert.Len(t, order(), 3, "Esc takes the filter back")

	press(m, "?")
	assert.Contains(t, picture(m), "any key: back")
	press(m, "q")
	assert.NotContains(t, picture(m), "any key: back")
	press(m, "p")
	assert.Contains(t, picture(m), "PAUSED")
	later := pictured()
	later.At = noon.Add(time.Second)
	later.Blocks = later.Blocks[:1]
	m.Update(sampled{later})
	assert.Contains(t, picture(m), "12:00:00")
	press(m, "p")
	assert.Contains(t, picture(m), "12:00:01")
	assert.Equal(t, "camera", m.selected, "what was selected has gone")
	later.Blocks = pictured().Blocks[1:]
	m.Update(sampled{later})
	assert.Equal(t, "lidar_with_a_long_name", m.selected, "it has gone while there is no pause")
	for _, k := range []string{"q", "ctrl+c"} {
		assert.Equal(t, tea.QuitMsg{}, press(m, k)())
	}
}

func TestManyLinesScrollWithTheSelection(t *testing.T) {
	v := &monitor.View{At: noon}
	for i := range 1000 {
		v.Blocks = append(v.Blocks, &monitor.Block{Name: fmt.Sprintf("block%04d", i), State: "live"})
	}
	m := shown(v)
	m.height = 10
	press(m, "G")
	assert.Contains(t, picture(m), "▸block0999")
	press(m, "k", "k", "k", "k", "k", "k", "k", "k")
	assert.Contains(t, picture(m), "▸block0991")
	assert.NotContains(t, picture(m), "block0999")
	assert.Equal(t, 10, strings.Count(m.View().Content, "\n")+1)
}

func TestProblemsOfTheDirectoryAreShown(t *testing.T) {
	m := newModel(Options{Directory: "/dev/shm"})
	assert.Contains(t, picture(m), "reading the blocks")
	m.Update(sampled{&monitor.View{At: noon, Problem: errors.New("no such\x1b directory")}})
	assert.Contains(t, picture(m), "no such? directory")
	m.Update(sampled{&monitor.View{At: noon}})
	assert.Contains(t, picture(m), "no blocks")
}

// TestNoSizeAndNoKeyIsTooMuch types at random into terminals of all sizes.
func TestNoSizeAndNoKeyIsTooMuch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	keys := strings.Fields("down k g x enter esc s S R c / a b backspace p ? f + - n N m G down down")
	for range 60 {
		m := shown(pictured())
		m.o.Monitor.Directory = "/nowhere"
		for range 60 {
			switch random.IntN(8) {
			case 0:
				m.Update(tea.WindowSizeMsg{Width: random.IntN(200), Height: random.IntN(60)})
			case 1:
				v := pictured()
				v.Blocks = v.Blocks[:random.IntN(4)]
				m.Update(sampled{v})
			case 2:
				if m.subject != nil {
					m.subject.busy = false
					m.Update(looked{m.subject, reading{at: noon, data: make([]byte, random.IntN(200)), err: nil}})
				}
			default:
				press(m, keys[random.IntN(len(keys))])
			}
			content := m.View().Content
			require.LessOrEqual(t, strings.Count(content, "\n")+1, max(1, m.height))
			for line := range strings.Lines(content) {
				require.LessOrEqual(t, ansi.StringWidth(strings.TrimSuffix(line, "\n")), m.width)
			}
		}
	}
}

func TestAPlotGoesThroughItsPoints(t *testing.T) {
	m := newModel(Options{})
	m.glyphs, m.width = &asciiGlyphs, labelWidth+2+11
	var points []point
	for i := range 11 {
		points = append(points, point{noon.Add(time.Duration(i) * time.Second), float64(i)})
	}
	assert.Equal(t, strings.TrimPrefix(`
       10.5 |          *
            |       ***
          5 |    ***
            | ***
       -0.5 |*
             -10s 12:00:10`, "\n"), strings.Join(m.chart(points, noon, noon.Add(10*time.Second), 5), "\n"))
	m.glyphs = &unicodeGlyphs
	assert.Contains(t, strings.Join(m.chart(points, noon, noon.Add(10*time.Second), 5), "\n"), "⣀")
	for _, extreme := range [][]float64{{}, {0}, {math.MaxFloat64, -math.MaxFloat64}, {1e-300, 2e-300}, {5, 5, 5}} {
		points = nil
		for _, value := range extreme {
			points = append(points, point{noon, value})
		}
		text := strings.Join(m.chart(points, noon.Add(-time.Second), noon, 7), "\n")
		assert.NotContains(t, text, "NaN", "%v", extreme)
		dots := strings.ContainsFunc(text, func(r rune) bool { return r > 0x2800 && r < 0x2900 })
		assert.Equal(t, len(extreme) > 0, dots)
	}
}
