package monitor

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"datablock"

	"datablock/internal/core/coretest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const fewFiles = "DATABLOCK_TEST_FEW_FILES"

// TestMoreBlocksThanFilesMayBeOpen: the blocks that are not kept open are opened for each sample.
func TestMoreBlocksThanFilesMayBeOpen(t *testing.T) {
	if dir := os.Getenv(fewFiles); dir != "" {
		limit := unix.Rlimit{Cur: 40, Max: 40}
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		m := watch(t, Options{Directory: dir})
		for range 3 {
			v := m.Sample()
			require.Len(t, v.Blocks, 100)
			for _, b := range v.Blocks {
				require.NoError(t, b.Problem)
			}
		}
		assert.Greater(t, len(m.tracks["block099"].history.points), 1, "the history goes on")
		assert.Less(t, m.open, 40)
		return
	}
	dir := place(t)
	for i := range 100 {
		write(t, producer(t, fmt.Sprintf("block%03d", i), configIn(dir, 4)), 1)
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), fewFiles+"="+dir)
	out, err := c.CombinedOutput()
	assert.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "--- PASS")
}

func TestABlockOfAnotherUserIsShownAsThat(t *testing.T) {
	dir := place(t)
	require.NoError(t, os.Chmod(dir, 0o755))
	producer(t, "mine", configIn(dir, 4))
	open := configIn(dir, 4)
	open.Mode = 0o646
	producer(t, "yours", open)
	coretest.AsNobody(t, func() {
		m := watch(t, Options{Directory: dir})
		v := m.Sample()
		if assert.Len(t, v.Blocks, 2) {
			assert.ErrorIs(t, v.Find("mine").Problem, datablock.ErrAccess)
			assert.NoError(t, v.Find("yours").Problem)
			assert.Equal(t, "live", v.Find("yours").State)
		}
	})
}

// TestAMonitorIsNoParticipant: it changes no byte of either file.
func TestAMonitorIsNoParticipant(t *testing.T) {
	dir := place(t)
	p := producer(t, "x", configIn(dir, 4))
	write(t, p, 3)
	consumer(t, "x", dir, datablock.Lossless)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	content := func() (all string) {
		for _, e := range entries {
			b, err := os.ReadFile(dir + "/" + e.Name())
			require.NoError(t, err)
			all += string(b)
		}
		return all
	}
	before := content()
	m := watch(t, Options{Directory: dir})
	for range 5 {
		only(t, m)
	}
	assert.True(t, before == content(), "a byte has changed")
	m.Close()
	assert.True(t, before == content(), "a byte has changed")
}
