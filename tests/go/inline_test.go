package process_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheCppWorkerIsInline: it is the evidence of what holds for inline code, so it must be that.
// Every message of a ring that has room, and every one that is there already, passes crash points
// in the worker's own code, and none of the library.
func TestTheCppWorkerIsInline(t *testing.T) {
	b := newBench(t)
	points := func(w *worker) (n int) {
		_, err := fmt.Sscanf(w.ask("inline", "inline"), "inline %d", &n)
		require.NoError(t, err)
		return n
	}
	p := b.producer("cpp")
	for _, delivery := range []string{"lossless", "ordered"} {
		p.write(ring)
		before := points(p)
		assert.GreaterOrEqual(t, before, ring*7,
			"claim.slot, .remembered, .marked and commit.header, .unmarked, .published, .hint of each message")
		c := b.consumer("cpp", delivery, "--start=oldest")
		require.Zero(t, points(c))
		c.read(ring)
		assert.GreaterOrEqual(t, points(c), ring, "release.advanced or release.unpinned of each message")
		c.close()
	}
	p.close()
	b.leavesNoGarbage()
}
