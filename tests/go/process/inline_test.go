package process_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheCppWorkerIsInline: the other tests use the C++ worker as the evidence for inline code.
// Every write with free capacity, and every read of an available message, passes crash points in
// the worker's own code, and none in the library.
func TestTheCppWorkerIsInline(t *testing.T) {
	b := newFixture(t)
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
