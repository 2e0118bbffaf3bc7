package follow_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
	"datablock/cmd/internal/follow"
)

func producer(t *testing.T, change func(*datablock.Config)) (*datablock.Producer, string) {
	t.Helper()
	config := datablock.DefaultConfig(datablock.Ring)
	config.SlotSize, config.Directory = 10000, t.TempDir()
	if change != nil {
		change(&config)
	}
	p, err := datablock.OpenProducer("x", config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p, config.Directory
}

func send(t *testing.T, p *datablock.Producer, sizes ...int) {
	t.Helper()
	for _, size := range sizes {
		s, err := p.Claim(0)
		require.NoError(t, err)
		s.Data()[0] = byte(s.ID())
		require.NoError(t, p.Commit(s, size))
	}
}

func reader(t *testing.T, dir string, start follow.Start) *follow.Reader {
	t.Helper()
	r, err := follow.Open("x", follow.Options{Directory: dir, Start: start})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// read returns the ids of the messages that are there, and what was missed before them.
func read(t *testing.T, next func() (follow.Message, error)) (ids []uint64, missed uint64) {
	t.Helper()
	for {
		m, err := next()
		if errors.Is(err, follow.ErrNothing) {
			return ids, missed
		}
		require.NoError(t, err)
		require.EqualValues(t, m.Length, len(m.Data))
		require.Equal(t, byte(m.ID), m.Data[0])
		ids = append(ids, m.ID)
		missed += m.Missed
	}
}

func TestAReaderBeginsWhereItIsAsked(t *testing.T) {
	p, dir := producer(t, nil)
	empty := reader(t, dir, follow.Newest)
	send(t, p, 1, 10000, 5000)
	for start, want := range map[follow.Start][]uint64{follow.Oldest: {0, 1, 2, 3}, follow.Newest: {2, 3},
		follow.Next: {3}} {
		r := reader(t, dir, start)
		if start == follow.Next {
			_, err := r.Next()
			require.ErrorIs(t, err, follow.ErrNothing)
		}
		defer func() {
			ids, missed := read(t, r.Next)
			assert.Equal(t, want, ids)
			assert.Zero(t, missed)
		}()
	}
	send(t, p, 3)
	ids, missed := read(t, empty.Next)
	assert.Equal(t, []uint64{0, 1, 2, 3}, ids, "the block had no message then")
	assert.Zero(t, missed)
}

func TestAReaderThatIsOvertakenCountsWhatItMissed(t *testing.T) {
	p, dir := producer(t, nil)
	r, skipping := reader(t, dir, follow.Oldest), reader(t, dir, follow.Oldest)
	for range 30 {
		send(t, p, 100)
	}
	ids, missed := read(t, r.Next)
	assert.EqualValues(t, 30, uint64(len(ids))+missed)
	assert.EqualValues(t, 29, ids[len(ids)-1])
	assert.Len(t, ids, 8, "the whole ring")
	ids, missed = read(t, skipping.Skip)
	assert.Equal(t, []uint64{29}, ids)
	assert.Zero(t, missed)
	send(t, p, 1)
	ids, missed = read(t, skipping.Next)
	assert.Equal(t, []uint64{30}, ids)
	assert.Zero(t, missed)
}

// TestEveryMessageIsReadOrMissed while a producer writes as fast as it can.
func TestEveryMessageIsReadOrMissed(t *testing.T) {
	p, dir := producer(t, nil)
	r := reader(t, dir, follow.Oldest)
	const messages = 20000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range messages {
			s, err := p.Claim(0)
			if err != nil {
				return
			}
			s.Data()[0] = byte(s.ID())
			_ = p.Commit(s, 1)
		}
	}()
	next := uint64(0)
	for ended := false; ; {
		m, err := r.Next()
		if errors.Is(err, follow.ErrNothing) {
			if ended {
				break
			}
			select {
			case <-done:
				ended = true
			default:
			}
			continue
		}
		require.NoError(t, err)
		require.Equal(t, next+m.Missed, m.ID)
		require.Equal(t, byte(m.ID), m.Data[0])
		next = m.ID + 1
	}
	assert.EqualValues(t, messages, next)
}

func TestATruncatedBlockIsAnError(t *testing.T) {
	p, dir := producer(t, nil)
	send(t, p, 9000, 9000)
	r := reader(t, dir, follow.Oldest)
	_, err := r.Next()
	require.NoError(t, err)
	require.NoError(t, os.Truncate(filepath.Join(dir, "x"), 4096))
	_, err = r.Next()
	assert.ErrorIs(t, err, datablock.ErrCorrupt)
	require.NoError(t, os.Truncate(filepath.Join(dir, "x"), 1<<20)) // for the producer's end
}

func TestAReplacedBlockHasToBeOpenedAgain(t *testing.T) {
	p, dir := producer(t, nil)
	r := reader(t, dir, follow.Oldest)
	require.NoError(t, p.Close())
	require.NoError(t, datablock.Unlink("x", dir, 0))
	require.Eventually(t, func() bool {
		_, err := r.Next()
		return errors.Is(err, datablock.ErrSuperseded)
	}, 10*time.Second, time.Millisecond)
	_, err := follow.Open("x", follow.Options{Directory: dir})
	assert.ErrorIs(t, err, datablock.ErrNotFound)
}
