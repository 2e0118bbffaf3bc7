package channel

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

func (b fixture) observer() *Observer {
	o, err := OpenObserver("x", ObserverOptions{Directory: b.dir})
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = o.Close() })
	return o
}

func TestObserverSeesTheNewest(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	o := b.observer()
	into := make([]byte, 64)
	_, err := o.ReadNewest(into)
	assert.ErrorIs(t, err, status.NotFound)
	for id := range uint64(20) {
		write(t, p, 1)
		for range 2 { // it has no position in the stream
			seen, err := o.ReadNewest(into)
			require.NoError(t, err)
			assert.Equal(t, [3]uint64{id, 8, id + 1}, [3]uint64{seen.ID, seen.Length, seen.NextID})
			assert.Equal(t, id, binary.LittleEndian.Uint64(into))
		}
	}
	seen, err := o.ReadNewest(into[:3])
	require.NoError(t, err)
	assert.EqualValues(t, 8, seen.Length, "the whole length, though there was less room")
	_, err = o.ReadNewest(nil)
	require.NoError(t, err)
}

func TestObserverSaysWhichMessagesArePresent(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	o := b.observer()
	for written := range uint64(12) {
		oldest, next, err := o.Present()
		require.NoError(t, err)
		require.Equal(t, written, next)
		require.Equal(t, written-min(written, 4), oldest)
		if next > 0 {
			_, err = o.ReadAt(oldest, nil)
			require.NoError(t, err)
		}
		write(t, p, 1)
	}
	require.NoError(t, o.Close())
	_, _, err := o.Present()
	assert.ErrorIs(t, err, status.Closed)
}

func TestObserverReadsByID(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	o := b.observer()
	into := make([]byte, 8)
	write(t, p, 10)
	for id := range uint64(12) {
		seen, err := o.ReadAt(id, into)
		switch {
		case id < 6:
			assert.ErrorIs(t, err, status.Overrun)
			assert.ErrorContains(t, err, "the oldest present is 6")
		case id >= 10:
			assert.ErrorIs(t, err, status.NotFound)
		default:
			require.NoError(t, err)
			assert.Equal(t, [2]uint64{id, id}, [2]uint64{seen.ID, binary.LittleEndian.Uint64(into)})
		}
	}
	_, err := o.ReadAt(^uint64(0), into)
	assert.ErrorIs(t, err, status.NotFound)
}

// newestOfThree is a ring with three messages, and what an observer sees of the last one.
func newestOfThree(t *testing.T) (b fixture, p *Producer, o *Observer, into []byte, newest Observation) {
	b = newFixture(t)
	p = b.producer(b.config(segment.Ring, 4))
	o = b.observer()
	into = make([]byte, 8)
	write(t, p, 3)
	newest, err := o.ReadNewest(into)
	require.NoError(t, err)
	return b, p, o, into, newest
}

func TestObserverPassesOverWhatWasDiscarded(t *testing.T) {
	b, _, o, into, newest := newestOfThree(t)
	result, err := recovery.ForceResetSlot("x", b.dir, newest.Index, true)
	require.Equal(t, recovery.RecoverySuccess, result, "%v", err)
	seen, err := o.ReadNewest(into)
	require.NoError(t, err)
	assert.Equal(t, [2]uint64{newest.ID - 1, newest.ID - 1}, [2]uint64{seen.ID, binary.LittleEndian.Uint64(into)})
	_, err = o.ReadAt(newest.ID, into)
	assert.ErrorIs(t, err, status.Lost)
}

func TestObserverIsToldOfWhatIsDiscardedWhileItCopies(t *testing.T) {
	b, p, o, into, newest := newestOfThree(t)
	o.between = func(step int) {
		if step == 0 {
			_, _ = recovery.ForceResetSlot("x", b.dir, newest.Index, true)
		}
	}
	_, err := o.ReadAt(newest.ID, into)
	assert.ErrorIs(t, err, status.Lost)
	o.between = func(step int) {
		if step == 0 {
			write(t, p, 4)
		}
	}
	_, err = o.ReadAt(newest.ID-1, into)
	assert.ErrorIs(t, err, status.Overrun)
}

// An observer is visible to no process, holds no producer up, and changes no byte.
func TestObserverLeavesNoTrace(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	write(t, p, 4)
	before := b.bytesOfBothFiles()
	o := b.observer()
	_, err := o.ReadNewest(make([]byte, 8))
	require.NoError(t, err)
	assert.Equal(t, before, b.bytesOfBothFiles())
	_, all, err := recovery.ReadMetrics("x", b.dir)
	require.NoError(t, err)
	assert.Len(t, all, 1)
	write(t, p, 100)
	require.NoError(t, o.Close())
	assert.ErrorIs(t, o.Close(), status.Closed)
	_, err = o.ReadNewest(nil)
	assert.ErrorIs(t, err, status.Closed)
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

// The producer overtakes the observer at every place where this matters. The observer shows a whole
// message, or nothing.
func TestObserverShowsNoTornMessage(t *testing.T) {
	commit := func(t *testing.T, p *Producer, n int) {
		for range n {
			s, err := p.Claim(time.Second)
			require.NoError(t, err)
			binary.LittleEndian.PutUint64(s.Data(), s.ID())
			require.NoError(t, p.Commit(s, 8))
		}
	}
	// Aborted claims leave a slot's old header over another payload.
	abort := func(t *testing.T, p *Producer, n int) {
		for range n {
			s, err := p.Claim(time.Second)
			require.NoError(t, err)
			copy(s.Data(), "spoiled!")
			require.NoError(t, p.Abort(s))
		}
	}
	for _, policy := range []segment.Policy{segment.Single, segment.DoubleBuffer, segment.Ring} {
		for step := range 3 {
			for more := range 12 {
				b := newFixture(t)
				slots := map[segment.Policy]uint32{segment.Single: 1, segment.DoubleBuffer: 2, segment.Ring: 3}[policy]
				config := b.config(policy, slots)
				config.SpareSlots, config.ConsumerLimit = 2, 1
				p := b.producer(config)
				o := b.observer()
				write(t, p, 1)
				overtaken := 0
				o.between = func(at int) {
					if at != step || overtaken > 0 {
						return
					}
					overtaken++
					commit(t, p, more)
					abort(t, p, 3)
				}
				into := make([]byte, 8)
				seen, err := o.ReadAt(0, into)
				if err == nil {
					assert.Equal(t, [2]uint64{0, 0}, [2]uint64{seen.ID, binary.LittleEndian.Uint64(into)},
						"%v: %d messages at step %d", policy, more, step)
				} else {
					assert.ErrorIs(t, err, status.Overrun)
				}
				overtaken = 0
				seen, err = o.ReadNewest(into)
				require.NoError(t, err)
				assert.Equal(t, seen.ID, binary.LittleEndian.Uint64(into), "%v: %d messages at step %d", policy, more,
					step)
			}
		}
	}
}

// A producer that is faster than the copy, every time.
func TestObserverIsOvertakenAlways(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Single, 1))
	o := b.observer()
	write(t, p, 1)
	o.between = func(int) { write(t, p, 20) }
	_, err := o.ReadNewest(make([]byte, 8))
	assert.ErrorIs(t, err, status.Overrun)
	assert.ErrorContains(t, err, "attach a consumer")
}

func TestObserverUnderLoad(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Single, 1)
	config.SlotSize = 4096
	p := b.producer(config)
	o := b.observer()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			s, err := p.Claim(time.Second)
			if !assert.NoError(t, err) {
				return
			}
			for i := range len(s.Data()) / 8 {
				binary.LittleEndian.PutUint64(s.Data()[8*i:], s.ID())
			}
			if !assert.NoError(t, p.Commit(s, len(s.Data()))) {
				return
			}
		}
	}()
	into := make([]byte, 4096)
	good, end := 0, time.Now().Add(time.Minute)
	for tries := 0; (tries < 20000 || good <= 1000) && time.Now().Before(end); tries++ {
		seen, err := o.ReadNewest(into)
		if status.CodeOf(err) == status.NotFound || status.CodeOf(err) == status.Overrun {
			continue
		}
		require.NoError(t, err)
		word := binary.LittleEndian.AppendUint64(nil, seen.ID)
		require.Equal(t, bytes.Repeat(word, 512), into)
		good++
	}
	close(stop)
	<-stopped
	assert.Greater(t, good, 1000)
}

func TestObserverOfADeadProducer(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	write(t, p, 3)
	o := b.observer()
	require.NoError(t, p.Close())
	into := make([]byte, 8)
	seen, err := o.ReadNewest(into)
	require.NoError(t, err)
	assert.EqualValues(t, 2, seen.ID)

	config.SlotSize, config.Flags = 128, config.Flags|segment.Replace
	b.producer(config)
	o.lookedUp = 0
	for range 2 { // and it stays so
		_, err = o.ReadNewest(into)
		assert.ErrorIs(t, err, status.Superseded)
	}
}

func TestObserverAsksForWhatItExpects(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Secret, config.Schema = []byte("open"), schemaOf(t, "schema A 1.0.0 { x: u64; }")
	b.producer(config)
	for _, c := range []struct {
		options ObserverOptions
		wanted  error
	}{
		{ObserverOptions{Secret: []byte("open")}, nil},
		{ObserverOptions{Secret: []byte("open"), Schema: config.Schema}, nil},
		{ObserverOptions{Secret: []byte("open"), Schema: schemaOf(t, "schema A 1.0.0 { y: u64; }")}, status.Schema},
		{ObserverOptions{}, status.Secret},
	} {
		c.options.Directory = b.dir
		o, err := OpenObserver("x", c.options)
		assert.ErrorIs(t, err, c.wanted)
		if err == nil {
			has, err := o.Schema()
			require.NoError(t, err)
			assert.Equal(t, config.Schema.Hash(), has.Hash())
			require.NoError(t, o.Close())
		}
	}
	_, err := OpenObserver("y", ObserverOptions{Directory: b.dir})
	assert.ErrorIs(t, err, status.NotFound)
}

func TestObserverCompares(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Checksum = segment.ChecksumEnforced
	p := b.producer(config)
	write(t, p, 1)
	o := b.observer()
	into := make([]byte, 64)
	seen, err := o.ReadAt(0, into)
	require.NoError(t, err)
	p.Data[p.Payload(seen.Index)] ^= 1
	_, err = o.ReadAt(0, into)
	assert.ErrorIs(t, err, status.Checksum)

	*p.Data.Plain64(p.SlotHeader(seen.Index) + layout.SlotID) = 7
	_, err = o.ReadAt(0, into)
	assert.ErrorIs(t, err, status.Corrupt)
}
