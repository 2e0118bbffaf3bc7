package datablock_test

import (
	"errors"
	"runtime"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

var guardScenarios = []scenario{
	{"guard_unwinding_aborts", func(b *bench) {
		id := uint64(0)
		for name, deferred := range map[string]func(datablock.WriteTransactionGuard, *error) func(){
			"close": func(g datablock.WriteTransactionGuard, _ *error) func() { return func() { _ = g.Close() } },
			"end":   func(g datablock.WriteTransactionGuard, err *error) func() { return func() { g.End(err) } },
			"deep": func(g datablock.WriteTransactionGuard, _ *error) func() {
				return func() { func() { closeDeeply(g, 20) }() }
			},
			"after recover": func(g datablock.WriteTransactionGuard, _ *error) func() {
				return func() {
					r := recover()
					_ = g.Close()
					if r != nil {
						panic(r)
					}
				}
			},
		} {
			assert.PanicsWithValue(b, "boom", func() { _ = b.guarded(deferred, func() { panic("boom") }) }, name)
			assert.Panics(b, func() { _ = b.guarded(deferred, func() { store(nil) }) }, name)
			ended(func() { _ = b.guarded(deferred, runtime.Goexit) })
			b.nothingPublished(id)
			id++
		}
		assert.PanicsWithValue(b, "boom", func() {
			guard, err := b.p.BeginWrite(0)
			require.NoError(b, err)
			defer guard.Close()
			assert.NoError(b, guard.Slot().Commit(8))
			panic("boom")
		})
		b.nothingPublished(id)
	}},
	{"guard_commits_what_is_done_while_another_function_panics", func(b *bench) {
		assert.Panics(b, func() {
			defer func() {
				guard, err := b.p.BeginWrite(0)
				require.NoError(b, err)
				defer guard.Close()
				_, _ = fill(guard.Slot())
			}()
			defer b.lastWill()
			panic("boom")
		})
		assert.EqualValues(b, 0, b.read())
		assert.EqualValues(b, 1, b.read())
	}},
	{"guard_begun_by_a_helper", func(b *bench) {
		begin := func() datablock.WriteTransactionGuard {
			guard, err := b.p.BeginWrite(0)
			require.NoError(b, err)
			_, _ = fill(guard.Slot())
			return guard
		}
		func() {
			guard := begin()
			defer guard.Close()
		}()
		assert.EqualValues(b, 0, b.read())
		assert.Panics(b, func() {
			guard := begin()
			defer guard.Close()
			panic("boom")
		})
		b.nothingPublished(1)
	}},
	{"guard_end_knows_of_an_error", func(b *bench) {
		broken := errors.New("broken")
		send := func(fault error) (err error) {
			guard, err := b.p.BeginWrite(0)
			if err != nil {
				return err
			}
			defer guard.End(&err)
			if fault != nil {
				return fault
			}
			_, err = fill(guard.Slot())
			return err
		}
		assert.Same(b, broken, send(broken))
		b.nothingPublished(0)
		assert.NoError(b, send(nil))
		assert.EqualValues(b, 1, b.read())

		tooLong := func() (err error) {
			guard, err := b.p.BeginWrite(0)
			if err != nil {
				return err
			}
			defer guard.End(&err)
			_ = guard.Slot().Commit(slotSize + 1)
			return nil
		}
		assert.ErrorIs(b, tooLong(), datablock.ErrInvalid)
		b.nothingPublished(2)
	}},
	{"guard_ends_once", func(b *bench) {
		var none datablock.WriteTransactionGuard
		assert.False(b, none.Open())
		assert.Nil(b, none.Slot())
		none.Abort()
		assert.NoError(b, none.Close())
		assert.ErrorIs(b, none.Commit(), datablock.ErrInvalid)

		first, err := b.p.BeginWrite(0)
		require.NoError(b, err)
		assert.True(b, first.Open())
		slot, again := first.Slot(), first
		first.Abort()
		assert.False(b, again.Open())
		assert.Nil(b, slot.Data())
		assert.ErrorIs(b, slot.Commit(0), datablock.ErrInvalid)

		second, err := b.p.BeginWrite(0) // the same id, and perhaps the same slot
		require.NoError(b, err)
		again.Abort()
		assert.NoError(b, again.Close())
		assert.ErrorIs(b, again.Commit(), datablock.ErrInvalid)
		assert.True(b, second.Open(), "an ended guard does not end the next")
		_, err = fill(second.Slot())
		require.NoError(b, err)
		require.NoError(b, second.Commit())
		assert.NoError(b, second.Close())
		second.Abort()

		var nobody datablock.ReadTransactionGuard
		assert.False(b, nobody.Open())
		assert.NoError(b, nobody.Close())
		one, err := b.c.BeginNext(0)
		require.NoError(b, err)
		assert.True(b, one.Open())
		assert.EqualValues(b, 0, one.Slot().ID())
		require.NoError(b, one.Close())
		assert.Nil(b, one.Slot())
		b.write()
		two, err := b.c.BeginNext(0)
		require.NoError(b, err)
		assert.NoError(b, one.Close())
		assert.True(b, two.Open(), "an ended guard does not end the next")
		require.NoError(b, two.Close())
	}},
}

func closeDeeply(g datablock.WriteTransactionGuard, levels int) {
	if levels > 0 {
		closeDeeply(g, levels-1)
		return
	}
	_ = g.Close()
}

func (b *bench) guarded(deferred func(datablock.WriteTransactionGuard, *error) func(), what func()) (err error) {
	guard, err := b.p.BeginWrite(0)
	require.NoError(b, err)
	defer deferred(guard, &err)()
	clear(guard.Slot().Data())
	what()
	return nil
}

func (b *bench) lastWill() {
	guard, err := b.p.BeginWrite(0)
	require.NoError(b, err)
	defer func() {
		assert.NoError(b, guard.Close())
	}()
	_, _ = fill(guard.Slot())
}

func store(p *int) { *p = 1 }
