package windows

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crashPoints finds the crash points of the core and of the platform in the sources.
func crashPoints(t *testing.T) (points []string) {
	call := regexp.MustCompile(`crash\.Point\("([^"]+)"\)`)
	for _, pattern := range []string{"../../../internal/core/*/*.go", "../../../internal/platform/*_windows.go"} {
		files, err := filepath.Glob(filepath.FromSlash(pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range call.FindAllStringSubmatch(string(text), -1) {
				points = append(points, m[1])
			}
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}

// A route makes a victim pass crash points. It reports whether the victim died, and checks what the
// survivors have.
type route func(b block, crash []string) (died bool)

var routes = map[string]route{
	"produce": produceRoute, "replace": replaceRoute, "consume": consumeRoute, "unlink": unlinkRoute,
}

// needed are points that the routes must reach, one of each part of the protocol.
var needed = []string{"claim.marked", "commit.published", "adopt.locked", "create.control", "create.data",
	"create.filled", "create.published", "replace.marked", "replace.exchanged", "attach.row", "close.unlocked",
	"exchange.hidden", "exchange.placed", "exchange.done", "remove.renamed", "unlink.removed", "sleep.consumer"}

// TestKilledAtCrashPoints kills a process at each crash point that a route reaches, by
// TerminateProcess.
func TestKilledAtCrashPoints(t *testing.T) {
	points := crashPoints(t)
	for _, each := range needed {
		require.Contains(t, points, each)
	}
	if testing.Short() {
		points = needed
	}
	var missed []string
	for _, point := range points {
		reached := false
		for name, walk := range routes {
			t.Run(point+"/"+name, func(t *testing.T) {
				b := newBlock(t)
				if walk(b, []string{"DATABLOCK_CRASH=" + point}) {
					reached = true
					t.Log("killed")
				}
			})
		}
		if !reached {
			missed = append(missed, point)
			assert.NotContains(t, needed, point)
		}
	}
	t.Logf("%d of %d points reached; not these: %v", len(points)-len(missed), len(points), missed)
}

// produceRoute: the victim takes the block over, writes and closes.
func produceRoute(b block, crash []string) bool {
	first := b.produce(nil, "--flags=lossless", "--slots=8")
	first.expect("attached")
	witness := b.reader("--delivery=lossless")
	first.send("write 20")
	first.expect("wrote=20 .*")
	first.kill()
	victim := b.produce(crash, "--flags=lossless", "--slots=8")
	victim.send("write 30", "claim", "abort", "claim", "commit", "close")
	died := victim.died()
	b.goOn(witness, 20)
	return died
}

// goOn lets a new producer take the block over. The witness has read every message from 0 on. If
// the victim had closed the stream, the witness has read to that end, and closes.
func (b block) goOn(witness *worker, least uint64) {
	b.healthy()
	p := b.produce(nil, "--flags=lossless,unlink", "--slots=8")
	p.expect("attached")
	p.send("write 20")
	var line string
	select {
	case line = <-witness.lines:
		witness.send("close")
		assert.Regexp(b, `^read=\d+ missed=0 first=0 last=\d+ bad=0 sum=\w+ end=CLOSED$`, line)
	case line = <-p.lines:
		p.lines <- line
		line = ""
	case <-time.After(deadline):
		require.FailNow(b, "neither the producer nor the witness goes on")
	}
	next := p.expect(`wrote=20 first=(\d+) last=(\d+) end=OK`)
	assert.GreaterOrEqual(b, number(b, next[0]), least, "the ids go on")
	p.send("close")
	p.expect("closed")
	if line == "" {
		last := number(b, next[1])
		witness.expect(fmt.Sprintf(`read=%d missed=0 first=0 last=%d bad=0 sum=\w+ end=CLOSED`, last+1, last))
		witness.send("close")
	}
	witness.expect("closed")
	b.empty()
}

// replaceRoute: the victim replaces a block that a producer has left, by one of another geometry.
func replaceRoute(b block, crash []string) bool {
	first := b.produce(nil, "--flags=lossless", "--slots=8")
	first.expect("attached")
	first.send("write 20")
	first.expect("wrote=20 .*")
	first.kill()
	old := b.consume(nil, "--delivery=ordered", "--start=oldest")
	old.expect("attached")
	victim := b.produce(crash, "--flags=lossless,replace", "--slots=16")
	victim.send("write 5", "close")
	died := victim.died()
	old.send("read 0")
	p := b.produce(nil, "--flags=lossless,replace,unlink", "--slots=32")
	p.expect("attached")
	old.expect(`read=\d+ missed=\d+ first=\d+ last=\d+ bad=0 sum=\w+ end=SUPERSEDED`)
	old.send("close")
	old.expect("closed")
	b.fresh(p)
	return died
}

// fresh checks a block that nobody else has open.
func (b block) fresh(p *worker) {
	reader := b.reader("--delivery=lossless")
	p.send("write 100")
	p.expect("wrote=100 .* end=OK")
	b.healthy()
	p.send("close")
	p.expect("closed")
	reader.expect(`read=100 missed=0 first=\d+ last=\d+ bad=0 sum=\w+ end=CLOSED`)
	reader.send("close")
	reader.expect("closed")
	b.empty()
}

// consumeRoute: the victim reads, holds and closes, and keeps its place.
func consumeRoute(b block, crash []string) bool {
	p := b.produce(nil, "--flags=lossless", "--slots=8")
	p.expect("attached")
	witness := b.reader("--delivery=lossless")
	victim := b.consume(crash, "--delivery=lossless", "--timeout=50")
	victim.send("read 1") // finds nothing
	p.send("write 3")
	p.expect("wrote=3 .*")
	victim.send("read 2", "hold", "release", "lock 0", "zone 1", "unlock 0", "close")
	died := victim.died()
	p.send("write 100") // the dead reader does not hold the producer up for good
	p.expect("wrote=100 .* end=OK")
	p.kill()
	b.goOn(witness, 103)
	return died
}

// unlinkRoute: the victim makes a block and removes it by force, while a reader has it open.
func unlinkRoute(b block, crash []string) bool {
	maker := b.produce(crash, "--flags=lossless,unlink", "--slots=8")
	maker.send("write 5", "close")
	died := maker.died()
	p := b.produce(nil, "--flags=lossless", "--slots=8")
	p.expect("attached")
	reader := b.consume(nil, "--delivery=ordered")
	reader.expect("attached")
	victim := start(b, crash, "recover", blockName, "--dir="+b.dir, "--do=unlink-force")
	died = victim.died() || died
	p.kill()
	reader.kill()
	last := b.produce(nil, "--flags=lossless,unlink", "--slots=8")
	last.expect("attached")
	b.fresh(last)
	return died
}
