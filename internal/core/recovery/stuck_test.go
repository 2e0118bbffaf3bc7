package recovery

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// full is a block with that many slots, each with a message, whose producer has ended.
func (b fixture) full(slots uint32) *channel.Producer {
	config := b.config(segment.Ring, slots)
	config.SlotSize, config.Checksum = 8, segment.ChecksumNone
	p := b.producer(config)
	write(b.t, p, int(slots)+3)
	die(p.Attachment)
	return p
}

// keptWaiting returns a producer that waits for a LOSSLESS consumer, "hung", which holds a message.
// end evicts the consumer and returns the result of the claim.
func (b fixture) keptWaiting() (p *channel.Producer, c *channel.Consumer, held channel.ReadSlot, end func() error) {
	p = b.producer(b.config(segment.Ring, 2))
	c = b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Name: "hung"})
	write(b.t, p, 2)
	held, err := c.Next(0)
	require.NoError(b.t, err)
	claimed := make(chan error, 1)
	go func() {
		s, err := p.Claim(time.Minute)
		if err == nil {
			err = p.Commit(s, 0)
		}
		claimed <- err
	}()
	require.Eventually(b.t, func() bool { return p.ProducerWaiting.Load() != 0 }, 10*time.Second, time.Millisecond)
	return p, c, held, func() error {
		result, err := EvictConsumer("x", b.dir, c.Row, true)
		require.NoError(b.t, err)
		require.Equal(b.t, RecoverySuccess, result)
		return <-claimed
	}
}

func TestAForcedResetSaysWhoStillKeepsTheProducerWaiting(t *testing.T) {
	b := newFixture(t)
	p, c, held, end := b.keptWaiting()
	slot := held.Index()
	for name, reset := range map[string]func() (RecoveryResult, error){
		"all": func() (RecoveryResult, error) { return ForceResetAllSlots("x", b.dir, true) },
		"one": func() (RecoveryResult, error) { return ForceResetSlot("x", b.dir, slot, true) },
	} {
		result, err := reset()
		assert.Equal(t, RecoveryUnsafe, result, name)
		require.ErrorIs(t, err, ErrLeft, name)
		assert.ErrorContains(t, err, fmt.Sprintf(`the producer still waits for row %d, "hung", pid %d, at message 0`,
			c.Row, platform.PID()), name)
		assert.ErrorContains(t, err, fmt.Sprintf("datablock-admin evict --shm-name %s --row %d --force",
			filepath.Join(b.dir, "x"), c.Row), name)
	}
	other, err := ForceResetSlot("x", b.dir, layout.EntrySlot(p.Entries[1].Load()), true)
	assert.NotErrorIs(t, err, ErrLeft, "it does not wait for that slot")
	assert.NotEqual(t, RecoveryUnsafe, other)
	require.NoError(t, end(), "the producer goes on")
}

// TestAForcedResetOfAHealthyStreamIsDone: the consumer that the producer waits for continues within
// a second.
func TestAForcedResetOfAHealthyStreamIsDone(t *testing.T) {
	b := newFixture(t)
	_, c, held, end := b.keptWaiting()
	released := make(chan error, 1)
	go func() {
		platform.Nap(50 * time.Millisecond)
		released <- c.Release(held)
	}()
	result, err := ForceResetAllSlots("x", b.dir, true)
	assert.NoError(t, err)
	assert.Equal(t, RecoverySuccess, result)
	assert.NoError(t, <-released)
	assert.NoError(t, end())
}

func TestAForcedResetSaysThatADeadDurableReaderKeepsItsPlace(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	c, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Lossless, Name: "log", Durable: true})
	require.NoError(t, err)
	write(t, p, 2)
	die(c.Attachment)
	claimed := make(chan error, 1)
	go func() {
		_, err := p.Claim(time.Minute)
		claimed <- err
	}()
	require.Eventually(t, func() bool { return p.ProducerWaiting.Load() != 0 }, 10*time.Second, time.Millisecond)
	result, err := ForceResetAllSlots("x", b.dir, true)
	assert.Equal(t, RecoveryUnsafe, result)
	require.ErrorIs(t, err, ErrLeft)
	assert.ErrorContains(t, err, "start it again under its name, or give its place up")
	_, err = EvictConsumer("x", b.dir, 1, false)
	require.NoError(t, err)
	assert.NoError(t, <-claimed)
}

func TestAForcedResetOfADamagedBlockSaysThatItIsDamaged(t *testing.T) {
	b := newFixture(t)
	p := b.full(8)
	p.Entries[3].Store(p.Entries[3].Load() ^ 0xff<<32)
	result, err := ForceResetAllSlots("x", b.dir, true)
	assert.Equal(t, RecoveryFailed, result)
	require.ErrorIs(t, err, ErrLeft)
	assert.ErrorContains(t, err, "every slot was reset, and the block is damaged: ")
	assert.ErrorContains(t, err, "--repair")
}

func (b fixture) stuck(after time.Duration) (stuck []SlotDiagnosis) {
	d, err := DiagnoseAfter("x", b.dir, after)
	require.NoError(b.t, err)
	for _, s := range d.Slots {
		if s.Stuck {
			stuck = append(stuck, s)
		}
	}
	return stuck
}

func TestAReaderThatKeepsTheProducerWaitingIsStuckAfterASecond(t *testing.T) {
	b := newFixture(t)
	p, c, held, end := b.keptWaiting()
	slot := held.Index()
	since := p.Data.Plain64(layout.WaitSince)
	// On a busy machine half a second may pass meanwhile. Then the test looks again.
	for inTime, deadline := false, time.Now().Add(time.Minute); !inTime; {
		require.True(t, time.Now().Before(deadline), "no look in half a second")
		began := platform.Monotonic()
		*since = began - uint64(WaitingAfter/2)
		stuck, steps := b.stuck(WaitingAfter), b.recover(true)
		if inTime = platform.Monotonic()-began < uint64(WaitingAfter/2); inTime {
			assert.Empty(t, stuck, "it may go on yet")
			assert.Empty(t, steps)
		}
	}
	d, err := DiagnoseSlot("x", b.dir, slot)
	require.NoError(t, err)
	assert.True(t, d.WriterWaiting, "what there is, whatever counts as stuck")
	require.Len(t, b.stuck(10*time.Millisecond), 1, "the caller says when")

	*since = platform.Monotonic() - uint64(3*time.Second)
	stuck := b.stuck(WaitingAfter)
	require.Len(t, stuck, 1)
	assert.Equal(t, slot, stuck[0].Index)
	assert.GreaterOrEqual(t, stuck[0].StuckFor, 3*time.Second)
	assert.Equal(t, []StepKind{StepAttend}, kindsOf(b.recover(true)))
	assert.Empty(t, b.stuck(time.Minute))
	_, err = DiagnoseAfter("x", b.dir, -1)
	assert.ErrorIs(t, err, status.Invalid)

	*since = 0 // a producer with an older library
	*heartbeatOf(c) = platform.Monotonic() - uint64(3*time.Second)
	require.Len(t, b.stuck(WaitingAfter), 1, "then it is the reader's silence that counts")
	require.NoError(t, end())
	assert.Empty(t, b.stuck(0))
}

// TestSinceWhenTheProducerWaits: a caller that waits in slices waits since the first of them. For a
// message that had room the wait is a new one.
func TestSinceWhenTheProducerWaits(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 2)
	wait := func() uint64 {
		_, err := p.Claim(time.Millisecond)
		require.ErrorIs(t, err, status.Timeout)
		require.Zero(t, p.ProducerWaiting.Load())
		return *p.Data.Plain64(layout.WaitSince)
	}
	first := wait()
	assert.NotZero(t, first)
	assert.Equal(t, first, wait(), "slices of one wait")
	read(t, c)
	write(t, p, 1)
	assert.Greater(t, wait(), first, "another message")
}

// TestAWaitThatHadRoomInBetweenIsNew: a claim that times out is not the beginning of a later wait
// for another reader.
func TestAWaitThatHadRoomInBetweenIsNew(t *testing.T) {
	for name, between := range map[string]func(*channel.Producer){
		"pause": func(*channel.Producer) {},
		"abort": func(p *channel.Producer) {
			s, err := p.Claim(0)
			require.NoError(t, err)
			require.NoError(t, p.Abort(s))
		},
	} {
		b := newFixture(t)
		p := b.producer(b.config(segment.Ring, 2))
		c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
		write(t, p, 2)
		wait := func() uint64 {
			_, err := p.Claim(time.Millisecond)
			require.ErrorIs(t, err, status.Timeout)
			return *p.Data.Plain64(layout.WaitSince)
		}
		first := wait()
		idsOf(t, c, 2)
		between(p)
		b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Start: segment.StartOldest})
		assert.Greater(t, wait(), first, name)
	}
}

func TestADeadProducerIsNotKeptWaiting(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 2)
	p.ProducerWaiting.Store(1)
	*p.Data.Plain64(layout.WaitSince) = 1
	require.Len(t, b.stuck(WaitingAfter), 1)
	die(p.Attachment)
	assert.Empty(t, b.stuck(WaitingAfter))
}

// TestAgesAreRightInAnotherTimeNamespace: what a producer there writes is ahead, or behind, by its
// offset.
func TestAgesAreRightInAnotherTimeNamespace(t *testing.T) {
	const day = 24 * time.Hour
	for _, ahead := range []time.Duration{0, day, -day} {
		t.Run(ahead.String(), func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 4))
			reader := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
			_, err := p.Claim(0)
			require.NoError(t, err)
			own, known := platform.ClockAhead()
			require.True(t, known)
			there := func(ago time.Duration) uint64 { return platform.Monotonic() + uint64(ahead) - uint64(ago) }
			for _, row := range []uint32{layout.ProducerRow, reader.Row} {
				require.Equal(t, segment.ClockWord(own, true), p.ClockOf(row))
				*p.Ctl.Plain64(p.Header.RowOffset(row) + layout.RowClock) = segment.ClockWord(own+int64(ahead), true)
			}
			*p.Data.Plain64(layout.ProducerClock) = segment.ClockWord(own+int64(ahead), true)
			since := p.Data.Plain64(layout.ClaimSince)
			*since = there(time.Second)
			assert.Empty(t, b.stuck(WaitingAfter), "a claim that is a second old")
			*since = there(time.Minute)
			stuck := b.stuck(WaitingAfter)
			require.Len(t, stuck, 1)
			assert.InDelta(t, time.Minute, stuck[0].StuckFor, float64(10*time.Second))

			*heartbeatOf(reader), *p.Data.Plain64(layout.Heartbeat) = there(time.Minute), there(time.Minute)
			m, all, err := ReadMetrics("x", b.dir)
			require.NoError(t, err)
			assert.InDelta(t, time.Minute, m.Idle, float64(10*time.Second))
			assert.InDelta(t, time.Minute, all[1].Silent, float64(10*time.Second))
		})
	}
}

// TestAnAgeThatCannotBeToldIsNotAWrongNumber: the producer's clock is not known, and the time that
// it wrote is in the future.
func TestAnAgeThatCannotBeToldIsNotAWrongNumber(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	s, err := p.Claim(0)
	require.NoError(t, err)
	*p.Ctl.Plain64(p.Header.RowOffset(layout.ProducerRow) + layout.RowClock) = 0
	*p.Data.Plain64(layout.ProducerClock) = 0
	*p.Data.Plain64(layout.ClaimSince) = platform.Monotonic() + uint64(time.Hour)
	assert.Empty(t, b.stuck(WaitingAfter))
	d := b.diagnose().Slots[s.Index()]
	assert.True(t, d.AgeUnknown)
	assert.Contains(t, d.StuckText(), "unknown")
}

// TestNoConsumerShiftsTheProducersAges: a consumer can write into row 0, but not into the data
// file.
func TestNoConsumerShiftsTheProducersAges(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	reader := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	s, err := p.Claim(0)
	require.NoError(t, err)
	hostile := []uint64{0, 1, layout.ClockKnown, ^uint64(0), 1 << 62, 3 << 62, segment.ClockWord(-int64(time.Hour),
		true),
		segment.ClockWord(int64(time.Hour), true), segment.ClockWord(int64(segment.FarthestClock)+1, true)}
	for _, word := range hostile {
		*p.Ctl.Plain64(p.Header.RowOffset(layout.ProducerRow) + layout.RowClock) = word
		assert.Empty(t, b.stuck(WaitingAfter), "%#x", word)
		d := b.diagnose().Slots[s.Index()]
		assert.False(t, d.AgeUnknown, "%#x", word)
	}
	*p.Data.Plain64(layout.ProducerClock) = 0 // an older library
	for _, row := range []uint32{layout.ProducerRow, reader.Row} {
		for _, word := range []uint64{1, 1 << 62, 3 << 62, segment.ClockWord(int64(segment.FarthestClock)+1, true)} {
			*p.Ctl.Plain64(p.Header.RowOffset(row) + layout.RowClock) = word
			_, known := segment.ReadClock().Since(platform.Monotonic(), p.ClockOf(row))
			assert.False(t, known, "row %d: %#x", row, word)
		}
		*p.Ctl.Plain64(p.Header.RowOffset(row) + layout.RowClock) = 0
		_, known := segment.ReadClock().Since(platform.Monotonic(), p.ClockOf(row))
		assert.True(t, known, "row %d: an older library", row)
	}
}

// TestAPidOfAnotherNamespaceIsNamedSo, in every place where the pid is printed.
func TestAPidOfAnotherNamespaceIsNamedSo(t *testing.T) {
	b := newFixture(t)
	p, c, held, end := b.keptWaiting()
	slot := held.Index()
	const elsewhere = 4026530000
	*p.Data.Plain64(layout.ProducerPIDNS) = elsewhere
	for _, row := range []uint32{layout.ProducerRow, c.Row} {
		*p.Ctl.Plain64(p.Header.RowOffset(row) + layout.RowPIDNS) = elsewhere
	}
	*p.Data.Plain64(layout.WaitSince) = 1
	named := fmt.Sprintf("pid %d of another pid namespace (%d)", platform.PID(), elsewhere)
	d, err := DiagnoseSlot("x", b.dir, slot)
	require.NoError(t, err)
	require.Len(t, d.Holders, 1)
	assert.EqualValues(t, elsewhere, d.Holders[0].PIDNamespace)
	assert.Contains(t, d.HeldBy(), named)
	for what, say := range map[string]func() error{
		"a second producer": func() error {
			_, err := channel.OpenProducer("x", b.config(segment.Ring,
				2))
			return err
		},
		"evict":        func() error { _, err := EvictConsumer("x", b.dir, c.Row, false); return err },
		"unlink":       func() error { return Unlink("x", b.dir, 0) },
		"reset":        func() error { _, err := ForceResetSlot("x", b.dir, slot, false); return err },
		"what is left": func() error { _, err := ForceResetSlot("x", b.dir, slot, true); return err },
		"auto-recover": func() error { return fmt.Errorf("%v", b.recover(true)) },
	} {
		assert.ErrorContains(t, say(), named, what)
	}
	require.NoError(t, end())
	assert.False(t, segment.OtherPIDNamespace(platform.PIDNamespace()))
	assert.False(t, segment.OtherPIDNamespace(0), "not known")
}

// TestAFullBlockSaysWhoHasItsRows, and advises what can be done.
func TestAFullBlockSaysWhoHasItsRows(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 2)
	config.ConsumerLimit = 3
	b.producer(config)
	for range 2 {
		b.consumer(segment.ConsumerOptions{Delivery: segment.Latest, Name: "viewer"})
	}
	durable, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Ordered, Name: "log", Durable: true})
	require.NoError(t, err)
	die(durable.Attachment)
	_, err = b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest})
	require.ErrorIs(t, err, status.Full)
	assert.ErrorContains(t, err, fmt.Sprintf(`by pid %d "viewer" (2 rows); 1 rows are of dead durable consumers: `,
		platform.PID()))
	assert.ErrorContains(t, err, "a higher consumer_limit")

	b = newFixture(t)
	config = b.config(segment.Ring, 2)
	config.ConsumerLimit, config.SpareSlots = layout.MaxConsumers, layout.MaxConsumers+9
	b.producer(config)
	for range layout.MaxConsumers {
		b.consumer(segment.ConsumerOptions{Delivery: segment.Latest, Name: "many"})
	}
	_, err = b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest})
	require.ErrorIs(t, err, status.Full)
	assert.ErrorContains(t, err,
		fmt.Sprintf(`by pid %d "many" (255 rows): close some consumers; a block has at most 255`, platform.PID()))
	assert.NotContains(t, err.Error(), "a higher consumer_limit")
}

// TestAProblemIsSaidOnce: a problem that no repair puts right is named once, for an operator.
func TestAProblemIsSaidOnce(t *testing.T) {
	b := newFixture(t)
	b.full(4)
	f := b.open(false)
	flip(t, f, layout.HdrSlotSize, 1)
	flip(t, f, layout.HdrSlotCount, 3)
	flip(t, f, layout.HdrAlignment, 3)
	var text string
	_, err := AutoRecover("x", b.dir, false, func(s RecoveryStep) {
		assert.False(t, s.Done)
		assert.Equal(t, StepAttend, s.Kind)
		text += s.Text
	})
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(text, "hash"), text)
	assert.Contains(t, text, "it cannot be rebuilt from what is left")
}

// TestListShowsWhatCannotBeRead: a file with a control file beside it is a block.
func TestListShowsWhatCannotBeRead(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, b fixture){
		"magic": func(t *testing.T, b fixture) { flip(t, b.open(false), 3, 0xff) },
		"truncated": func(t *testing.T, b fixture) { // another file, because this process has mapped the block's
			require.NoError(t, platform.Remove(filepath.Join(b.dir, "x")))
			require.NoError(t, os.WriteFile(filepath.Join(b.dir, "x"), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			b.full(4)
			damage(t, b)
			list, err := List(b.dir)
			require.NoError(t, err)
			assert.Equal(t, []BlockInfo{{Name: "x"}}, list)
		})
	}
}
