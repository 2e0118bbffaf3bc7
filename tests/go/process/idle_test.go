package process_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// usesLessThanOnePercent measures blocked workers for two seconds at a time. Other programs disturb
// caches and clock, so the best of three measurements of each worker counts.
func usesLessThanOnePercent(t testing.TB, workers ...*worker) {
	t.Helper()
	const looks, bound = 3, 0.01
	for look := 1; ; look++ {
		var above []*worker
		for i, share := range shares(t, workers) {
			t.Logf("%s: %.2f %% of a core", workers[i].what, 100*share)
			if share >= bound {
				above = append(above, workers[i])
			}
		}
		if len(above) == 0 {
			return
		}
		if look == looks {
			for _, w := range above {
				assert.Fail(t, "uses the processor while it waits", w.what)
			}
			return
		}
		workers = above
	}
}

// shares returns the shares of a core that blocked workers use in two seconds.
func shares(t testing.TB, workers []*worker) []float64 {
	t.Helper()
	const watched = 2 * time.Second
	start := time.Now()
	used := make([]float64, len(workers))
	for i, w := range workers {
		used[i] = -cpuTime(t, w.pid()).Seconds()
	}
	for time.Since(start) < watched {
		time.Sleep(50 * time.Millisecond)
		for _, w := range workers {
			require.False(t, w.hasNews(), "%s is not blocked", w.what)
		}
	}
	for i, w := range workers {
		used[i] = (used[i] + cpuTime(t, w.pid()).Seconds()) / time.Since(start).Seconds()
	}
	return used
}

func TestBlockedParticipantsUseNoProcessor(t *testing.T) {
	for _, consumers := range []int{1, 20} {
		t.Run(fmt.Sprintf("%d_consumers_of_an_idle_producer", consumers), func(t *testing.T) {
			b := newFixture(t)
			p := b.producer("go", "--limit=32")
			p.write(1)
			blocked := []*worker{}
			for i := range consumers {
				for _, language := range languages {
					if consumers > 1 && language != languages[i%len(languages)] {
						continue
					}
					c := b.consumer(language, []string{"lossless", "ordered", "latest"}[i%3])
					if i%3 == 2 {
						c.read(1) // the newest message counts as unread
					}
					c.send("read 1")
					b.asleep(c)
					blocked = append(blocked, c)
				}
			}
			usesLessThanOnePercent(t, blocked...)
			p.write(1)
			for _, c := range blocked {
				c.expect("read=1")
				c.close()
			}
			p.close()
			b.leavesNoGarbage()
		})
		t.Run(fmt.Sprintf("producers_held_up_by_%d_consumers", consumers), func(t *testing.T) {
			var producers []*worker
			var holding [][]*worker
			for i, language := range languages {
				b := newFixture(t)
				p := b.producer(language, "--limit=32")
				var those []*worker
				for range consumers {
					those = append(those, b.consumer(languages[(i+1)%len(languages)], "lossless"))
				}
				p.send(fmt.Sprintf("write %d", ring+1))
				b.heldUp(p)
				producers, holding = append(producers, p), append(holding, those)
			}
			usesLessThanOnePercent(t, producers...)
			for i, p := range producers {
				for _, c := range holding[i] {
					c.read(1)
				}
				p.expect("wrote=9")
				for _, c := range holding[i] {
					c.close()
				}
				p.close()
			}
		})
	}
}
