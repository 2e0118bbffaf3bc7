package platform

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestARefusalThatOwnersAndModesDoNotExplain is the refusal of a filter, as a container's profile
// has it.
func TestARefusalThatOwnersAndModesDoNotExplain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "block")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	for name, err := range map[string]error{
		"open":   denied(path, unix.O_RDWR, unix.EPERM),
		"create": denied(path+"2", unix.O_RDWR|unix.O_CREAT, unix.EPERM),
		"unlink": deniedName(path, path, unix.EPERM),
		"rename": deniedName("", path, unix.EACCES),
	} {
		var found *Denied
		require.ErrorAs(t, err, &found, name)
		assert.ErrorIs(t, err, fs.ErrPermission, name)
		assert.False(t, found.ByMode, name)
		assert.Contains(t, err.Error(), "owner and modes allow it: a filter of system calls (seccomp)", name)
	}
	assert.Equal(t, unix.ENOENT, denied(path, 0, unix.ENOENT), "no refusal")
	assert.Equal(t, unix.EEXIST, deniedName(path, path, unix.EEXIST))
}

func TestARefusalBecauseOfTheDirectorySaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := CreateFile(filepath.Join(file, "block"), 0o600)
	assert.ErrorIs(t, err, unix.ENOTDIR)
	assert.ErrorContains(t, err, "give the path of a directory")

	err = explain("open", unix.EROFS) // only root could mount such a file system
	assert.ErrorIs(t, err, unix.EROFS)
	assert.ErrorContains(t, err, "a producer and a consumer write into the directory: use another")
}

func TestTheOffsetOfATimeNamespaceIsRead(t *testing.T) {
	for text, want := range map[string]struct {
		ahead int64
		known bool
	}{
		"monotonic           0         0\nboottime            0         0\n": {0, true},
		"monotonic       86400       500\nboottime           7         0\n":  {86400_000000500, true},
		"monotonic       -3600 999999999\n":                                  {-3600_000000000 + 999999999, true},
		"boottime            7         0\n":                                  {0, false},
		"monotonic           x         0\n":                                  {0, false},
		"":                                                                   {0, false},
	} {
		ahead, known := monotonicOffset(text)
		assert.Equal(t, want.known, known, text)
		if known {
			assert.Equal(t, want.ahead, ahead, text)
		}
	}
	_, known := monotonicOffset("monotonic 99999999999999 0\n")
	assert.False(t, known, "more than a time has room for")
	_, known = ClockAhead()
	assert.True(t, known)
	assert.NotZero(t, PIDNamespace())
}
