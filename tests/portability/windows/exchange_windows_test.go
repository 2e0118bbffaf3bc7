package windows

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var lossless = []string{"--flags=lossless,unlink", "--slots=64"}

func number(t testing.TB, text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return n
}

// TestExchange: two processes, then one producer with all deliveries at once.
func TestExchange(t *testing.T) {
	messages := 100_000
	if testing.Short() {
		messages = 2000
	}
	for _, deliveries := range [][]string{{"lossless"}, {"ordered"}, {"latest"}, {"lossless", "ordered", "latest"}} {
		t.Run(fmt.Sprint(deliveries), func(t *testing.T) {
			b := newBlock(t)
			p := b.produce(nil, lossless...)
			p.expect("attached")
			var readers []*worker
			for _, delivery := range deliveries {
				readers = append(readers, b.reader("--delivery="+delivery))
			}
			p.send(fmt.Sprintf("write %d", messages))
			p.expect(fmt.Sprintf("wrote=%d first=0 last=%d end=OK", messages, messages-1))
			b.healthy()
			p.send("close")
			p.expect("closed")
			for i, reader := range readers {
				// bad=0: each id follows from the last one and the missed messages.
				got := reader.expect(fmt.Sprintf(`read=(\d+) missed=(\d+) first=(\d+) last=%d bad=0 sum=\w+ end=CLOSED`,
					messages-1))
				if deliveries[i] == "lossless" {
					assert.Equal(t, []string{fmt.Sprint(messages), "0", "0"}, got)
				}
				t.Logf("%s: read %s, missed %s, from %s on", deliveries[i], got[0], got[1], got[2])
				reader.send("close")
				reader.expect("closed")
			}
			b.empty()
		})
	}
}

// TestKilledAtRandom: a producer and a reader are killed in turn. The witness reads everything.
func TestKilledAtRandom(t *testing.T) {
	kills := 25 // of each side
	if testing.Short() {
		kills = 4
	}
	b := newBlock(t)
	first := b.produce(nil, lossless...)
	first.expect("attached")
	witness := b.reader("--delivery=lossless")
	first.kill()
	committed := uint64(0)
	for turn := range kills {
		p := b.produce(nil, append(lossless, "--echo")...)
		p.expect("attached")
		victim := b.reader("--delivery=lossless")
		p.send("write 1000000")
		for range 1 + rand.IntN(2000) { // so much is certainly committed before the kill
			p.expect(`committed \d+ 0`)
		}
		victim.kill()
		for range 1 + rand.IntN(2000) { // the dead reader does not hold the producer up for good
			committed = number(t, p.expect(`committed (\d+) 0`)[0]) + 1
		}
		_ = p.cmd.Process.Kill()
		for line := range p.lines {
			_, _ = fmt.Sscanf(line, "committed %d", &committed)
		}
		b.healthy()
		t.Logf("turn %d: message %d", turn, committed)
	}
	last := b.produce(nil, lossless...)
	last.expect("attached")
	last.send("write 100")
	next := last.expect(`wrote=100 first=(\d+) last=(\d+) end=OK`)
	assert.GreaterOrEqual(t, number(t, next[0]), committed, "the ids go on")
	last.send("close")
	last.expect("closed")
	total := number(t, next[1]) + 1
	witness.expect(fmt.Sprintf(`read=%d missed=0 first=0 last=%d bad=0 sum=\w+ end=CLOSED`, total, total-1))
	witness.send("close")
	witness.expect("closed")
	b.empty()
}

// TestASleepingConsumerUsesNoProcessor: the time is that of the process, by the system's account.
func TestASleepingConsumerUsesNoProcessor(t *testing.T) {
	b := newBlock(t)
	p := b.produce(nil, lossless...)
	p.expect("attached")
	reader := b.consume(nil, "--delivery=lossless", "--echo")
	reader.expect("attached")
	reader.send("read 0")
	p.send("write 1")
	p.expect("wrote=.*")
	reader.expect("message 0 .*")
	before, begun := processorTime(t, reader.cmd.Process.Pid), time.Now()
	require.Eventually(t, func() bool { return time.Since(begun) > 3*time.Second }, deadline, 100*time.Millisecond)
	used, slept := processorTime(t, reader.cmd.Process.Pid)-before, time.Since(begun)
	t.Logf("used %v in %v", used, slept)
	assert.Less(t, used, slept/50, "2 %% of a processor")
	for id := 1; id <= 10; id++ {
		p.send("write 1")
		p.expect("wrote=.*")
		committed := time.Now()
		reader.expect(fmt.Sprintf("message %d .*", id))
		assert.Less(t, time.Since(committed), deadline/2)
		t.Logf("message %d was read %v after the producer had said so", id, time.Since(committed))
	}
}
