//go:build windows

package platform

import (
	"testing"
	"unsafe" // the result of a system call

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

// openHandles is the number of handles that this process has.
func openHandles(t *testing.T) (count uint32) {
	ok, _, err := kernel32.NewProc("GetProcessHandleCount").Call(uintptr(windows.CurrentProcess()),
		uintptr(unsafe.Pointer(&count)))
	require.NotZero(t, ok, err)
	return count
}
