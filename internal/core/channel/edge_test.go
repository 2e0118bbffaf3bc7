package channel

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

func TestWhatADeadCreatorReservedIsCollectedBeforeAnotherTries(t *testing.T) {
	b := newFixture(t)
	stray := segment.Location{Directory: b.dir, Name: "x"}
	id := segment.BlockID{1, 2, 3}
	for _, path := range []string{stray.ControlPath(id), stray.TemporaryPath(id)} {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	c := b.config(segment.Ring, 4)
	c.SlotSize = 1 << 40
	_, err := OpenProducer("x", c)
	require.ErrorIs(t, err, status.NoSpace)
	files, _ := filepath.Glob(filepath.Join(b.dir, "*"))
	assert.Empty(t, files)
}

func TestAnImpossibleEntryIsCorruptAndNothingWorse(t *testing.T) {
	for _, d := range []segment.Delivery{segment.Lossless, segment.Ordered, segment.Latest} {
		t.Run(d.String(), func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 4))
			c := b.consumer(segment.ConsumerOptions{Delivery: d})
			write(t, p, 1)
			p.Entry(0).Store(layout.Entry(0, 1<<22-2))
			assert.NotPanics(t, func() { _, err := c.Next(0); assert.ErrorIs(t, err, status.Corrupt) })
		})
	}
}

func TestMinConsumersDoesNotCountTheDead(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.MinConsumers = 1
	p := b.producer(config)
	c, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	require.NoError(t, err)
	die(c.Attachment)
	assert.Eventually(t, func() bool {
		s, err := p.Claim(0)
		if err == nil {
			require.NoError(t, p.Commit(s, 0))
		}
		return errors.Is(err, status.Timeout)
	}, 5*time.Second, time.Millisecond)
}

func TestAClockSetBackExpiresNobody(t *testing.T) {
	b := newFixture(t)
	b.producer(b.config(segment.Ring, 4))
	c, err := b.openConsumer(segment.ConsumerOptions{Durable: true, Name: "log"})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	d := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	*d.Ctl.Plain64(d.Header.RowOffset(1) + layout.RowDied) = platform.Realtime() + uint64(time.Second)
	n, err := recovery.CleanupDeadConsumers("x", b.dir, time.Hour)
	require.NoError(t, err)
	assert.Zero(t, n)
}

func TestADeposedProducersCloseTouchesNothing(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p, err := OpenProducer("x", config)
	require.NoError(t, err)
	c := b.consumer(segment.ConsumerOptions{})
	die(p.Attachment) // as if a daemon closed its descriptors
	q := b.producer(config)
	_, err = p.Claim(0)
	require.ErrorIs(t, err, status.Superseded)
	require.NoError(t, p.Close())
	_, err = c.Next(0)
	assert.ErrorIs(t, err, status.Timeout)
	write(t, q, 1)
	assert.Equal(t, uint32(layout.StateReady), q.StateWord.Load())
}

func TestACorruptRingCanBeReplaced(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	write(t, p, 4)
	p.Entry(0).Store(p.Entry(1).Load())
	require.NoError(t, p.Close())
	_, err := OpenProducer("x", config)
	require.ErrorIs(t, err, status.Corrupt)
	t.Log(err)
	config.Flags |= segment.Replace | segment.Force
	q, err := OpenProducer("x", config)
	require.NoError(t, err)
	_ = q.Close()
}

func TestTheLastOnesOutLeaveNothing(t *testing.T) {
	left := 0
	for range 150 {
		b := newFixture(t)
		config := b.config(segment.Ring, 4)
		config.Flags |= segment.UnlinkOnClose
		p, err := OpenProducer("x", config)
		require.NoError(t, err)
		var g sync.WaitGroup
		var cs []*Consumer
		for range 3 {
			c, err := b.openConsumer(segment.ConsumerOptions{})
			require.NoError(t, err)
			cs = append(cs, c)
		}
		for _, c := range cs {
			g.Add(1)
			go func() { defer g.Done(); _ = c.Close() }()
		}
		_ = p.Close()
		g.Wait()
		files, _ := filepath.Glob(filepath.Join(b.dir, "*"))
		left += len(files)
		os.RemoveAll(b.dir)
	}
	assert.Zero(t, left)
}

func TestANewerMinorFormatIsRead(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	id := p.ID
	l := p.Location
	require.NoError(t, p.Close())
	patch := func(path string, at int, rehash bool) {
		d, err := os.ReadFile(path)
		require.NoError(t, err)
		binary.LittleEndian.PutUint32(d[at:], 1)
		if rehash {
			sum := blake2b.Sum256(d[:layout.HdrHash])
			copy(d[layout.HdrHash:], sum[:])
		}
		require.NoError(t, os.WriteFile(path, d, 0o600))
	}
	patch(l.DataPath(), layout.HdrMinor, true)
	patch(l.ControlPath(id), layout.CtlMinor, false)
	c, err := b.openConsumer(segment.ConsumerOptions{})
	assert.NoError(t, err)
	if err == nil {
		_ = c.Close()
	}
}

func TestAPollingProducerLearnsOfUnlink(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 4)
	require.NoError(t, recovery.Unlink("x", b.dir, segment.Force))
	_, err := p.Claim(0)
	assert.ErrorIs(t, err, status.Superseded)
}

func TestAStrangersBlockIsNotAdopted(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Mode = 0o666
	p := b.producer(config)
	id := p.ID
	l := p.Location
	require.NoError(t, p.Close())
	for _, f := range []string{l.DataPath(), l.ControlPath(id)} {
		if err := os.Chown(f, 12345, 12345); err != nil {
			t.Skipf("NOT SHOWN: giving a file to another uid needs root: %v", err)
		}
	}
	require.NoError(t, os.Chmod(l.DataPath(), 0o666))
	config.Mode = 0o600
	q, err := OpenProducer("x", config)
	if err == nil {
		_ = q.Close()
	}
	assert.ErrorIs(t, err, status.Access)
	assert.ErrorContains(t, err, `block "x" has mode 0666, and 0600 was asked for: look who made it`)

	require.NoError(t, os.Chmod(l.DataPath(), 0o600))
	_, err = OpenProducer("x", config)
	assert.ErrorIs(t, err, status.Access)
	assert.ErrorContains(t, err, `block "x" belongs to uid 12345, this program runs as uid 0, and the mode that it `+
		`asks for, 0600, lets no group write, as 0660 does: look who made it, then remove it, ask for another mode`)
}

func TestLatestPassesOverADiscardedMessage(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	write(t, p, 3)
	p.Entry(2).Or(layout.EntryLost)
	s, err := c.Next(0)
	require.NoError(t, err)
	assert.EqualValues(t, 1, s.ID())
}

func TestADeposedProducersCommitIsNotOverwritten(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p, err := OpenProducer("x", config)
	require.NoError(t, err)
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	s, err := p.Claim(0)
	require.NoError(t, err)
	copy(s.Data(), "first")
	die(p.Attachment)
	q := b.producer(config)
	require.NoError(t, p.Commit(s, 5)) // published by the producer that was displaced
	m, err := c.Next(0)
	require.NoError(t, err)
	one := string(m.Data())
	require.NoError(t, c.Release(m))
	s, err = q.Claim(0)
	require.NoError(t, err)
	require.ErrorIs(t, q.Commit(s, 5), status.Superseded, "the successor has to look again where the stream stands")
	_, err = q.Claim(0)
	require.ErrorIs(t, err, status.Superseded)
	require.NoError(t, q.Close())
	q = b.producer(config)
	write(t, q, 1)
	m, err = c.ReadAt(0)
	require.NoError(t, err)
	assert.Equal(t, one, string(m.Data()))
	assert.EqualValues(t, 2, q.next)
}

func TestADeposedConsumersReleaseTouchesNobodysPin(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest})
	require.NoError(t, err)
	write(t, p, 1)
	s, err := c.Next(0)
	require.NoError(t, err)
	die(c.Attachment) // as if the program closed the descriptors
	d := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	require.Equal(t, c.Row, d.Row)
	_, err = d.Next(0)
	require.NoError(t, err)
	assert.ErrorIs(t, c.Release(s), status.Fenced)
	assert.NotZero(t, d.Pin(d.Row, 0).Load(), "d's pin")
}

func TestEveryRowBindsTheProducer(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.ConsumerLimit = 255
	p := b.producer(config)
	var cs []*Consumer
	for range 255 {
		cs = append(cs, b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless}))
	}
	_, err := b.openConsumer(segment.ConsumerOptions{})
	require.ErrorIs(t, err, status.Full)
	for _, k := range []int{0, 62, 63, 64, 126, 127, 128, 190, 191, 192, 254} {
		base := p.next
		for p.next < base+4 {
			write(t, p, 1)
		}
		for i, c := range cs {
			if i != k {
				for range 4 {
					read(t, c)
				}
			}
		}
		_, err := p.Claim(0)
		require.ErrorIs(t, err, status.Timeout, k)
		for range 4 {
			read(t, cs[k])
		}
	}
}

func TestADamagedHintSkipsNoIDs(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	write(t, p, 3)
	*p.CommitHint = 1000
	die(p.Attachment)
	q := b.producer(config)
	assert.EqualValues(t, 3, q.next)
}

func TestAnOrderedReaderHalfATurnOfTheTagsBehindCatchesUp(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 4)
	for i := range 4 {
		p.Entries[i].Store(layout.EntryNone)
	}
	*p.CommitHint = 1<<39 + 100
	require.NoError(t, p.Close())
	p = b.producer(config)
	write(t, p, 8)
	s, err := c.Next(10 * time.Millisecond)
	assert.NoError(t, err)
	assert.EqualValues(t, 1<<39+104, s.ID())
}

func TestWhoReadsABlockThatHasLostItsNameIsTold(t *testing.T) {
	for name, lose := range map[string]func(b fixture, p *Producer){
		"removed": func(b fixture, p *Producer) { require.NoError(t, platform.Remove(p.Location.DataPath())) },
		"removed and closed": func(b fixture, p *Producer) {
			require.NoError(t, platform.Remove(p.Location.DataPath()))
			require.NoError(t, p.Close())
		},
		"unlinked at close and made anew": func(b fixture, p *Producer) {
			require.NoError(t, p.Close())
			b.producer(b.config(segment.Ring, 4))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			config := b.config(segment.Ring, 4)
			config.Flags |= segment.UnlinkOnClose
			p := b.producer(config)
			c := b.consumer(segment.ConsumerOptions{})
			write(t, p, 1)
			lose(b, p)
			assert.EqualValues(t, 0, read(t, c).ID())
			_, err := c.Next(5 * time.Second)
			assert.ErrorIs(t, err, status.Superseded)
		})
	}
}

func TestADurableReaderThatHeldWhatWasOvertakenDuringItsJoinContinues(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 1)
	p := b.producer(config)
	write(t, p, 1)
	open, err := p.Claim(0)
	require.NoError(t, err)
	o := segment.ConsumerOptions{Delivery: segment.Lossless, Start: segment.StartOldest, MaxPins: 2, Durable: true,
		Name: "d"}
	c := b.consumer(o)
	first, err := c.Next(0)
	require.NoError(t, err)
	require.EqualValues(t, 0, first.ID())
	require.NoError(t, p.Commit(open, 0)) // claimed before the join: message 0 is overwritten during its hold
	_, err = p.Claim(0)
	require.ErrorIs(t, err, status.Timeout) // now the consumer is bound
	_, err = c.Next(0)
	require.NoError(t, err)
	require.NoError(t, c.Close())

	c = b.consumer(o)
	s, err := c.Next(0)
	require.NoError(t, err)
	assert.EqualValues(t, 1, s.ID())
}

func TestAConsumerWhoseRowWasCleanedClosesWithoutTouchingIt(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	o := segment.ConsumerOptions{Delivery: segment.Lossless, Durable: true, Name: "d"}
	c, err := b.openConsumer(o)
	require.NoError(t, err)
	write(t, p, 3)
	die(c.Attachment)
	_, err = recovery.CleanupDeadConsumers("x", b.dir, time.Hour)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	assert.EqualValues(t, 0, read(t, b.consumer(o)).ID(), "its place was kept")
}

// damageFirstEntry makes the first entry of a ring of four messages name the slot of the second. It
// returns the slot that the entry named.
func damageFirstEntry(t *testing.T, p *Producer) (own uint32) {
	write(t, p, 4)
	own = layout.EntrySlot(p.Entries[0].Load())
	p.Entries[0].Store(layout.Entry(0, layout.EntrySlot(p.Entries[1].Load())))
	return own
}

func TestADamagedEntryDoesNotGiveAwayAnothersSlot(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	own := damageFirstEntry(t, p)
	write(t, p, 1)
	assert.Equal(t, own, p.retired[p.retireCount-1], "the slot of message 0, not that of message 1, which is still "+
		"in the ring")
}

func TestALookAtADamagedEntryDoesNotBelieveIt(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	own := damageFirstEntry(t, p)
	abort := func() {
		s, err := p.Claim(0)
		require.NoError(t, err)
		require.NoError(t, p.Abort(s)) // the next claim loads the entry
	}
	abort()
	abort()
	assert.Equal(t, layout.Entry(0, own)|layout.EntryLost, p.Entries[0].Load(), "put right, and its message is gone")
	write(t, p, 1)
	assert.Equal(t, own, p.retired[p.retireCount-1])
}

func TestALookAtADamagedEntryThatWasEmptyEmptiesIt(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	s, err := p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, p.Abort(s))
	p.Entries[0].Store(layout.EntryNone ^ 1<<30)
	_, err = p.Claim(0)
	require.NoError(t, err)
	assert.EqualValues(t, layout.EntryNone, p.Entries[0].Load())
}

func TestAReaderThatJumpsOnceGoesOnFromThere(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Start: segment.StartOldest})
	c.joining, c.mayJump = 0, true // bound, and nothing read yet
	c.Lossless[0].Swap(0)          // damaged
	write(t, p, 7)
	assert.Equal(t, []uint64{3, 4, 5, 6}, idsOf(t, c, 4))
}

// TestARingThatNamesFreeSlotsCannotOverfillTheProducer: each commit takes a slot, and retires the
// slot of the replaced entry, whatever that slot is. The lists never get longer.
func TestARingThatNamesFreeSlotsCannotOverfillTheProducer(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	write(t, p, 4)
	for range 10 * p.Slots() {
		p.Entry(p.next).Store(layout.Entry(p.next-uint64(p.SlotCount), 0))
		write(t, p, 1)
		require.LessOrEqual(t, p.freeCount+p.retireCount, p.Slots())
	}
}
