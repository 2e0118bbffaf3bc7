package recovery

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"datablock/internal/core/channel"
	"datablock/internal/core/coretest"
	"datablock/internal/core/segment"
)

// fixture is a block "x" in a directory of its own, as in the tests of the channel package. The
// tests of each package may use what that package does not export, so that the two cannot share it.
type fixture struct {
	t   testing.TB
	dir string
}

func newFixture(t testing.TB) fixture { return fixture{t, coretest.Directory(t)} }

func (b fixture) config(policy segment.Policy, slots uint32) segment.Config {
	c := segment.DefaultConfig(policy)
	c.SlotCount, c.SlotSize, c.Directory = slots, 64, b.dir
	return c
}

func (b fixture) producer(c segment.Config) *channel.Producer {
	p, err := channel.OpenProducer("x", c)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = p.Close() })
	return p
}

func (b fixture) openConsumer(o segment.ConsumerOptions) (*channel.Consumer, error) {
	o.Directory = b.dir
	return channel.OpenConsumer("x", o)
}

func (b fixture) consumer(o segment.ConsumerOptions) *channel.Consumer {
	c, err := b.openConsumer(o)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (b fixture) observer() *channel.Observer {
	o, err := channel.OpenObserver("x", channel.ObserverOptions{Directory: b.dir})
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = o.Close() })
	return o
}

// bytesOfBothFiles are the bytes of both files.
func (b fixture) bytesOfBothFiles() (all [][]byte) {
	paths, err := filepath.Glob(filepath.Join(b.dir, "x*"))
	require.NoError(b.t, err)
	require.Len(b.t, paths, 2)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(b.t, err)
		all = append(all, data)
	}
	return all
}

func write(t testing.TB, p *channel.Producer, n int) {
	for range n {
		s, err := p.Claim(time.Second)
		require.NoError(t, err)
		binary.LittleEndian.PutUint64(s.Data(), s.ID())
		require.NoError(t, p.Commit(s, 8))
	}
}

func read(t testing.TB, c *channel.Consumer) channel.ReadSlot {
	s, err := c.Next(time.Second)
	require.NoError(t, err)
	require.Equal(t, s.ID(), binary.LittleEndian.Uint64(s.Data()))
	require.NoError(t, c.Release(s))
	return s
}

func idsOf(t testing.TB, c *channel.Consumer, n int) (ids []uint64) {
	for range n {
		ids = append(ids, read(t, c).ID())
	}
	return ids
}

// die leaves a participant's row as a killed process does: the kernel releases the locks,
// everything else stays. (Real kills are in tests/go/process.)
func die(a *segment.Attachment) { a.CloseLocks() }
