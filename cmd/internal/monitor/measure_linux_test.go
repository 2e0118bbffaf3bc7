package monitor

import (
	"fmt"
	"testing"
	"time"

	"datablock"

	"golang.org/x/sys/unix"

	"github.com/stretchr/testify/require"
)

// BenchmarkThousandBlocks: a sample must take less than 50 ms of a core: 5 % at one a second.
func BenchmarkThousandBlocks(b *testing.B) {
	dir := place(b)
	for i := range 1000 {
		p, err := datablock.OpenProducer(fmt.Sprintf("block%04d", i), configIn(dir, 4))
		require.NoError(b, err)
		defer p.Close()
	}
	m := New(Options{Directory: dir})
	defer m.Close()
	first := m.Sample()
	require.Len(b, first.Blocks, 1000)
	b.Logf("the first sample took %v", first.Took)
	measure(b, m)
}

// BenchmarkLargeBlock is one block with 255 consumers and 1,048,576 slots.
func BenchmarkLargeBlock(b *testing.B) {
	dir := place(b)
	config := configIn(dir, 1<<20)
	config.ConsumerLimit = 255
	p, err := datablock.OpenProducer("large", config)
	require.NoError(b, err)
	defer p.Close()
	for range 255 {
		c, err := datablock.OpenConsumer("large", datablock.ConsumerOptions{Directory: dir})
		require.NoError(b, err)
		defer c.Close()
	}
	write(b, p, 1<<20)
	m := New(Options{Directory: dir})
	defer m.Close()
	b.Logf("the first sample took %v", m.Sample().Took)
	measure(b, m)
}

// measure reports what a sample takes of the processor, which another program does not lengthen.
func measure(b *testing.B, m *Monitor) {
	used := func() (t time.Duration) {
		var u unix.Rusage
		require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	for b.Loop() {
		m.Sample()
	}
	b.ReportMetric(float64((used()-before).Nanoseconds())/float64(b.N)/1e6, "cpu-ms/op")
}
