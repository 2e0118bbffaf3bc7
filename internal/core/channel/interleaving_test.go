//go:build crashpoints

package channel

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/core/coretest"
	"datablock/internal/crash"
	"datablock/internal/platform"
)

func TestReadAtOfAMessageWrittenMeanwhileIsNoOverrun(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 8)
	at(t, "read.at", func() { write(t, p, 1) })
	_, err := c.ReadAt(8)
	assert.NotErrorIs(t, err, status.Overrun)
}

func TestNothingAfterTheExchangeUndoesAReplacement(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	require.NoError(t, p.Close())
	at(t, "replace.exchanged", func() {
		fs, _ := filepath.Glob(filepath.Join(b.dir, "*.tmp.ctl"))
		require.Len(t, fs, 1)
		require.NoError(t, platform.Remove(fs[0]))
		require.NoError(t, os.Mkdir(fs[0], 0o700)) // any failure of unlink other than ENOENT
	})
	other := b.config(segment.Ring, 8)
	other.Flags |= segment.Replace
	_, err := OpenProducer("x", other)
	t.Log(err)
	crash.Hook.Store(nil)
	_, err = b.openConsumer(segment.ConsumerOptions{})
	assert.NotErrorIs(t, err, status.Corrupt)
}

// at runs step when this process reaches the crash point for the first time: a step of one
// participant between two steps of another.
func at(t *testing.T, point string, step func()) {
	var reached atomic.Bool
	hook := func(p string) {
		if p == point && reached.CompareAndSwap(false, true) {
			step()
		}
	}
	crash.Hook.Store(&hook)
	t.Cleanup(func() { crash.Hook.Store(nil) })
}

// killedAt runs f and abandons it at the crash point, with everything as it then is.
func killedAt(t *testing.T, point string, f func()) {
	at(t, point, func() { panic("killed") })
	assert.PanicsWithValue(t, "killed", f)
	crash.Hook.Store(nil)
}

func TestAFailedUnlinkDoesNotReviveWhatIsGone(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	// Another unlinker is faster.
	at(t, "replace.marked", func() { require.NoError(t, platform.Remove(p.Location.DataPath())) })
	_ = recovery.Unlink("x", b.dir, segment.Force)
	_, err := p.Claim(0)
	assert.ErrorIs(t, err, status.Superseded)
}

func TestUnlinkNeverRemovesAReplacersBlock(t *testing.T) {
	b := newFixture(t)
	b.producer(b.config(segment.Ring, 4))
	other := b.config(segment.Ring, 8)
	other.Flags |= segment.Replace | segment.Force
	replaced := make(chan error, 1)
	var q *Producer
	at(t, "replace.marked", func() { // by the unlinker
		go func() {
			p, err := OpenProducer("x", other)
			q = p
			replaced <- err
		}()
	})
	require.NoError(t, recovery.Unlink("x", b.dir, segment.Force))
	require.NoError(t, <-replaced)
	c := b.consumer(segment.ConsumerOptions{})
	write(t, q, 1)
	assert.EqualValues(t, 0, read(t, c).ID())
	require.NoError(t, q.Close())
}

// TestUnlinkNeverRemovesANewBlock: another program removes the data file, and a producer makes a
// new block, while this process unlinks the old one. half: the old one has lost its control file.
func TestUnlinkNeverRemovesANewBlock(t *testing.T) {
	for _, half := range []bool{false, true} {
		b := newFixture(t)
		old := b.producer(b.config(segment.Ring, 4))
		if half {
			require.NoError(t, platform.Remove(old.ControlPath(old.ID)))
		}
		var p *Producer
		at(t, "replace.superseded", func() {
			require.NoError(t, platform.Remove(old.Location.DataPath()))
			p = b.producer(b.config(segment.Ring, 8))
		})
		require.NoError(t, recovery.Unlink("x", b.dir, segment.Force))
		require.NotNil(t, p)
		assert.FileExists(t, p.Location.DataPath(), "half: %t", half)
		write(t, p, 1)
		_, err := old.Claim(0)
		assert.ErrorIs(t, err, status.Superseded)
	}
}

func TestAnOpenerNeverDisplacesALivingReplacer(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	hung, err := OpenProducer("x", config)
	require.NoError(t, err)
	var replacer *Producer
	marked, goOn, replaced := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	at(t, "replace.fenced", func() {
		close(marked)
		<-goOn
	})
	go func() {
		c := b.config(segment.Ring, 8)
		c.Flags |= segment.Replace | segment.Force
		p, err := OpenProducer("x", c)
		replacer = p
		replaced <- err
	}()
	<-marked
	die(hung.Attachment)
	opened := make(chan error, 1)
	go func() {
		_, err := OpenProducer("x", config)
		opened <- err
	}()
	close(goOn)
	require.NoError(t, <-replaced)
	assert.ErrorIs(t, <-opened, status.ProducerActive)
	_, err = replacer.Claim(0)
	assert.NoError(t, err)
	require.NoError(t, replacer.Close())
}

func TestMinConsumersCountsOnlyWhoHasJoined(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.MinConsumers = 1
	p := b.producer(config)
	write(t, p, 4)
	at(t, "attach.bit", func() {
		_, err := p.Claim(0)
		assert.ErrorIs(t, err, status.Timeout)
	})
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Start: segment.StartOldest})
	_, err := p.Claim(0)
	assert.ErrorIs(t, err, status.Timeout, "now the consumer holds it up")
	assert.EqualValues(t, 0, read(t, c).ID())
	write(t, p, 1)
}

func TestADurableReaderIsToldWhatAKilledCleanerTook(t *testing.T) {
	for _, point := range []string{"clean.locked", "clean.durable", "clean.lossless", "clean.active", "clean.pins",
		"clean.hot"} {
		t.Run(point, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 4))
			o := segment.ConsumerOptions{Durable: true, Name: "log", Delivery: segment.Lossless}
			c := b.consumer(o)
			write(t, p, 1)
			assert.EqualValues(t, 0, read(t, c).ID())
			require.NoError(t, c.Close())
			killedAt(t, point, func() { _, _ = recovery.CleanupDeadConsumers("x", b.dir, 0) })
			s, err := p.Claim(0)
			for err == nil && s.ID() < 20 {
				require.NoError(t, p.Commit(s, 8))
				s, err = p.Claim(0)
			}
			c = b.consumer(o)
			if s, err := c.Next(0); err == nil {
				assert.EqualValues(t, 1, s.ID(), "skipped without a word")
			} else {
				assert.ErrorIs(t, err, status.Timeout, "begins anew, at the next message")
				assert.EqualValues(t, p.next, c.next)
			}
		})
	}
}

func TestAReplacerKilledAtAnyStepLeavesNothing(t *testing.T) {
	for _, point := range []string{"create.control", "create.locked", "create.data", "create.filled", "replace.marked",
		"replace.fenced", "replace.exchanged"} {
		t.Run(point, func(t *testing.T) {
			b := newFixture(t)
			config := b.config(segment.Ring, 4)
			p := b.producer(config)
			write(t, p, 2)
			require.NoError(t, p.Close())
			other := b.config(segment.Ring, 8)
			other.Flags |= segment.Replace
			left := coretest.Files(b.t, b.dir)
			at(t, point, func() { left = coretest.Files(b.t, b.dir) })
			q, err := OpenProducer("x", other)
			require.NoError(t, err)
			crash.Hook.Store(nil)
			require.NoError(t, q.Close())
			coretest.Restore(b.t, b.dir, left) // as the kill leaves them; the lease is free

			r := b.producer(other)
			write(t, r, 1)
			files := coretest.Files(b.t, b.dir)
			assert.Len(t, files, 2)
		})
	}
}

func TestReadersDoNotLeaveBeforeTheFence(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{})
	s, err := p.Claim(0)
	require.NoError(t, err)
	at(t, "replace.marked", func() {
		_, err := c.Next(0)
		assert.ErrorIs(t, err, status.Timeout, "the open claim may still be published")
		require.NoError(t, p.Commit(s, 8))
	})
	require.NoError(t, recovery.Unlink("x", b.dir, segment.Force))
	held, err := c.Next(0)
	require.NoError(t, err)
	assert.EqualValues(t, 0, held.ID())
	require.NoError(t, c.Release(held))
	_, err = c.Next(0)
	assert.ErrorIs(t, err, status.Superseded)
	_, err = p.Claim(0)
	assert.ErrorIs(t, err, status.Superseded)
}

func TestWaitForLosesNoWakeUp(t *testing.T) {
	for point, look := range map[string]func(*Consumer){
		"sleep.marked": func(c *Consumer) {},
		"sleep.consumer": func(c *Consumer) {
			assert.NotZero(t, c.Waiting.Load(), "a producer that commits now sees a sleeping consumer")
		},
	} {
		t.Run(point, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 4))
			c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
			slept := 0
			hook := func(at string) {
				if at == point && p.next == 0 {
					look(c)
					write(t, p, 1)
				}
				if at == "sleep.consumer" {
					slept++
				}
			}
			crash.Hook.Store(&hook)
			t.Cleanup(func() { crash.Hook.Store(nil) })
			event := c.Event.Load()
			s, err := c.WaitFor(0, segment.Forever)
			require.NoError(t, err)
			assert.EqualValues(t, 0, s.ID())
			if point == "sleep.marked" {
				assert.Zero(t, slept, "it looks again between the mark and the sleep")
			} else {
				assert.NotEqual(t, event, c.Event.Load(), "the sleep ends at once")
			}
		})
	}
}

func TestWhoIsAttachingIsNotEvicted(t *testing.T) {
	for _, point := range []string{"attach.bit", "join.bit", "attach.joined"} {
		t.Run(point, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 2))
			at(t, point, func() {
				result, err := recovery.EvictConsumer("x", b.dir, 1, true)
				assert.Equal(t, recovery.RecoveryFailed, result)
				assert.ErrorIs(t, err, status.Busy)
			})
			c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
			write(t, p, 2)
			_, err := p.Claim(0)
			require.ErrorIs(t, err, status.Timeout, "it holds the producer up")
			assert.Equal(t, []uint64{0, 1}, idsOf(t, c, 2))
			i, err := recovery.ValidateIntegrity("x", b.dir)
			require.NoError(t, err)
			assert.True(t, i.Healthy(), i.Message())
		})
	}
}

// TestAnEvictorMayDieAnywhere: the hung consumer that it was to evict still holds the producer up,
// or not. The next evicting process finishes the eviction.
func TestAnEvictorMayDieAnywhere(t *testing.T) {
	for _, point := range []string{"recover.evicting", "recover.marked", "clean.durable", "clean.lossless",
		"clean.active", "clean.pins", "clean.locks", "clean.hot", "recover.evicted"} {
		t.Run(point, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 2))
			c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Durable: true, Name: "hung"})
			write(t, p, 2)
			killedAt(t, point, func() { _, _ = recovery.EvictConsumer("x", b.dir, c.Row, true) })
			i, err := recovery.ValidateIntegrity("x", b.dir)
			require.NoError(t, err)
			assert.True(t, i.Healthy(), i.Message())

			result, err := recovery.EvictConsumer("x", b.dir, c.Row, true)
			if point == "recover.evicted" {
				assert.Equal(t, recovery.RecoveryNotStuck, result, "it was done")
			} else {
				assert.Equal(t, recovery.RecoverySuccess, result, "%v", err)
			}
			write(t, p, 2)
			_, err = c.Next(0)
			assert.ErrorIs(t, err, status.Fenced)
			again := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Durable: true, Name: "hung"})
			write(t, p, 1)
			assert.EqualValues(t, 4, read(t, again).ID())
		})
	}
}

// The owner closes in the middle of its eviction, and another consumer attaches at once. What the
// evicting process still clears is not the newcomer's.
func TestNobodyComesIntoARowThatIsBeingEvicted(t *testing.T) {
	for _, point := range []string{"recover.evicting", "clean.lossless", "clean.active", "clean.pins"} {
		t.Run(point, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 2))
			old := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
			var newcomer *Consumer
			at(t, point, func() {
				require.NoError(t, old.Close())
				newcomer = b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
			})
			_, _ = recovery.EvictConsumer("x", b.dir, old.Row, true)
			require.NotNil(t, newcomer)
			write(t, p, 2)
			_, err := p.Claim(0)
			assert.ErrorIs(t, err, status.Timeout, "the newcomer holds the producer up")
			assert.Equal(t, []uint64{0, 1}, idsOf(t, newcomer, 2))
			i, err := recovery.ValidateIntegrity("x", b.dir)
			require.NoError(t, err)
			assert.True(t, i.Healthy(), i.Message())
		})
	}
}

func TestWhoIsReturningIsNotEvicted(t *testing.T) {
	for _, point := range []string{"attach.identity", "attach.bit", "attach.joined"} {
		t.Run(point, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 2))
			o := segment.ConsumerOptions{Delivery: segment.Lossless, Durable: true, Name: "d"}
			dead, err := b.openConsumer(o)
			require.NoError(t, err)
			write(t, p, 2)
			die(dead.Attachment) // its row still says ACTIVE
			at(t, point, func() {
				result, _ := recovery.EvictConsumer("x", b.dir, dead.Row, true)
				assert.Equal(t, recovery.RecoveryFailed, result)
			})
			c := b.consumer(o)
			assert.Equal(t, []uint64{0, 1}, idsOf(t, c, 2), "it continues where it stopped")
			write(t, p, 2)
			_, err = p.Claim(0)
			assert.ErrorIs(t, err, status.Timeout)
		})
	}
}

func TestAResetThatCouldNotEvictSaysSo(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 1)
	held, err := c.Next(0)
	require.NoError(t, err)
	write(t, p, 2)                                               // out of the ring, and held
	ok, err := c.ProbeLocks.TryLock(segment.CleaningByte(c.Row)) // another process is at the row
	require.NoError(t, err)
	require.True(t, ok)
	result, _ := recovery.ForceResetSlot("x", b.dir, held.Index(), true)
	assert.Equal(t, recovery.RecoveryFailed, result)
	require.NoError(t, c.ProbeLocks.Unlock(segment.CleaningByte(c.Row)))
	result, err = recovery.ForceResetSlot("x", b.dir, held.Index(), true)
	assert.Equal(t, recovery.RecoverySuccess, result, "%v", err)
}

// pointsOf returns the crash points that f reaches, each once.
func pointsOf(f func()) (points []string) {
	hook := func(p string) {
		if !slices.Contains(points, p) {
			points = append(points, p)
		}
	}
	crash.Hook.Store(&hook)
	f()
	crash.Hook.Store(nil)
	return points
}

// A durable consumer never again gets a message that it has released, wherever it dies on its
// return. bound: the producer has seen that it joined.
func TestAReturnKilledAtAnyPointRepeatsNothing(t *testing.T) {
	for _, d := range deliveries {
		for _, bound := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/bound=%v", d, bound), func(t *testing.T) {
				begin := func() fixture {
					b := newFixture(t)
					p := b.producer(b.config(segment.Ring, 8))
					write(t, p, 4)
					if !bound {
						write(t, p, 1)
					}
					c := b.durable(d)
					if bound {
						write(t, p, 1)
					}
					if d == segment.Latest {
						read(t, c)
					} else {
						idsOf(t, c, 3)
					}
					die(c.Attachment)
					return b
				}
				want := []uint64{3, 4}
				if d == segment.Latest {
					want = nil
				}
				b := begin()
				var c *Consumer
				points := pointsOf(func() { c = b.durable(d) })
				require.Greater(t, len(points), 10)
				require.Equal(t, d == segment.Lossless && !bound, slices.Contains(points, "join.cursor"))
				die(c.Attachment)
				for _, point := range points {
					b := begin()
					killedAt(t, point, func() { b.durable(d) })
					assert.Empty(t, releasedBefore(b, d, want), point)
				}
			})
		}
	}
}

// releasedBefore returns the messages that the durable consumer gets beyond those that it is to
// get.
func releasedBefore(b fixture, d segment.Delivery, want []uint64) (again []uint64) {
	c := b.durable(d)
	defer func() { _ = c.Close() }()
	for {
		s, err := c.Next(0)
		if err != nil {
			require.ErrorIs(b.t, err, status.Timeout)
			require.Empty(b.t, want, "these do not come")
			return again
		}
		if len(want) > 0 && s.ID() == want[0] {
			want = want[1:]
		} else {
			again = append(again, s.ID())
		}
		require.NoError(b.t, c.Release(s))
	}
}

// TestAReturnAnnouncesItself: an earlier return may have died before the announcement.
func TestAReturnAnnouncesItself(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.durable(segment.Lossless)
	write(t, p, 1)
	idsOf(t, c, 1)
	p.MaskClear(p.Lossless, c.Row)
	die(c.Attachment)
	before := p.JoinEpoch.Load()
	killedAt(t, "join.bit", func() { b.durable(segment.Lossless) })
	require.Equal(t, before, p.JoinEpoch.Load())
	b.durable(segment.Lossless)
	assert.Greater(t, p.JoinEpoch.Load(), before)
}
