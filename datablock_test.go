package datablock_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

func TestPlainCalls(t *testing.T) {
	b := newBench(t)
	assert.Equal(t, "x", b.p.Name())
	assert.Equal(t, "x", b.c.Name())
	for id := range uint64(2 * slotCount) {
		w, err := b.p.Claim(0)
		require.NoError(t, err)
		assert.Equal(t, id, w.ID())
		require.NoError(t, b.p.Abort(w))
		w, err = b.p.Claim(0)
		require.NoError(t, err)
		assert.Equal(t, id, w.ID())
		require.NoError(t, b.p.Commit(w, copy(w.Data(), "hello")))
		assert.ErrorIs(t, b.p.Commit(w, 0), datablock.ErrInvalid)

		for _, read := range []func() (datablock.ReadSlot, error){
			func() (datablock.ReadSlot, error) { return b.c.ReadAt(id) },
			func() (datablock.ReadSlot, error) { return b.c.WaitFor(id, 0) },
			func() (datablock.ReadSlot, error) { return b.c.Next(0) },
		} {
			r, err := read()
			require.NoError(t, err)
			assert.Equal(t, id, r.ID())
			assert.Equal(t, w.Index(), r.Index())
			assert.Equal(t, "hello", string(r.Data()))
			require.NoError(t, b.c.Release(r))
			assert.ErrorIs(t, b.c.Release(r), datablock.ErrInvalid)
		}
		_, err = b.c.ReadAt(id + 1)
		assert.ErrorIs(t, err, datablock.ErrNotFound)
	}
}

func TestChecksumsOnDemand(t *testing.T) {
	dir := directory(t)
	config := datablock.Config{SlotSize: slotSize, Directory: dir, Checksum: datablock.ChecksumManual}
	p, err := datablock.OpenProducer("x", config)
	require.NoError(t, err)
	defer p.Close()
	c, err := datablock.OpenConsumer("x", datablock.ConsumerOptions{Directory: dir})
	require.NoError(t, err)
	defer c.Close()
	for _, sealed := range []bool{true, false} {
		w, err := p.Claim(0)
		require.NoError(t, err)
		n := copy(w.Data(), "hello")
		if sealed {
			require.NoError(t, p.Seal(w, n))
		}
		require.NoError(t, p.Commit(w, n))
		r, err := c.Next(0)
		require.NoError(t, err)
		if sealed {
			assert.NoError(t, c.Verify(r))
		} else {
			assert.ErrorIs(t, c.Verify(r), datablock.ErrInvalid)
		}
		require.NoError(t, c.Release(r))
	}
}

func TestListAndUnlink(t *testing.T) {
	b := newBench(t)
	b.write()
	blocks, err := datablock.List(b.dir)
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	assert.Equal(t, "x", blocks[0].Name)
	assert.EqualValues(t, 1, blocks[0].NextID)
	assert.EqualValues(t, os.Getpid(), blocks[0].ProducerPID)
	assert.EqualValues(t, 1, blocks[0].Consumers)
	assert.EqualValues(t, datablock.Ring, blocks[0].Policy)

	assert.ErrorIs(t, datablock.Unlink("x", b.dir, 0), datablock.ErrProducerActive)
	require.NoError(t, datablock.Unlink("x", b.dir, datablock.Force))
	assert.ErrorIs(t, datablock.Unlink("x", b.dir, 0), datablock.ErrNotFound)
	blocks, err = datablock.List(b.dir)
	require.NoError(t, err)
	assert.Empty(t, blocks)
	_, err = datablock.List(b.dir + "/none")
	assert.ErrorIs(t, err, datablock.ErrNotFound)
}

func TestErrorsAreFoundByStatus(t *testing.T) {
	b := newBench(t)
	p, err := datablock.OpenProducer("x", b.config())
	assert.Nil(t, p)
	assert.ErrorIs(t, err, datablock.ErrProducerActive)
	assert.Equal(t, datablock.ErrProducerActive, datablock.CodeOf(err))
	var detail *datablock.Error
	require.ErrorAs(t, err, &detail)
	assert.Contains(t, detail.Detail, "x")
	c, err := datablock.OpenConsumer("y", datablock.ConsumerOptions{Directory: b.dir})
	assert.Nil(t, c)
	assert.ErrorIs(t, err, datablock.ErrNotFound)
	assert.ErrorIs(t, err, os.ErrNotExist, "the cause")
	assert.Zero(t, datablock.CodeOf(nil))
	assert.Equal(t, datablock.ErrSystem, datablock.CodeOf(errors.New("another")))
}

func TestEveryStatusHasAName(t *testing.T) {
	names := []datablock.Code{
		datablock.ErrTimeout, datablock.ErrInvalid, datablock.ErrNotFound, datablock.ErrExists,
		datablock.ErrProducerActive, datablock.ErrAccess,
		datablock.ErrSecret, datablock.ErrCorrupt, datablock.ErrVersion, datablock.ErrGeometry, datablock.ErrSchema,
		datablock.ErrNoSpace,
		datablock.ErrFull, datablock.ErrBusy, datablock.ErrClosed, datablock.ErrSuperseded, datablock.ErrFenced,
		datablock.ErrOverrun,
		datablock.ErrLost, datablock.ErrNoProducer, datablock.ErrNoSpare, datablock.ErrChecksum, datablock.ErrSystem,
	}
	unknown := status.Code(-1).Error()
	for code := status.OK + 1; code.Error() != unknown; code++ {
		switch code {
		case status.Forked, status.Handle, status.Panic: // of the C library alone
		default:
			assert.Contains(t, names, datablock.Code(code))
			assert.Equal(t, code.Error(), datablock.Code(code).Error())
		}
	}
}

func TestMessagesEndWithTheStream(t *testing.T) {
	b := newBench(t)
	b.full()
	require.NoError(t, b.p.Close())
	var ids []uint64
	for s, err := range b.c.Messages(datablock.Forever) {
		require.NoError(t, err)
		ids = append(ids, s.ID())
	}
	assert.Equal(t, []uint64{0, 1, 2, 3}, ids)

	p := b.producer("x") // goes on
	b.p = p
	b.write()
	for s, err := range b.c.Messages(datablock.Forever) {
		require.NoError(t, err)
		ids = append(ids, s.ID())
		break
	}
	assert.Equal(t, []uint64{0, 1, 2, 3, 4}, ids)
	b.released()
}

func TestMessagesHoldsEachForItsTurn(t *testing.T) {
	b := newBench(t)
	b.full()
	for s, err := range b.c.Messages(0) {
		require.NoError(t, err)
		if s.ID() > 0 {
			b.write() // the turn before has made room for one
		}
		_, err = b.p.Claim(0)
		assert.ErrorIs(t, err, datablock.ErrTimeout, "message %d is held", s.ID())
		if s.ID() == 3*slotCount {
			break
		}
	}
	b.write()
	b.released()
}

func TestMessagesGoesOnAfterErrorsThatPass(t *testing.T) {
	b := newBench(t)
	b.full()
	b.discard(1)
	var ids []uint64
	var errs []error
	for s, err := range b.c.Messages(0) {
		if err == nil {
			ids = append(ids, s.ID())
			continue
		}
		assert.Nil(t, s.Data())
		errs = append(errs, datablock.CodeOf(err))
		if errors.Is(err, datablock.ErrTimeout) {
			if len(errs) > 3 {
				break
			}
			b.write()
		}
	}
	assert.Equal(t, []uint64{0, 2, 3, 4, 5}, ids)
	assert.Equal(t, []error{datablock.ErrLost, datablock.ErrTimeout, datablock.ErrTimeout, datablock.ErrTimeout}, errs)
}

func TestMessagesEndsAfterErrorsThatStay(t *testing.T) {
	for name, end := range map[string]struct {
		how     func(*bench)
		timeout time.Duration
		want    error
	}{
		"superseded": {func(b *bench) { require.NoError(b, datablock.Unlink("x", b.dir, datablock.Force)) },
			datablock.Forever, datablock.ErrSuperseded},
		"held": {func(b *bench) { _, err := b.c.Next(0); require.NoError(b, err) }, datablock.Forever,
			datablock.ErrBusy},
		"invalid": {func(b *bench) {}, -2, datablock.ErrInvalid},
		"closed":  {func(b *bench) { require.NoError(b, b.c.Close()) }, 0, datablock.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.write()
			end.how(b)
			var errs []error
			for s, err := range b.c.Messages(end.timeout) {
				if err == nil {
					assert.EqualValues(t, 0, s.ID())
					continue
				}
				errs = append(errs, datablock.CodeOf(err))
				require.Len(t, errs, 1)
			}
			assert.Equal(t, []error{end.want}, errs)
		})
	}
}

func TestMessagesEndWhenInterrupted(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	context.AfterFunc(ctx, b.c.Interrupt)
	b.write()
	for _, err := range b.c.Messages(datablock.Forever) {
		require.NoError(t, err)
		cancel()
	}
	_, err := b.c.Next(datablock.Forever)
	assert.ErrorIs(t, err, datablock.ErrClosed)
}

func TestAHeldUpClaimIsInterrupted(t *testing.T) {
	b := newBench(t)
	b.full()
	time.AfterFunc(soon, b.p.Interrupt)
	_, err := datablock.WithWriteTransaction(b.p, datablock.Forever, fill)
	assert.ErrorIs(t, err, datablock.ErrClosed)
}

type sample struct {
	Time  uint64
	Pose  [3]float64
	Flags struct{ Low, High uint16 }
}

func TestDataAsAType(t *testing.T) {
	b := newBench(t)
	_, err := datablock.WithWriteTransaction(b.p, 0, func(s *writeSlot) (int, error) {
		v, err := datablock.As[sample](s.Data())
		if err != nil {
			return 0, err
		}
		*v = sample{Time: 7, Pose: [3]float64{1, 2, 3}}
		v.Flags.High = 5
		return 0, s.Commit(40)
	})
	require.NoError(t, err)
	_, _, err = datablock.WithNextSlot(b.c, 0, func(s *readSlot) (int, error) {
		v, err := datablock.As[sample](s.Data())
		if err != nil {
			return 0, err
		}
		assert.EqualValues(t, 7, v.Time)
		assert.Equal(t, [3]float64{1, 2, 3}, v.Pose)
		assert.EqualValues(t, 5, v.Flags.High)
		assert.EqualValues(t, 7, binary.LittleEndian.Uint64(s.Data()))
		_, err = datablock.As[[6]uint64](s.Data())
		assert.ErrorIs(t, err, datablock.ErrInvalid, "48 of 40 bytes")
		_, err = datablock.As[uint64](s.Data()[1:])
		assert.ErrorIs(t, err, datablock.ErrInvalid, "not aligned")
		_, err = datablock.As[[31]byte](s.Data()[1:])
		return 0, err
	})
	require.NoError(t, err)

	data := make([]byte, 128)
	for name, as := range map[string]func([]byte) error{
		"string": refused[string], "slice": refused[[]byte], "pointer": refused[*int], "map": refused[map[int]int],
		"interface": refused[any],
		"function":  refused[func()], "channel": refused[chan int], "array": refused[[2]*int],
		"struct": refused[struct {
			P *int
			N int
		}], "inner": refused[struct{ A [1]struct{ S string } }],
	} {
		assert.ErrorIs(t, as(data), datablock.ErrInvalid, name)
	}
	assert.NoError(t, refused[struct{}](nil))
}

func refused[T any](data []byte) error {
	_, err := datablock.As[T](data)
	return err
}

// traffic writes and reads messages of one block, and ends the test at the first error.
type traffic struct {
	*bench
	t    *testing.T
	last uint64 // the id of the last message
}

func newTraffic(t *testing.T) *traffic { return &traffic{newBench(t), t, 0} }

func (x *traffic) check(err error) {
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *traffic) write() {
	s, err := x.p.Claim(0)
	if err == nil {
		err = x.p.Commit(s, 8)
	}
	x.check(err)
	x.last = s.ID()
}

func (x *traffic) read() {
	s, err := x.c.Next(0)
	if err == nil {
		err = x.c.Release(s)
	}
	x.check(err)
}

// TestNoAllocationPerMessage: calls and transactions that succeed allocate nothing.
func TestNoAllocationPerMessage(t *testing.T) {
	b := newTraffic(t)
	commit := func(s *writeSlot) (uint64, error) { return s.ID(), s.Commit(8) }
	for name, f := range map[string]func(){
		"plain": func() { b.write(); b.read() },
		"abort": func() { s, err := b.p.Claim(0); b.check(err); b.check(b.p.Abort(s)) },
		"readat": func() {
			b.write()
			s, err := b.c.ReadAt(b.last)
			b.check(err)
			b.check(b.c.Release(s))
			b.read()
		},
		"write": func() { _, err := datablock.WithWriteTransaction(b.p, 0, commit); b.check(err); b.read() },
		"next": func() {
			b.write()
			sum := 0
			_, there, err := datablock.WithNextSlot(b.c, 0, func(s *readSlot) (int, error) { // it captures
				sum += s.Size()
				return sum, nil
			})
			b.check(err)
			if !there || sum != 8 {
				t.Fatal("no message")
			}
		},
		"id": func() {
			b.write()
			_, err := datablock.WithReadTransaction(b.c, b.last, 0, length)
			b.check(err)
			b.read()
		},
		"as": func() {
			s, err := b.p.Claim(0)
			b.check(err)
			v, err := datablock.As[sample](s.Data())
			b.check(err)
			v.Time++
			b.check(b.p.Abort(s))
		},
	} {
		assert.Zero(t, testing.AllocsPerRun(100, f), name)
	}
	runtime.KeepAlive(b)
}

// TestNoAllocationPerGuard: guards that succeed allocate nothing.
func TestNoAllocationPerGuard(t *testing.T) {
	b := newTraffic(t)
	for name, f := range map[string]func(){
		"write guard": func() {
			func() {
				guard, err := b.p.BeginWrite(0)
				b.check(err)
				defer guard.Abort()
				b.check(guard.Slot().Commit(8))
				b.check(guard.Commit())
			}()
			b.read()
		},
		"write guard that decides": func() {
			func() {
				guard, err := b.p.BeginWrite(0)
				b.check(err)
				defer guard.Close()
			}()
			b.read()
		},
		"read guard": func() {
			b.write()
			guard, err := b.c.BeginNext(0)
			b.check(err)
			defer guard.Close()
		},
	} {
		assert.Zero(t, testing.AllocsPerRun(100, f), name)
	}
	runtime.KeepAlive(b)
}

// TestNoAllocationPerTurnOfALoop: a loop over messages allocates only at its beginning.
func TestNoAllocationPerTurnOfALoop(t *testing.T) {
	b := newTraffic(t)
	const messages = 100
	loop := testing.AllocsPerRun(10, func() {
		b.write()
		n := 0
		for _, err := range b.c.Messages(0) {
			b.check(err)
			if n++; n == messages {
				break
			}
			b.write()
		}
	})
	assert.Less(t, loop, 10.0, "a loop of %d messages", messages)
	runtime.KeepAlive(b)
}
