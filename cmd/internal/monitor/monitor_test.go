package monitor

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"datablock"
	"datablock/cmd/internal/faults"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// place is a directory for blocks.
func place(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "datablock-monitor-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func configIn(dir string, slots uint32) datablock.Config {
	c := datablock.DefaultConfig(datablock.Ring)
	c.Directory, c.SlotSize, c.SlotCount = dir, 16, slots
	return c
}

func producer(t testing.TB, name string, c datablock.Config) *datablock.Producer {
	t.Helper()
	p, err := datablock.OpenProducer(name, c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = faults.Catch(p.Close) }) // its files may be truncated by then
	return p
}

func consumer(t testing.TB, name, dir string, delivery datablock.Delivery) *datablock.Consumer {
	t.Helper()
	c, err := datablock.OpenConsumer(name, datablock.ConsumerOptions{Directory: dir, Delivery: delivery,
		Start: datablock.StartOldest, Name: delivery.String()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func write(t testing.TB, p *datablock.Producer, count int) {
	t.Helper()
	for range count {
		slot, err := p.Claim(0)
		require.NoError(t, err)
		require.NoError(t, p.Commit(slot, 8))
	}
}

func read(t testing.TB, c *datablock.Consumer, count int) {
	t.Helper()
	for range count {
		slot, err := c.Next(0)
		require.NoError(t, err)
		require.NoError(t, c.Release(slot))
	}
}

func watch(t testing.TB, o Options) *Monitor {
	m := New(o)
	t.Cleanup(m.Close)
	return m
}

// only is the one block of a sample.
func only(t testing.TB, m *Monitor) *Block {
	t.Helper()
	v := m.Sample()
	require.NoError(t, v.Problem)
	require.Len(t, v.Blocks, 1)
	return v.Blocks[0]
}

func TestRatesAndLagsAreOfTheTimeBetweenSamples(t *testing.T) {
	dir := place(t)
	p := producer(t, "x", configIn(dir, 16))
	c := consumer(t, "x", dir, datablock.Lossless)
	m := watch(t, Options{Directory: dir})
	first := only(t, m)
	assert.Equal(t, "live", first.State)
	assert.Zero(t, first.Rate)
	assert.Zero(t, first.Interval)
	require.NotNil(t, first.Producer)
	assert.EqualValues(t, os.Getpid(), first.Producer.PID)

	write(t, p, 12)
	read(t, c, 4)
	b := only(t, m)
	assert.InEpsilon(t, 12, b.Rate*b.Interval.Seconds(), 1e-6)
	assert.InEpsilon(t, 12*8, b.ByteRate*b.Interval.Seconds(), 1e-6)
	require.Len(t, b.Consumers, 1)
	one := b.Consumers[0]
	assert.InEpsilon(t, 4, one.Rate*b.Interval.Seconds(), 1e-6)
	assert.EqualValues(t, 8, one.Behind)
	assert.Equal(t, 1, one.Trend)
	assert.True(t, one.LagTimeKnown)
	assert.LessOrEqual(t, one.LagTime, b.Interval)
	assert.InDelta(t, 0.5, b.Fill, 1e-9)
	assert.EqualValues(t, 8, b.WorstLag)
	assert.Equal(t, one.LagTime, b.WorstLagTime)

	later := only(t, m)
	assert.Zero(t, later.Rate)
	assert.Greater(t, later.Consumers[0].LagTime, one.LagTime, "the message grows older")
	read(t, c, 8)
	last := only(t, m)
	assert.Equal(t, -1, last.Consumers[0].Trend)
	assert.Zero(t, last.Consumers[0].LagTime)
	assert.EqualValues(t, 12, last.History[len(last.History)-1].NextID)
	assert.Len(t, first.History, 1, "a view never changes")
}

func TestAMessageOlderThanAllSamplesIsSaidToBe(t *testing.T) {
	dir := place(t)
	p := producer(t, "x", configIn(dir, 16))
	consumer(t, "x", dir, datablock.Lossless)
	write(t, p, 3)
	m := watch(t, Options{Directory: dir})
	only(t, m)
	c := only(t, m).Consumers[0]
	assert.False(t, c.LagTimeKnown)
	assert.Positive(t, c.LagTime, "it is at least that old")
}

func TestTheTimesOfABlockAreUsed(t *testing.T) {
	dir := place(t)
	config := configIn(dir, 16)
	config.Flags |= datablock.Timestamp
	p := producer(t, "x", config)
	consumer(t, "x", dir, datablock.Lossless)
	before := time.Now()
	write(t, p, 1)
	written := time.Now()
	m := watch(t, Options{Directory: dir})
	b := only(t, m)
	now := time.Now()
	c := b.Consumers[0]
	assert.True(t, c.LagTimeKnown, "at the first sample")
	assert.LessOrEqual(t, c.LagTime, now.Sub(before))
	assert.LessOrEqual(t, b.Idle, now.Sub(before))
	assert.GreaterOrEqual(t, b.Idle, b.History[0].At.Sub(written))
}

func TestBlocksComeGoAndAreReplaced(t *testing.T) {
	dir := place(t)
	m := watch(t, Options{Directory: dir})
	v := m.Sample()
	assert.NoError(t, v.Problem)
	assert.Empty(t, v.Blocks)
	p := producer(t, "x", configIn(dir, 16))
	write(t, p, 5)
	b := only(t, m)
	assert.False(t, b.Replaced)
	require.NoError(t, p.Close())
	assert.Equal(t, "closed", only(t, m).State)

	config := configIn(dir, 8)
	config.Flags |= datablock.Replace
	write(t, producer(t, "x", config), 2)
	b = only(t, m)
	assert.True(t, b.Replaced)
	assert.Len(t, b.History, 1)
	assert.Zero(t, b.Rate)
	assert.EqualValues(t, 2, b.Info.NextID)
	assert.False(t, only(t, m).Replaced)

	require.NoError(t, datablock.Unlink("x", dir, datablock.Force))
	assert.Empty(t, m.Sample().Blocks)
	named := watch(t, Options{Directory: dir, Names: []string{"x"}})
	assert.ErrorIs(t, only(t, named).Problem, datablock.ErrNotFound, "a block that was asked for is missed")
	require.NoError(t, os.RemoveAll(dir))
	assert.ErrorIs(t, m.Sample().Problem, datablock.ErrNotFound)
}

func TestAProblemIsThatOfItsBlock(t *testing.T) {
	dir := place(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		write(t, producer(t, name, configIn(dir, 16)), 5)
	}
	m := watch(t, Options{Directory: dir})
	require.Len(t, m.Sample().Blocks, 4)

	path := filepath.Join(dir, "b")
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()
	sound := make([]byte, 1)
	_, err = file.ReadAt(sound, 60)
	require.NoError(t, err)
	_, err = file.WriteAt([]byte{^sound[0]}, 60)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(filepath.Join(dir, "c"), 4096))
	v := m.Sample()
	require.Len(t, v.Blocks, 4)
	for _, b := range v.Blocks {
		sick := b.Name == "b" || b.Name == "c"
		assert.Equal(t, sick, b.Problem != nil, b.Name)
		assert.Equal(t, sick, b.State == "unreadable", b.Name)
		assert.Equal(t, sick, b.Metrics == nil, b.Name)
	}
	assert.ErrorIs(t, v.Find("b").Problem, datablock.ErrCorrupt)
	assert.Contains(t, v.Find("c").Problem.Error(), "truncated")

	_, err = file.WriteAt(sound, 60)
	require.NoError(t, err)
	b := m.Sample().Find("b")
	require.NoError(t, b.Problem)
	assert.False(t, b.Replaced, "it is the same block")
	assert.GreaterOrEqual(t, len(b.History), 2, "what was known before counts")
}

// TestATruncationDuringTheReading: the reading faults where the file ends.
func TestATruncationDuringTheReading(t *testing.T) {
	dir := place(t)
	producer(t, "x", configIn(dir, 16))
	m := watch(t, Options{Directory: dir})
	only(t, m)
	entries, err := filepath.Glob(filepath.Join(dir, "*.ctl"))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	info, err := os.Stat(entries[0])
	require.NoError(t, err)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = os.Truncate(entries[0], 0)
				_ = os.Truncate(entries[0], info.Size())
			}
		}
	}()
	for range 2000 {
		b := only(t, m)
		if b.Problem == nil {
			assert.NotNil(t, b.Metrics)
		}
	}
	close(stop)
	<-done
	assert.ErrorIs(t, only(t, m).Problem, datablock.ErrCorrupt, "its control file has lost its bytes")
}

func TestAnotherConsumerInTheRowBeginsAnew(t *testing.T) {
	dir := place(t)
	p := producer(t, "x", configIn(dir, 64))
	c := consumer(t, "x", dir, datablock.Lossless)
	write(t, p, 20)
	read(t, c, 20)
	m := watch(t, Options{Directory: dir})
	only(t, m)
	require.NoError(t, c.Close())
	write(t, p, 2)
	c = consumer(t, "x", dir, datablock.Lossless)
	read(t, c, 1)
	b := only(t, m)
	require.Len(t, b.Consumers, 1)
	assert.Zero(t, b.Consumers[0].Rate)
	assert.Zero(t, b.Consumers[0].Trend)
	read(t, c, 1)
	assert.Positive(t, only(t, m).Consumers[0].Rate)
}

func TestTheSlowestConsumerHeldTheProducerUp(t *testing.T) {
	dir := place(t)
	p := producer(t, "x", configIn(dir, 4))
	slow := consumer(t, "x", dir, datablock.Lossless)
	quick := consumer(t, "x", dir, datablock.Lossless)
	m := watch(t, Options{Directory: dir})
	write(t, p, 4)
	read(t, quick, 4)
	only(t, m)
	_, err := p.Claim(30 * time.Millisecond)
	require.ErrorIs(t, err, datablock.ErrTimeout)
	b := only(t, m)
	require.Len(t, b.Consumers, 2)
	assert.GreaterOrEqual(t, b.Consumers[0].HeldUp, 25*time.Millisecond)
	assert.Zero(t, b.Consumers[1].HeldUp)
	assert.InDelta(t, 1, b.Fill, 1e-9)

	claimed := make(chan error, 1)
	go func() {
		_, err := p.Claim(datablock.Forever)
		claimed <- err
	}()
	require.Eventually(t, func() bool { // also while the wait lasts
		now := only(t, m).Consumers[0].HeldUp
		return now > b.Consumers[0].HeldUp+10*time.Millisecond
	}, 10*time.Second, time.Millisecond)
	read(t, slow, 1)
	require.NoError(t, <-claimed)
}

func TestTheHistoryIsBounded(t *testing.T) {
	dir := place(t)
	p := producer(t, "x", configIn(dir, 16))
	m := watch(t, Options{Directory: dir, History: 50 * time.Millisecond})
	var b *Block
	begun := time.Now()
	for time.Since(begun) < 100*time.Millisecond {
		write(t, p, 1)
		b = only(t, m)
	}
	assert.LessOrEqual(t, len(b.History), mostPoints)
	first, last := b.History[0].At, b.History[len(b.History)-1].At
	assert.Positive(t, last.Sub(first))
	if len(b.History) > 2 { // one earlier point is always kept
		assert.LessOrEqual(t, last.Sub(first), 50*time.Millisecond)
	}
}

func TestAThousandBlocksAreSampled(t *testing.T) {
	const count = 1000
	dir := place(t)
	config := configIn(dir, 4)
	config.ZoneSize = 64
	for i := range count {
		write(t, producer(t, fmt.Sprintf("block%04d", i), config), 1)
	}
	m := watch(t, Options{Directory: dir})
	for range 2 {
		v := m.Sample()
		require.NoError(t, v.Problem)
		require.Len(t, v.Blocks, count)
		for i, b := range v.Blocks {
			require.Equal(t, fmt.Sprintf("block%04d", i), b.Name)
			require.NoError(t, b.Problem)
			require.EqualValues(t, 1, b.Info.NextID)
		}
	}
}

// TestManyDamagedBlocksDoNotStopTheOthers: to explain each of them takes a look at every file.
func TestManyDamagedBlocksDoNotStopTheOthers(t *testing.T) {
	dir := place(t)
	for i := range 200 {
		name := fmt.Sprintf("block%03d", i)
		require.NoError(t, producer(t, name, configIn(dir, 4)).Close())
		controls, err := filepath.Glob(filepath.Join(dir, name+".*.ctl"))
		require.NoError(t, err)
		require.Len(t, controls, 1)
		require.NoError(t, os.Remove(controls[0]))
	}
	p := producer(t, "sound", configIn(dir, 4))
	m := watch(t, Options{Directory: dir})
	for n := range 3 {
		write(t, p, 1)
		v := m.Sample()
		require.Len(t, v.Blocks, 201)
		for _, b := range v.Blocks[:200] {
			require.ErrorIs(t, b.Problem, datablock.ErrCorrupt)
			require.Contains(t, b.Problem.Error(), `block "`+b.Name+`"`)
		}
		assert.EqualValues(t, n+1, v.Find("sound").Info.NextID)
	}
}
