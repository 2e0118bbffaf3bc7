package process_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestASleeperIsAwakeAtOnce: a consumer that sleeps has read a message within 50 ms of its commit.
// Other programs disturb a single wake-up, so the median of 21 counts.
func TestASleeperIsAwakeAtOnce(t *testing.T) {
	for i, language := range languages {
		t.Run(language, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(languages[(i+1)%len(languages)], "--slots=64")
			c := b.consumer(language, "lossless", "--echo")
			c.send("read 0")
			var late []time.Duration
			for id := range 21 {
				b.asleep(c)
				asked := time.Now() // before the commit
				p.write(1)
				c.expect(fmt.Sprintf("message %d ", id))
				late = append(late, time.Since(asked))
			}
			slices.Sort(late)
			t.Logf("awake after %v at the median, %v at most", late[10], late[20])
			assert.Less(t, late[10], 50*time.Millisecond)
			p.close()
			finished(c)
			c.close()
			b.leavesNoGarbage()
		})
	}
}
