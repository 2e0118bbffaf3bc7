package channel

import (
	"os"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"
)

// Only Linux truncates a file that a process has mapped. Windows refuses it:
// TestAMappedFileKeepsItsSize in internal/platform.

func TestACloseThatMeetsATruncatedFileLeavesNoClaim(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 8))
	s, err := p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(p.Location.DataPath(), 0))
	require.Panics(t, func() { _ = p.Close() })
	require.ErrorIs(t, p.Commit(s, 1), status.Invalid)
	require.ErrorIs(t, p.Abort(s), status.Invalid)
	require.ErrorIs(t, p.Close(), status.Closed)
}
