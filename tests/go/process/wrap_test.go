package process_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// TestTagWrap: a ring entry has 40 bits of the id, which wrap after about a day at full speed. The
// wrap has no visible effect.
func TestTagWrap(t *testing.T) {
	for _, rounds := range []uint64{1, 5} {
		base := rounds<<40 - 3
		t.Run(fmt.Sprint(base), func(t *testing.T) {
			forPairs(t, func(t *testing.T, producer, consumer string) {
				b := newFixture(t)
				b.producer(producer).close()
				b.poke(b.dataPath(), layout.Commit, base)
				p := b.producer(producer)
				consumers := map[string]*worker{}
				for _, delivery := range []string{"lossless", "ordered", "latest"} {
					// The ring has no message that would be the oldest one.
					consumers[delivery] = b.consumer(consumer, delivery, "--echo")
					consumers[delivery].send("read 0")
				}
				assert.Equal(t, base, p.write(20).number(t, "first"))
				p.kill()
				q := b.producer(consumer)
				assert.Equal(t, base+20, q.write(20).number(t, "first"), "adoption finds the end of the stream")
				late := b.consumer(consumer, "lossless", "--start=oldest")
				assert.Equal(t, base+40-ring, late.read(ring).number(t, "first"))
				late.close()
				q.close()
				for delivery, c := range consumers {
					s := parseSummary(c.expect("read="))
					assert.Equal(t, "CLOSED", s["end"], delivery)
					assert.EqualValues(t, 0, s.number(t, "bad"), delivery)
					assert.Equal(t, base+39, s.number(t, "last"), delivery)
					if delivery == "lossless" {
						assert.Equal(t, base, s.number(t, "first"))
						assert.EqualValues(t, 40, s.number(t, "read"))
					}
					all := c.messages()
					require.NotEmpty(t, all)
					assert.Equal(t, base+39, all[0].id+s.number(t, "read")-1+s.number(t, "missed")-all[0].missed,
						delivery)
					c.close()
				}
				b.leavesNothing()
			})
		})
	}
}
