package datablock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"testing"
	"time"

	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The public types are separate from the types of core. These tests find a field of core that a
// conversion leaves out.

func TestConversionsLeaveNoFieldOut(t *testing.T) {
	copied(t, (*Config).inner)
	copied(t, (*ConsumerOptions).inner)
	copied(t, (*ObserverOptions).inner)
	copied(t, publicMetrics)
	copied(t, publicParticipant)
	copied(t, publicDiagnosis)
	copied(t, publicIntegrity)
	copied(t, publicStep)
}

// copied fills every field with another value, and compares both sides by the names of the fields.
func copied[From, To any](t *testing.T, convert func(*From) To) {
	t.Helper()
	var from From
	n := 0
	fill(reflect.ValueOf(&from).Elem(), &n, 0)
	require.Greater(t, n, 3)
	want, err := json.MarshalIndent(from, "", " ")
	require.NoError(t, err)
	got, err := json.MarshalIndent(convert(&from), "", " ")
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "%T", from)
}

// fill gives each exported field another value, which it counts.
func fill(v reflect.Value, n *int, depth int) {
	if depth > 5 || !v.CanSet() { // a schema has layouts in layouts
		return
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		*n++
		v.Set(reflect.ValueOf(time.Unix(int64(*n), 0)))
		return
	}
	switch {
	case v.CanUint():
		*n++
		v.SetUint(uint64(*n) & 0xff)
	case v.CanInt():
		*n++
		v.SetInt(int64(*n))
	case v.Kind() == reflect.String:
		*n++
		v.SetString(fmt.Sprint("text ", *n))
	case v.Kind() == reflect.Bool:
		*n++
		v.SetBool(true)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n, depth+1)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n, depth+1)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n, depth+1)
		}
	}
}

func TestTheErrorsAreTheSameBytes(t *testing.T) {
	public, inner := reflect.TypeFor[Error](), reflect.TypeFor[status.Error]()
	require.Equal(t, inner.NumField(), public.NumField())
	for i := range inner.NumField() {
		want, got := inner.Field(i), public.Field(i)
		assert.Equal(t, want.Name, got.Name)
		assert.Equal(t, want.Offset, got.Offset, want.Name)
		assert.Equal(t, want.Type.Kind(), got.Type.Kind(), want.Name)
		assert.Equal(t, want.Type.Size(), got.Type.Size(), want.Name)
	}
}

func TestEveryErrorOfCoreBecomesPublic(t *testing.T) {
	assert.NoError(t, public(nil))
	assert.Equal(t, fs.ErrExist, public(fs.ErrExist), "an error of somebody else")
	assert.Equal(t, ErrClosed, public(status.Closed))

	inner := &status.Error{Code: status.Corrupt, Detail: "text",
		Cause: &status.Error{Code: status.NotFound, Detail: "behind it", Cause: fs.ErrNotExist}}
	err := public(inner)
	assert.Equal(t, err, public(err))
	assert.EqualError(t, err, "text")
	assert.Equal(t, ErrCorrupt, CodeOf(err))
	assert.Equal(t, ErrCorrupt, CodeOf(fmt.Errorf("wrapped: %w", err)))
	var as *Error
	require.ErrorAs(t, err, &as)
	assert.Equal(t, ErrCorrupt, as.Code)
	var code Code
	require.ErrorAs(t, err, &code)
	for _, target := range []error{ErrCorrupt, ErrNotFound, fs.ErrNotExist} {
		assert.ErrorIs(t, err, target)
	}
	assert.NotErrorIs(t, err, ErrTimeout)
	for _, behind := range as.Unwrap() {
		_, isInner := behind.(*status.Error)
		assert.False(t, isInner, "%T", behind)
	}
}

// TestAPollThatFindsNothingAllocatesNothing: the errors of polls are made once.
func TestAPollThatFindsNothingAllocatesNothing(t *testing.T) {
	config := DefaultConfig(Ring)
	config.SlotSize, config.Directory = 64, t.TempDir()
	p, err := OpenProducer("x", config)
	require.NoError(t, err)
	defer p.Close()
	c, err := OpenConsumer("x", ConsumerOptions{Directory: config.Directory})
	require.NoError(t, err)
	defer c.Close()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := c.Next(0); !errors.Is(err, ErrTimeout) || CodeOf(err) != ErrTimeout {
			panic(err)
		}
	}))
}

// TestTheErrorsOfParticipantsArePublic: the calls that are inlined get their errors from core as
// they are.
func TestTheErrorsOfParticipantsArePublic(t *testing.T) {
	config := DefaultConfig(Ring)
	config.SlotSize, config.SlotCount, config.Directory = 64, 1, t.TempDir()
	p, err := OpenProducer("x", config)
	require.NoError(t, err)
	c, err := OpenConsumer("x", ConsumerOptions{Directory: config.Directory})
	require.NoError(t, err)
	isPublic := func(want Code, err error) {
		t.Helper()
		assert.IsType(t, &Error{}, err)
		assert.ErrorIs(t, err, want)
	}
	_, err = p.Claim(-2)
	isPublic(ErrInvalid, err)
	isPublic(ErrInvalid, p.Commit(WriteSlot{}, 0))
	slot, err := p.Claim(0)
	require.NoError(t, err)
	isPublic(ErrInvalid, p.Commit(slot, 65))
	require.NoError(t, p.Abort(slot))
	for _, timeout := range []time.Duration{-2, 0, 1} {
		_, err = c.Next(timeout)
		isPublic(map[bool]Code{true: ErrInvalid, false: ErrTimeout}[timeout < 0], err)
		_, err = c.BeginNext(timeout)
		isPublic(map[bool]Code{true: ErrInvalid, false: ErrTimeout}[timeout < 0], err)
	}
	isPublic(ErrInvalid, c.Release(ReadSlot{}))
	guard, err := p.BeginWrite(0)
	require.NoError(t, err)
	isPublic(ErrInvalid, guard.Slot().Commit(65))
	isPublic(ErrInvalid, guard.Close())
	isPublic(ErrInvalid, guard.Commit())
	_, err = p.Write(make([]byte, 8), 0)
	require.NoError(t, err)
	_, err = p.BeginWrite(0) // the consumer has the only slot
	isPublic(ErrTimeout, err)
	message, err := c.BeginNext(0)
	require.NoError(t, err)
	_, err = c.Next(0)
	isPublic(ErrBusy, err)
	_, there, err := WithNextSlot(c, 0, func(*ReadTransactionSlot) (int, error) { return 0, nil })
	isPublic(ErrBusy, err)
	assert.False(t, there)
	_, err = EvictConsumer("x", config.Directory, 1, true)
	require.NoError(t, err)
	isPublic(ErrFenced, message.Close())
	require.NoError(t, p.Close())
	_, err = p.Claim(0)
	isPublic(ErrClosed, err)
	_ = c.Close()
	_, err = c.Next(0)
	isPublic(ErrClosed, err)
}

// TestNoCauseIsAnInternalError: a caller that looks at Cause finds an error of another package,
// whose type the caller can import.
func TestNoCauseIsAnInternalError(t *testing.T) {
	dir := t.TempDir()
	config := DefaultConfig(Ring)
	config.Directory, config.SlotSize = dir, 64
	p, err := OpenProducer("x", config)
	require.NoError(t, err)
	defer p.Close()
	_, missing := DiagnoseSlot("absent", dir, 0)
	_, slot := DiagnoseSlot("x", dir, 9999)
	_, row := EvictConsumer("x", dir, 9999, false)
	for _, err := range []error{missing, slot, row} {
		var e *Error
		require.ErrorAs(t, err, &e)
		for cause := e.Cause; cause != nil; cause = errors.Unwrap(cause) {
			require.NotContains(t, fmt.Sprintf("%T", cause), "status.", "%v", err)
		}
	}
}
