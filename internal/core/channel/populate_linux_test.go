package channel

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datablock/internal/core/segment"
	"datablock/internal/layout"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// residents returns how many bytes of each mapping of the file this process has mapped.
func residents(t *testing.T, path string) (bytes []uint64) {
	f, err := os.Open("/proc/self/smaps")
	require.NoError(t, err)
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		var kilobytes uint64
		if fields := strings.Fields(line); strings.Contains(fields[0], "-") {
			inside = fields[len(fields)-1] == path
		} else if n, _ := fmt.Sscanf(line, "Rss: %d kB", &kilobytes); inside && n == 1 {
			bytes = append(bytes, kilobytes<<10)
		}
	}
	return bytes
}

func TestTheFirstLapNeedsNoPageFaults(t *testing.T) {
	b := newFixture(t)
	c := b.config(segment.Ring, 64)
	c.SlotSize = layout.BigSlot
	p := b.producer(c)
	b.consumer(segment.ConsumerOptions{})
	o, err := OpenObserver("x", ObserverOptions{Directory: b.dir})
	require.NoError(t, err)
	defer o.Close()
	slots := uint64(p.Slots()) * c.SlotSize
	found := residents(t, filepath.Join(b.dir, "x"))
	require.Len(t, found, 3, "the mappings of producer, consumer and observer")
	populated := 0
	for _, bytes := range found {
		if bytes >= slots {
			populated++
		}
	}
	assert.Equal(t, 2, populated, "an observer reads few messages: %v of %d bytes", found, slots)
}
