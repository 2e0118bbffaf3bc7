package recovery

import (
	"errors"
	"os"
	"testing"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

func TestAReaderReadsWhatReadMetricsReads(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Name: "log"})
	r, err := OpenMetrics("x", b.dir)
	require.NoError(t, err)
	for range 2 {
		write(t, p, 2)
		want, wantRows, err := ReadMetrics("x", b.dir)
		require.NoError(t, err)
		got, rows, err := r.Read()
		require.NoError(t, err)
		want.Age, want.Idle = got.Age, got.Idle
		for i := range rows {
			wantRows[i].Silent = rows[i].Silent
		}
		assert.Equal(t, want, got)
		assert.Equal(t, wantRows, rows)
		next, err := r.NextID()
		require.NoError(t, err)
		assert.Equal(t, want.Block.NextID, next)
		assert.EqualValues(t, os.Getpid(), got.Block.ProducerPID)
		assert.EqualValues(t, 1, got.Block.Consumers)
		list, err := List(b.dir)
		require.NoError(t, err)
		assert.Equal(t, []BlockInfo{got.Block}, list)
	}
	require.NoError(t, r.Close())
	_, _, err = r.Read()
	assert.ErrorIs(t, err, status.Closed)
	_, err = r.NextID()
	assert.ErrorIs(t, err, status.Closed)
	assert.ErrorIs(t, r.Close(), status.Closed)
}

func TestAReaderSaysThatTheBlockIsAnotherOne(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	b.producer(config)
	r, err := OpenMetrics("x", b.dir)
	require.NoError(t, err)
	defer r.Close()
	_, err = r.NextID()
	require.NoError(t, err)
	require.NoError(t, Unlink("x", b.dir, segment.Force))
	_, _, err = r.Read()
	assert.ErrorIs(t, err, status.Superseded)
	require.Eventually(t, func() bool {
		_, err := r.NextID()
		return errors.Is(err, status.Superseded)
	}, 10*time.Second, time.Millisecond)
	b.producer(config)
	_, _, err = r.Read()
	assert.ErrorIs(t, err, status.Superseded)
	next, err := OpenMetrics("x", b.dir)
	require.NoError(t, err)
	defer next.Close()
	assert.NotEqual(t, r.ID(), next.ID())
}

func TestAReaderSaysThatTheBlockIsDamaged(t *testing.T) {
	for name, damage := range map[string]func(*testing.T, *MetricsReader){
		"header of the data file": func(t *testing.T, r *MetricsReader) {
			flipByte(t, r.v.DataPath(), layout.HdrSlotCount)
		},
		"header of the control file": func(t *testing.T, r *MetricsReader) {
			flipByte(t, r.v.ControlPath(r.v.ID), layout.CtlSize)
		},
		"control file removed": func(t *testing.T, r *MetricsReader) {
			require.NoError(t, os.Remove(r.v.ControlPath(r.v.ID)))
		},
		"data file truncated": func(t *testing.T, r *MetricsReader) {
			require.NoError(t, os.Truncate(r.v.DataPath(), int64(r.v.DataSize-1)))
		},
		"control file truncated": func(t *testing.T, r *MetricsReader) {
			require.NoError(t, os.Truncate(r.v.ControlPath(r.v.ID), int64(r.v.ControlSize-1)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			require.NoError(t, b.producer(b.config(segment.Ring, 4)).Close())
			r, err := OpenMetrics("x", b.dir)
			require.NoError(t, err)
			defer r.Close()
			_, _, err = r.Read()
			require.NoError(t, err)
			damage(t, r)
			_, _, err = r.Read()
			assert.ErrorIs(t, err, status.Corrupt)
		})
	}
}

func flipByte(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 0x55
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
}

func TestAReaderKnowsWhenAMessageWasCommitted(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Flags |= segment.Timestamp
	p := b.producer(config)
	r, err := OpenMetrics("x", b.dir)
	require.NoError(t, err)
	defer r.Close()
	before := time.Now().Add(-time.Second) // the coarse clock lags
	write(t, p, 6)
	for id := range uint64(8) {
		at, known := r.Committed(id)
		assert.Equal(t, id >= 2 && id < 6, known, "message %d", id)
		if known {
			assert.WithinRange(t, at, before, time.Now())
		}
	}
}

func TestAReaderKnowsAWaitThatHasNotEnded(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 4)
	r, err := OpenMetrics("x", b.dir)
	require.NoError(t, err)
	defer r.Close()
	claimed := make(chan error, 1)
	go func() {
		_, err := p.Claim(segment.Forever)
		claimed <- err
	}()
	require.Eventually(t, func() bool {
		m, _, err := r.Read()
		return assert.NoError(t, err) && m.Waiting > time.Millisecond
	}, 10*time.Second, time.Millisecond)
	idsOf(t, c, 1)
	require.NoError(t, <-claimed)
	m, _, err := r.Read()
	require.NoError(t, err)
	assert.Zero(t, m.Waiting)
	assert.Positive(t, m.Waited)
}

func TestNamesAreThoseOfTheList(t *testing.T) {
	b := newFixture(t)
	require.NoError(t, b.producer(b.config(segment.Ring, 4)).Close())
	require.NoError(t, os.WriteFile(b.dir+"/other", []byte("no block"), 0o600))
	require.NoError(t, os.WriteFile(b.dir+"/cut", []byte("DATABLK1"), 0o600))
	names, err := Names(b.dir)
	require.NoError(t, err)
	assert.Equal(t, []string{"cut", "x"}, names)
	list, err := List(b.dir)
	require.NoError(t, err)
	require.Len(t, list, 2)
	_, err = Names(b.dir + "/nowhere")
	assert.ErrorIs(t, err, status.NotFound)
}
