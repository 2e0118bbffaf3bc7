//go:build !linux

package command

import "testing"

// terminated skips the test: a signal to this process would end it here.
func terminated(t *testing.T) (end func()) {
	t.Skip("NOT SHOWN: the end of a server by a signal: only on Linux")
	return nil
}
