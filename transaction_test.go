package datablock_test

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

var scenarios = []scenario{
	{"basic_success", func(b *bench) {
		said, err := datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (string, error) {
			assert.EqualValues(b, 0, s.ID())
			assert.Equal(b, slotSize, s.Size())
			assert.Len(b, s.Data(), slotSize)
			return "written", s.Commit(copy(s.Data(), "hello"))
		})
		require.NoError(b, err)
		assert.Equal(b, "written", said)
		said, there, err := datablock.WithNextSlot(b.c, 0, func(s *readSlot) (string, error) {
			assert.EqualValues(b, 0, s.ID())
			assert.Equal(b, 5, s.Size())
			assert.EqualValues(b, 0, s.Missed())
			return string(s.Data()), nil
		})
		require.NoError(b, err)
		assert.True(b, there)
		assert.Equal(b, "hello", said)
	}},
	{"commit_sets_the_length", func(b *bench) {
		for _, lengths := range [][]int{{3}, {0}, {slotSize}, {5, 7}, {7, 5}, {slotSize + 1, 4}} {
			_, err := datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (int, error) {
				for _, n := range lengths {
					_ = s.Commit(n)
				}
				return 0, nil
			})
			require.NoError(b, err, lengths)
			n, _, err := datablock.WithNextSlot(b.c, 0, length)
			require.NoError(b, err)
			assert.Equal(b, lengths[len(lengths)-1], n)
		}
		for _, lengths := range [][]int{{slotSize + 1}, {-1}, {4, slotSize + 1}} {
			r, err := datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (int, error) {
				for _, n := range lengths {
					_ = s.Commit(n) // not looked at
				}
				return 7, nil
			})
			assert.ErrorIs(b, err, datablock.ErrInvalid, lengths)
			assert.Zero(b, r)
		}
		b.nothingPublished(6)
	}},
	{"whole_slot_without_commit", func(b *bench) {
		_, err := datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (int, error) { return 0, nil })
		require.NoError(b, err)
		n, _, err := datablock.WithNextSlot(b.c, 0, length)
		require.NoError(b, err)
		assert.Equal(b, slotSize, n)
	}},
	{"timeout_acquiring", func(b *bench) {
		b.full()
		for _, timeout := range []time.Duration{0, soon} {
			start := time.Now()
			_, err := datablock.WithWriteTransaction(b.p, timeout, func(*writeSlot) (int, error) {
				b.Error("f is called")
				return 0, nil
			})
			assert.ErrorIs(b, err, datablock.ErrTimeout)
			assert.GreaterOrEqual(b, time.Since(start), timeout)
		}
		_, err := b.p.BeginWrite(0)
		assert.ErrorIs(b, err, datablock.ErrTimeout)
		for id := range uint64(slotCount) {
			assert.Equal(b, id, b.read())
		}
		b.nothingPublished(slotCount)
	}},
	{"early_return", func(b *bench) {
		_, err := datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (int, error) {
			if err := s.Commit(2); err != nil || s.Size() > 2 {
				return 0, err
			}
			s.Data()[0] = 1
			return 1, nil
		})
		require.NoError(b, err)
		func() {
			guard, err := b.p.BeginWrite(0)
			require.NoError(b, err)
			defer guard.Close()
			if guard.Slot().Commit(3) == nil {
				return
			}
			guard.Abort()
		}()
		for _, want := range []int{2, 3} {
			n, _, err := datablock.WithNextSlot(b.c, 0, length)
			require.NoError(b, err)
			assert.Equal(b, want, n)
		}
	}},
	{"exception_before_commit", func(b *bench) { b.failing(func(*writeSlot) {}) }},
	{"exception_after_commit", func(b *bench) { b.failing(func(s *writeSlot) { assert.NoError(b, s.Commit(8)) }) }},
	{"nested", func(b *bench) {
		b.write()
		other := b.producer("y")
		_, there, err := datablock.WithNextSlot(b.c, 0, func(r *readSlot) (uint64, error) {
			return datablock.WithWriteTransaction(other, 0, func(w *writeSlot) (uint64, error) {
				return w.ID(), w.Commit(copy(w.Data(), r.Data()))
			})
		})
		require.NoError(b, err)
		assert.True(b, there)
		blocks, err := datablock.List(b.dir)
		require.NoError(b, err)
		assert.EqualValues(b, 1, blocks[1].NextID)

		id, err := datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (uint64, error) {
			_, err := datablock.WithWriteTransaction(b.p, 0, fill)
			assert.ErrorIs(b, err, datablock.ErrInvalid)
			_, err = b.p.BeginWrite(0)
			assert.ErrorIs(b, err, datablock.ErrInvalid)
			_, err = b.p.Claim(0)
			assert.ErrorIs(b, err, datablock.ErrInvalid)
			return fill(s)
		})
		require.NoError(b, err)
		assert.Equal(b, id, b.read())
	}},
	{"nested_reads_of_one_consumer", func(b *bench) {
		c := b.consumer(datablock.ConsumerOptions{MaxPins: 2})
		for range slotCount - 1 {
			b.write()
		}
		_, _, err := datablock.WithNextSlot(c, 0, func(outer *readSlot) (int, error) {
			for want := range uint64(slotCount - 2) { // each gives its place back
				_, _, err := datablock.WithNextSlot(c, 0, func(inner *readSlot) (int, error) {
					assert.Equal(b, want+1, inner.ID())
					_, err := idOf(outer)
					return 0, err
				})
				require.NoError(b, err)
			}
			for range slotCount - 1 {
				b.read() // the other consumer is no hindrance
			}
			b.write()
			_, err := datablock.WithWriteTransaction(b.p, 0, fill)
			assert.ErrorIs(b, err, datablock.ErrTimeout, "the outer message is still held")
			return checked(outer)
		})
		require.NoError(b, err)
		b.write()
		got, there, err := datablock.WithNextSlot(c, 0, idOf)
		require.NoError(b, err)
		assert.True(b, there)
		assert.EqualValues(b, slotCount-1, got)
		require.NoError(b, c.Close())
	}},
	{"no_default_value_on_timeout", func(b *bench) {
		for _, timeout := range []time.Duration{0, soon} {
			start := time.Now()
			_, there, err := datablock.WithNextSlot(b.c, timeout, func(*readSlot) (int, error) {
				b.Error("f is called")
				return 1, nil
			})
			assert.NoError(b, err)
			assert.False(b, there)
			assert.GreaterOrEqual(b, time.Since(start), timeout)
		}
		_, there, err := datablock.WithNextSlot(b.c, -2, length)
		assert.False(b, there)
		assert.ErrorIs(b, err, datablock.ErrInvalid, "every other status is an error")
	}},
	{"read_transaction_of_an_id", func(b *bench) {
		for _, delivery := range []datablock.Delivery{datablock.Lossless, datablock.Ordered, datablock.Latest} {
			c := b.consumer(datablock.ConsumerOptions{Delivery: delivery})
			var ids [2 * slotCount]uint64
			for i := range ids {
				ids[i] = b.write()
				b.read()
				if i < slotCount {
					_, _, err := datablock.WithNextSlot(c, 0, idle)
					require.NoError(b, err)
				} else if delivery == datablock.Lossless && i < len(ids)-1 {
					_, _, err := datablock.WithNextSlot(c, 0, idle)
					require.NoError(b, err)
				}
			}
			for _, id := range ids[slotCount:] {
				got, err := datablock.WithReadTransaction(c, id, 0, idOf)
				require.NoError(b, err)
				assert.Equal(b, id, got)
			}
			for _, id := range ids[:slotCount] {
				_, err := datablock.WithReadTransaction(c, id, patience, idOf)
				assert.ErrorIs(b, err, datablock.ErrOverrun)
			}
			unwritten := ids[len(ids)-1] + 1
			for _, timeout := range []time.Duration{0, soon} {
				start := time.Now()
				_, err := datablock.WithReadTransaction(c, unwritten, timeout, idOf)
				assert.ErrorIs(b, err, datablock.ErrTimeout)
				assert.GreaterOrEqual(b, time.Since(start), timeout)
			}
			expected := unwritten - 1 // where a LOSSLESS consumer is, and a LATEST one
			if delivery == datablock.Ordered {
				expected = ids[slotCount]
			}
			got, _, err := datablock.WithNextSlot(c, 0, idOf)
			require.NoError(b, err)
			assert.Equal(b, expected, got, "%v: the cursor has not moved", delivery)

			arrived := make(chan uint64)
			go func() {
				id, err := datablock.WithReadTransaction(c, unwritten, datablock.Forever, idOf)
				assert.NoError(b, err)
				arrived <- id
			}()
			b.write()
			assert.Equal(b, unwritten, <-arrived)
			b.read()
			require.NoError(b, c.Close())
		}
		id := b.write()
		b.discard(id)
		_, err := datablock.WithReadTransaction(b.c, id, 0, idOf)
		assert.ErrorIs(b, err, datablock.ErrLost)
		_, there, err := datablock.WithNextSlot(b.c, 0, idOf)
		assert.ErrorIs(b, err, datablock.ErrLost)
		assert.False(b, there)
	}},
	{"aborts_leave_no_gap", func(b *bench) {
		b.write()
		b.read()
		for range 2 * slotCount {
			_, err := datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (int, error) {
				clear(s.Data())
				return 0, errors.New("no")
			})
			require.Error(b, err)
		}
		got, err := datablock.WithReadTransaction(b.c, 0, 0, idOf)
		require.NoError(b, err)
		assert.EqualValues(b, 0, got, "the latest message is still there")
		b.nothingPublished(1)
	}},
	{"released_in_every_case", func(b *bench) {
		broken := errors.New("broken")
		ends := map[string]func(){
			"return": func() {}, "panic": func() { panic("boom") }, "goexit": runtime.Goexit,
		}
		for name, end := range ends {
			reads := map[string]func(){
				"with next": func() {
					_, _, _ = datablock.WithNextSlot(b.c, 0, func(*readSlot) (int, error) { end(); return 0, broken })
				},
				"with id": func() {
					_, _ = datablock.WithReadTransaction(b.c, b.write(), 0,
						func(*readSlot) (int, error) { end(); return 0, broken })
				},
				"guard": func() {
					guard, err := b.c.BeginNext(0)
					assert.NoError(b, err)
					defer guard.Close()
					end()
				},
				"guard of an id": func() {
					guard, err := b.c.BeginRead(b.write(), 0)
					assert.NoError(b, err)
					defer guard.Close()
					end()
				},
				"loop": func() {
					for _, err := range b.c.Messages(0) {
						assert.NoError(b, err)
						end()
						break
					}
				},
			}
			for how, read := range reads {
				b.write()
				ended(func() {
					defer func() { _ = recover() }()
					read()
				})
				b.Log(name, how)
				b.released()
			}
		}
	}},
	{"superseded_inside", func(b *bench) {
		config := b.config()
		config.Flags |= datablock.Replace | datablock.Force
		config.SlotCount = 2 * slotCount
		var q *datablock.Producer
		r, err := datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (int, error) {
			var err error
			q, err = datablock.OpenProducer("x", config)
			require.NoError(b, err)
			return 7, s.Commit(8)
		})
		assert.ErrorIs(b, err, datablock.ErrSuperseded)
		assert.Zero(b, r)
		_, there, err := datablock.WithNextSlot(b.c, 0, idOf)
		assert.ErrorIs(b, err, datablock.ErrSuperseded)
		assert.False(b, there)
		_, err = datablock.WithReadTransaction(b.c, 0, patience, idOf)
		assert.ErrorIs(b, err, datablock.ErrSuperseded)
		assert.NoError(b, b.p.Close())
		assert.NoError(b, b.c.Close())

		b.p = q
		b.Cleanup(func() { _ = q.Close() })
		b.c = b.consumer(datablock.ConsumerOptions{})
		b.nothingPublished(0)
	}},
}

// guarded writes half a message in a function that what leaves.

// failing lets f end by an error, a panic and the end of its goroutine, in functions and guards. It
// calls before first.

func (b *bench) failing(before func(*writeSlot)) {
	broken := errors.New("broken")
	r, err := datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (int, error) {
		before(s)
		return 7, broken
	})
	assert.Same(b, broken, err)
	assert.Equal(b, 7, r)
	b.nothingPublished(0)
	assert.PanicsWithValue(b, broken, func() {
		_, _ = datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (int, error) {
			before(s)
			panic(broken)
		})
	})
	b.nothingPublished(1)
	ended(func() {
		_, _ = datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (int, error) {
			before(s)
			runtime.Goexit()
			return 0, nil
		})
	})
	b.nothingPublished(2)

	b.write()
	_, there, err := datablock.WithNextSlot(b.c, 0, func(*readSlot) (int, error) { return 7, broken })
	assert.True(b, there)
	assert.Same(b, broken, err)
	b.write()
	assert.PanicsWithValue(b, broken, func() {
		_, _, _ = datablock.WithNextSlot(b.c, 0, func(*readSlot) (int, error) { panic(broken) })
	})
	assert.PanicsWithValue(b, broken, func() {
		_, _ = datablock.WithReadTransaction(b.c, 4, 0, func(*readSlot) (int, error) { panic(broken) })
	})
	b.nothingPublished(5)
}

// discard does what an operator's reset does to a committed message.

// TestTransactions runs the scenarios of every language, under the same names, and the scenarios
// that only Go can have. After each scenario no message is held.

func TestTransactions(t *testing.T) {
	for _, s := range slices.Concat(scenarios, guardScenarios) {
		t.Run(s.name, func(t *testing.T) {
			b := newBench(t)
			s.run(b)
			b.released()
		})
	}
}
