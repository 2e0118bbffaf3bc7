//go:build linux && crashpoints

package platform

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"unsafe" // reads beside a mapping

	"github.com/stretchr/testify/require"
)

// faultOf is the address of the fault that reading it raises, 0 if none.
func faultOf(address unsafe.Pointer) (at uintptr) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		err, _ := recover().(error)
		var fault interface{ Addr() uintptr }
		if errors.As(err, &fault) {
			at = fault.Addr()
		}
	}()
	_ = *(*byte)(address)
	return 0
}

func TestBesideAGuardedMappingNothingCanBeRead(t *testing.T) {
	guarded = true
	defer func() { guarded = os.Getenv("DATABLOCK_TEST_GUARD") != "" }()
	f, err := CreateFile(filepath.Join(t.TempDir(), "file"), 0o600)
	require.NoError(t, err)
	defer f.Close()
	size := 3 * os.Getpagesize()
	require.NoError(t, f.Reserve(int64(size)))
	m, err := f.Map(int64(size), true, true)
	require.NoError(t, err)
	m[0], m[size-1] = 1, 2
	start := unsafe.Pointer(unsafe.SliceData(m))
	require.Zero(t, faultOf(start))
	for _, beside := range []int{-1, -guardPages * os.Getpagesize(), size, size + guardPages*os.Getpagesize() - 1} {
		address := unsafe.Add(start, beside)
		require.Equal(t, uintptr(address), faultOf(address))
		require.True(t, InGuard(uintptr(address)))
	}
	require.False(t, InGuard(uintptr(start)))
	Unmap(m)
	require.True(t, InGuard(uintptr(start)-1), "who asks may have closed the file")
	require.False(t, InGuard(uintptr(start)))
	forget(uintptr(start), 1) // another mapping is there
	require.False(t, InGuard(uintptr(start)-1))
	_, found := reservations.Load(uintptr(start))
	require.False(t, found)
}
