package process_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestASleeperIsAwakeAtOnce: a consumer that sleeps has read a message within 50 ms of its commit.
// Other programs disturb single wake-ups, so the best of three medians counts.
func TestASleeperIsAwakeAtOnce(t *testing.T) {
	const bound = 50 * time.Millisecond
	for i, language := range languages {
		t.Run(language, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(languages[(i+1)%len(languages)], "--slots=64")
			c := b.consumer(language, "lossless", "--echo")
			c.send("read 0")
			median := time.Hour
			for look := 0; look < 3 && median >= bound; look++ {
				median = min(median, wakeUps(b, p, c))
			}
			assert.Less(t, median, bound)
			p.close()
			finished(c)
			c.close()
			b.leavesNoGarbage()
		})
	}
}

// wakeUps returns the median of the times from before a commit to the answer of a consumer that has
// slept for a while.
func wakeUps(b *fixture, p, c *worker) time.Duration {
	b.t.Helper()
	const longer = 100 * time.Millisecond // than the first part of a sleep: see internal/platform
	var late []time.Duration
	for range 21 {
		for begun := time.Now(); time.Since(begun) < longer; {
			b.asleep(c)
		}
		asked := time.Now()
		id := p.write(1)["last"]
		c.expect(fmt.Sprintf("message %s ", id))
		late = append(late, time.Since(asked))
	}
	slices.Sort(late)
	b.t.Logf("awake after %v at the median, %v at most", late[10], late[20])
	return late[10]
}
