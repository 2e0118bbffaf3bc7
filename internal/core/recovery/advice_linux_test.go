package recovery

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// harms are kinds of damage, to be combined. What takes the place of a later harm comes last.
var harms = []struct {
	name string
	do   func(b fixture, data, control string)
}{
	{"a header byte", func(b fixture, data, _ string) { flipBit(b.t, data, 70) }},
	{"a reserved byte", func(b fixture, data, _ string) { damageByte(b.t, data, 1000) }},
	{"the header", func(b fixture, data, _ string) { damageByte(b.t, data, 24, 70, 80, 90, 100) }},
	{"the control header", func(b fixture, _, control string) { damageByte(b.t, control, 36) }},
	{"an entry", func(b fixture, data, _ string) { damageByte(b.t, data, ringAt(b.t, data)+4) }},
	{"the ring and commit", func(b fixture, data, _ string) { forgetIDs(b.t, data) }},
	{"data truncated", func(b fixture, data, _ string) { resize(b.t, data, -100) }},
	{"data extended", func(b fixture, data, _ string) { resize(b.t, data, 1000) }},
	{"control truncated", func(b fixture, _, control string) { resize(b.t, control, -100) }},
	{"control extended", func(b fixture, _, control string) { resize(b.t, control, 1000) }},
	{"control of another", func(b fixture, _, control string) {
		_, its := b.keep("y", 0)
		contents, err := os.ReadFile(its)
		require.NoError(b.t, err)
		require.NoError(b.t, os.WriteFile(control, contents, 0o600))
	}},
	{"control emptied", func(b fixture, _, control string) { require.NoError(b.t, os.Truncate(control, 0)) }},
	{"control gone", func(b fixture, _, control string) { _ = os.Remove(control) }},
	{"data cut to its page", func(b fixture, data, _ string) { require.NoError(b.t, os.Truncate(data, 5000)) }},
}

func ringAt(t testing.TB, data string) int64 {
	contents, err := os.ReadFile(data)
	require.NoError(t, err)
	h, err := segment.DecodeHeader(contents[:layout.ImmutableLen], data)
	if err != nil { // other damage came first
		return layout.Page + 4096
	}
	return int64(h.RingOffset)
}

// forgetIDs overwrites the words that tell which ids the messages have.
func forgetIDs(t testing.TB, data string) {
	f, err := os.OpenFile(data, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	at := ringAt(t, data)
	for i := range int64(16) {
		_, err = f.WriteAt([]byte{byte(i * 37), byte(i * 91), 0x55, byte(i)}, at+8*i)
		require.NoError(t, err)
	}
	_, err = f.WriteAt([]byte{9, 9, 9, 9, 9, 9, 0, 0}, layout.Commit)
	require.NoError(t, err)
}

func resize(t testing.TB, path string, by int64) {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return
	}
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, max(info.Size()+by, 0)))
}

var repairCommand = regexp.MustCompile(`validate --shm-name \S+ --repair( --force)?`)

// TestNoAdviceLeadsBackToItself follows the advice about every two kinds of damage together. A
// command that is advised either repairs, or its own advice is another one.
func TestNoAdviceLeadsBackToItself(t *testing.T) {
	for i, harm := range harms {
		for _, more := range harms[i:] {
			t.Run(harm.name+", "+more.name, func(t *testing.T) {
				b := newFixture(t)
				data, control := b.keep("x", 8)
				harm.do(b, data, control)
				if more.name != harm.name {
					more.do(b, data, control)
				}
				typed := map[string]bool{}
				for range 4 {
					i, err := ValidateIntegrity("x", b.dir)
					require.NoError(t, err)
					if i.Healthy() {
						b.stillOpens()
						return
					}
					command := repairCommand.FindString(i.Message())
					if command == "" {
						assertTheEnd(t, i)
						return
					}
					require.False(t, typed[command], "%s: advised again: %s", command, i.Message())
					typed[command] = true
					result, left, err := Repair("x", b.dir, strings.HasSuffix(command, "--force"))
					if result == RecoverySuccess {
						continue
					}
					require.Error(t, err)
					assert.NotContains(t, err.Error(), "stop the programs", "no program is attached")
					assert.NotContains(t, err.Error(), repairAdvice("x")+" (", "the command that has just failed")
					assert.False(t, left.Findings[0].mendable, left.Message())
				}
				t.Fatal("no end")
			})
		}
	}
}

// assertTheEnd checks advice without a command: every line of it says what a person does.
func assertTheEnd(t *testing.T, i *Integrity) {
	for _, f := range i.Findings {
		assert.NotRegexp(t, repairCommand, f.Advice, f.Problem)
		assert.Regexp(t, "rm |remove|give it its name back|use another name|exchange|put back|put its own", f.Advice,
			f.Problem)
	}
}

func (b fixture) stillOpens() {
	c, err := channel.OpenConsumer("x", segment.ConsumerOptions{Directory: b.dir})
	require.NoError(b.t, err)
	require.NoError(b.t, c.Close())
}

func flipBit(t testing.TB, path string, at int64) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	flip(t, f, at, 1)
}
