package process_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// block is the block's name in all scenarios. Each scenario has a directory of its own.
const block = "x"

// ring is the usual length of the ring, capacity the usual size of a slot in bytes.
const (
	ring     = 8
	capacity = 256
)

// fixture is a directory with its block and its workers.
type fixture struct {
	t        testing.TB
	dir      string
	slotSize int // bytes, for the block and for the check of its messages

	launched  func(*worker, launch) // is called for every started worker
	meanwhile func()                // is called while the test waits for a worker
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	dir, err := os.MkdirTemp(memory, "datablock-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // after the end of the workers: cleanups run in reverse order
	return &fixture{t: t, dir: dir, slotSize: capacity}
}

func (b *fixture) launch(l launch) *worker {
	b.t.Helper()
	l.args = append([]string{block, "--dir=" + b.dir}, l.args...)
	l.meanwhile = b.meanwhile
	w := start(b.t, l)
	if b.launched != nil {
		b.launched(w, l)
	}
	return w
}

// producerArgs returns the arguments for the usual block. Arguments in extra take precedence.
func (b *fixture) producerArgs(extra ...string) []string {
	return withDefaults(extra, fmt.Sprintf("--slots=%d", ring), fmt.Sprintf("--slot-size=%d", b.slotSize))
}

func (b *fixture) consumerArgs(extra ...string) []string {
	return withDefaults(extra, fmt.Sprintf("--slot-size=%d", b.slotSize))
}

func withDefaults(given []string, defaults ...string) []string {
	for _, d := range defaults {
		key, _, _ := strings.Cut(d, "=")
		if !strings.Contains(" "+strings.Join(given, " "), " "+key+"=") {
			given = append(given[:len(given):len(given)], d)
		}
	}
	return given
}

func (b *fixture) producer(language string, extra ...string) *worker {
	b.t.Helper()
	return b.launch(launch{language: language, role: "produce", args: b.producerArgs(extra...)}).attached()
}

func (b *fixture) consumer(language, delivery string, extra ...string) *worker {
	b.t.Helper()
	return b.launch(launch{language: language, role: "consume",
		args: b.consumerArgs(append(extra, "--delivery="+delivery)...)}).attached()
}

// recover runs one repair and returns its result.
func (b *fixture) recover(language string, args ...string) (result int) {
	b.t.Helper()
	w := b.launch(launch{language: language, role: "recover", args: args})
	_, err := fmt.Sscanf(w.expect("result"), "result %d", &result)
	require.NoError(b.t, err)
	w.exited(0)
	return result
}

func (b *fixture) files() (names []string) {
	b.t.Helper()
	entries, err := os.ReadDir(b.dir)
	require.NoError(b.t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// leavesNothing removes the block after all participants have closed. Everything that dead
// processes left is garbage that can be collected, and nothing else remains.
func (b *fixture) leavesNothing() {
	b.t.Helper()
	b.unlink()
	_, err := segment.CollectGarbage(b.dir)
	require.NoError(b.t, err)
	b.swept()
	assert.Empty(b.t, b.files(), "files left behind")
}

// leavesNoGarbage removes the block if no process has died: there is nothing to collect.
func (b *fixture) leavesNoGarbage() {
	b.t.Helper()
	b.unlink()
	b.swept()
	assert.Empty(b.t, b.files(), "files left behind")
}

func (b *fixture) unlink() {
	b.t.Helper()
	if err := recovery.Unlink(block, b.dir, 0); status.CodeOf(err) != status.NotFound {
		require.NoError(b.t, err)
	}
}

func (b *fixture) diagnosis() *recovery.Diagnosis {
	b.t.Helper()
	d, err := recovery.Diagnose(block, b.dir)
	require.NoError(b.t, err)
	return d
}

// claimedSlot returns the slot of the open claim.
func (b *fixture) claimedSlot() uint32 {
	b.t.Helper()
	for _, s := range b.diagnosis().Slots {
		if s.State == recovery.SlotWriting {
			return s.Index
		}
	}
	b.t.Fatal("the diagnosis shows no claim")
	return 0
}

// row returns the participant with this pid, or false.
func (b *fixture) row(pid int) (recovery.RowInfo, bool) {
	b.t.Helper()
	for _, r := range b.diagnosis().Rows {
		if r.PID == uint64(pid) {
			return r, true
		}
	}
	return recovery.RowInfo{}, false
}

func (b *fixture) dataPath() string { return filepath.Join(b.dir, block) }

// controlPath returns the control file that the data file names.
func (b *fixture) controlPath() string {
	b.t.Helper()
	id := make([]byte, layout.BlockIDLen)
	b.pread(b.dataPath(), id, layout.HdrBlockID)
	return b.dataPath() + "." + hex.EncodeToString(id) + ".ctl"
}

func (b *fixture) pread(path string, p []byte, offset int64) {
	b.t.Helper()
	f, err := os.Open(path)
	require.NoError(b.t, err)
	defer f.Close()
	_, err = f.ReadAt(p, offset)
	require.NoError(b.t, err, "%s at %d", path, offset)
}

// word reads a word of a file of the block. The file and a mapping of it are the same memory.
func (b *fixture) word(path string, offset int64) uint64 {
	b.t.Helper()
	p := make([]byte, 8)
	b.pread(path, p, offset)
	return binary.LittleEndian.Uint64(p)
}

func (b *fixture) poke(path string, offset int64, value uint64) {
	b.t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(b.t, err)
	defer f.Close()
	_, err = f.WriteAt(binary.LittleEndian.AppendUint64(nil, value), offset)
	require.NoError(b.t, err)
}

// asleep waits until a consumer sleeps: the consumer has set its waiting bit, and none of its
// threads runs.
func (b *fixture) asleep(w *worker) {
	b.t.Helper()
	row, found := b.row(w.pid())
	require.True(b.t, found, "%s has no row", w.what)
	control := b.controlPath()
	eventually(b.t, func() bool {
		return b.word(control, layout.CtlWaiting)&(1<<(row.Row%64)) != 0 && idle(w.pid())
	}, "%s falls asleep", w.what)
}

// heldUp waits until the producer sleeps because of backpressure.
func (b *fixture) heldUp(w *worker) {
	b.t.Helper()
	eventually(b.t, func() bool { return b.word(b.dataPath(), layout.ProducerWaiting) != 0 && idle(w.pid()) },
		"%s is held up", w.what)
}

// asRoot skips a test that needs privileges, and reports what was not tested.
func asRoot(t testing.TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("NOT SHOWN: %s needs root", why)
	}
}

// permitted skips a test that this machine forbids even to root, as some containers do.
func permitted(t testing.TB, err error, what string) {
	t.Helper()
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("NOT SHOWN: %s is not permitted here: %v", what, err)
	}
}
