package recovery

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/core/coretest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// keep makes a closed block with messages 0 to 7. The durable consumer "recorder" has read the
// first read of them.
func (b fixture) keep(name string, read int) (data, control string) {
	b.t.Helper()
	p, err := channel.OpenProducer(name, b.config(segment.Ring, 16))
	require.NoError(b.t, err)
	c, err := channel.OpenConsumer(name, segment.ConsumerOptions{Directory: b.dir, Delivery: segment.Lossless,
		Durable: true, Name: "recorder",
		Start: segment.StartOldest})
	require.NoError(b.t, err)
	write(b.t, p, 8)
	idsOf(b.t, c, read)
	data, control = p.Location.DataPath(), p.ControlPath(p.ID)
	require.NoError(b.t, c.Close())
	require.NoError(b.t, p.Close())
	return data, control
}

// stillKept asserts that nothing of such a block was lost.
func (b fixture) stillKept(name string, read int) {
	b.t.Helper()
	c, err := channel.OpenConsumer(name, segment.ConsumerOptions{Directory: b.dir, Delivery: segment.Lossless,
		Durable: true, Name: "recorder"})
	require.NoError(b.t, err, name)
	for id := uint64(read); id < 8; id++ {
		s, err := c.Next(0)
		require.NoError(b.t, err)
		require.Equal(b.t, id, s.ID())
		require.NoError(b.t, c.Release(s))
	}
	_, err = c.Next(0)
	assert.ErrorIs(b.t, err, status.Closed)
	require.NoError(b.t, c.Close())
}

func (b fixture) gc() []string {
	b.t.Helper()
	removed, err := segment.CollectGarbage(b.dir)
	require.NoError(b.t, err)
	return removed
}

func (b fixture) recoverNamed(name string, dry bool) (steps []RecoveryStep) {
	b.t.Helper()
	_, err := AutoRecover(name, b.dir, dry, func(s RecoveryStep) { steps = append(steps, s) })
	require.NoError(b.t, err)
	return steps
}

func move(t testing.TB, from, to string) {
	t.Helper()
	require.NoFileExists(t, to)
	require.NoError(t, os.Rename(from, to))
}

func swap(t testing.TB, a, b string) {
	t.Helper()
	move(t, a, a+".aside")
	move(t, b, a)
	move(t, a+".aside", b)
}

func copyOf(t testing.TB, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, content, 0o600))
}

func damageByte(t testing.TB, path string, at ...int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	for _, a := range at {
		flip(t, f, a, 0xff)
	}
}

func TestCollectionLeavesWhatRepairCanMend(t *testing.T) {
	for _, at := range []int64{0, 5, 7, 8, 12, 20, 32, 33, 47, 60, 100, 140, 265, 545} {
		b := newFixture(t)
		data, _ := b.keep("x", 3)
		f, err := os.OpenFile(data, os.O_RDWR, 0)
		require.NoError(t, err)
		flip(t, f, at, 1)
		require.NoError(t, f.Close())
		assert.Empty(t, b.gc(), "byte %d", at)
		result, _ := b.repair(false)
		require.Equal(t, RecoverySuccess, result, "byte %d", at)
		b.stillKept("x", 3)
	}
}

func TestCollectionLeavesARenamedBlock(t *testing.T) {
	for name, collect := range map[string]func(b fixture){
		"gc": func(b fixture) { assert.Empty(b.t, b.gc()) },
		"auto-recover": func(b fixture) {
			for _, dry := range []bool{true, false} {
				steps := b.recoverNamed("x.old", dry)
				require.Equal(b.t, []StepKind{StepAttend}, kindsOf(steps))
				assert.Contains(b.t, steps[0].Text, `holds the block "x": it was renamed: give it its name back`)
			}
		},
		"the next producer": func(b fixture) { b.keep("x", 0); require.NoError(b.t, Unlink("x", b.dir, 0)) },
		"damaged meanwhile": func(b fixture) {
			damageByte(b.t, filepath.Join(b.dir, "x.old"), 3, 40, 300) // magic, id and name
			f, err := os.OpenFile(filepath.Join(b.dir, "x.old"), os.O_RDWR, 0)
			require.NoError(b.t, err)
			defer f.Close()
			flip(b.t, f, 3, 0xff)
			assert.Empty(b.t, b.gc(), "its magic speaks for it")
			flip(b.t, f, 3, 0xff)
			flip(b.t, f, 40, 0xff)
			assert.Empty(b.t, b.gc(), "its id speaks for it")
			flip(b.t, f, 40, 0xff)
			flip(b.t, f, 300, 0xff)
			assert.Empty(b.t, b.gc(), "its name speaks for it")
			flip(b.t, f, 3, 0xff)
			flip(b.t, f, 40, 0xff)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			data, _ := b.keep("x", 3)
			move(t, data, data+".old")
			collect(fixture{t, b.dir})
			move(t, data+".old", data)
			b.stillKept("x", 3)
		})
	}
}

func TestNothingIsCollectedAfterAFailedRepair(t *testing.T) {
	t.Run("exchanged data files", func(t *testing.T) {
		b := newFixture(t)
		first, _ := b.keep("a", 2)
		second, _ := b.keep("b", 5)
		swap(t, first, second)
		before := b.contents()
		for _, name := range []string{"a", "b"} {
			for _, dry := range []bool{true, false} {
				steps := b.recoverNamed(name, dry)
				require.Equal(t, []StepKind{StepAttend}, kindsOf(steps))
				assert.Contains(t, steps[0].Text, "the two were exchanged: exchange their names again")
			}
		}
		assert.Empty(t, b.gc())
		assert.Equal(t, before, b.contents())
		swap(t, first, second)
		b.stillKept("a", 2)
		b.stillKept("b", 5)
	})
	t.Run("two damaged bytes", func(t *testing.T) {
		b := newFixture(t)
		data, _ := b.keep("x", 2)
		damageByte(t, data, 36, 60)
		before := b.contents()
		for _, dry := range []bool{true, false} {
			assert.Equal(t, []StepKind{StepAttend}, kindsOf(b.recoverNamed("x", dry)))
		}
		assert.Empty(t, b.gc())
		assert.Equal(t, before, b.contents())
		damageByte(t, data, 36, 60)
		b.stillKept("x", 2)
	})
}

func TestOnlyFilesOfThisLibraryAreCollected(t *testing.T) {
	b := newFixture(t)
	id := strings.Repeat("0123456789abcdef", 2)
	path := func(name, suffix string) string { return filepath.Join(b.dir, name+"."+id+suffix) }
	require.NoError(t, os.WriteFile(path("backup", ".ctl"), []byte("a text"), 0o600))
	require.NoError(t, os.WriteFile(path("notes", ".tmp.ctl"), []byte("a text"), 0o600))
	require.NoError(t, os.WriteFile(path("alone", ".tmp.ctl"), nil, 0o600))
	require.NoError(t, os.WriteFile(path("lock", ".ctl"), nil, 0o644))
	require.NoError(t, os.Chmod(path("lock", ".ctl"), 0o644))
	before := b.contents()
	require.NoError(t, unix.Mkfifo(path("pipe", ".ctl"), 0o600))
	require.NoError(t, os.Symlink("nowhere", path("link", ".ctl")))
	assert.Empty(t, b.gc())
	for _, name := range []string{"backup", "notes", "alone", "lock", "pipe", "link"} {
		assert.Empty(t, leftovers(segment.Location{Directory: b.dir, Name: name}, segment.BlockID{}))
	}
	require.NoError(t, os.Remove(path("link", ".ctl")))
	require.NoError(t, os.Remove(path("pipe", ".ctl")))
	assert.Equal(t, before, b.contents())

	data, control := b.keep("x", 0)
	require.NoError(t, os.Remove(data))
	move(t, control, path("x", ".ctl"))
	assert.Empty(t, b.gc(), "a control file under the name of another id is no garbage of that one")
}

func TestWhatCannotBeAskedRemovesNothing(t *testing.T) {
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	data := p.Location.DataPath()
	move(t, data, p.TemporaryPath(p.ID)) // as just before it is published
	stray := segment.Location{Directory: b.dir, Name: "gone"}.ControlPath(segment.BlockID{1, 2, 3})
	require.NoError(t, os.WriteFile(stray, nil, 0o600))
	b.keep("other", 0)
	for free := range 4 {
		f, err := os.Open("/dev/null")
		require.NoError(t, err)
		few := limit
		few.Cur = uint64(int(f.Fd()) + free)
		require.NoError(t, f.Close())
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
		removed, _ := segment.CollectGarbage(b.dir)
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		assert.NotContains(t, fmt.Sprint(removed), "tmp.ctl", "%d descriptors", free)
		assert.FileExists(t, p.TemporaryPath(p.ID))
		assert.FileExists(t, p.ControlPath(p.ID))
	}
	move(t, p.TemporaryPath(p.ID), data)
	write(t, p, 1)
	b.gc()
	assert.NoFileExists(t, stray)
}

func TestNoControlFileIsLeftOfARemovedBlock(t *testing.T) {
	for name, remove := range map[string]func(b fixture, p *channel.Producer){
		"unlink":   func(b fixture, _ *channel.Producer) { require.NoError(b.t, Unlink("x", b.dir, segment.Force)) },
		"on close": func(b fixture, p *channel.Producer) { require.NoError(b.t, p.Close()) },
		"replace": func(b fixture, p *channel.Producer) {
			config := b.config(segment.Ring, 8)
			config.Flags |= segment.Replace | segment.Force
			q, err := channel.OpenProducer("x", config)
			require.NoError(b.t, err)
			assert.NoFileExists(b.t, p.ControlPath(p.ID))
			require.NoError(b.t, q.Close())
			require.NoError(b.t, Unlink("x", b.dir, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			config := b.config(segment.Ring, 4)
			config.Flags |= segment.UnlinkOnClose
			p, err := channel.OpenProducer("x", config)
			require.NoError(t, err)
			c, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Ordered})
			require.NoError(t, err)
			write(t, p, 1)
			remove(fixture{t, b.dir}, p)
			assert.EqualValues(t, 0, read(t, c).ID(), "who is attached reads on")
			die(c.Attachment)
			if p.Data != nil {
				die(p.Attachment)
			}
			left, err := os.ReadDir(b.dir)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

func TestARefusedRemovalChangesNothing(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Mode = 0o660
	p := b.producer(config)
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	for _, path := range []string{p.Location.DataPath(), p.ControlPath(p.ID)} {
		require.NoError(t, os.Chown(path, -1, 65534))
	}
	require.NoError(t, os.Chmod(b.dir, 0o777|os.ModeSticky))
	s, err := p.Claim(0)
	require.NoError(t, err)
	before := b.contents()
	coretest.AsNobody(t, func() {
		assert.ErrorIs(t, Unlink("x", b.dir, segment.Force), status.Access)
		forced := config
		forced.Flags |= segment.Replace | segment.Force
		_, err := channel.OpenProducer("x", forced)
		assert.ErrorIs(t, err, status.Access)
	})
	assert.Equal(t, before, b.contents())
	assert.NoError(t, p.Commit(s, 0), "the claim of the living producer is its own")
	_, err = c.Next(0)
	assert.NoError(t, err)
	require.NoError(t, os.Chmod(b.dir, 0o777))
	coretest.AsNobody(t, func() { assert.NoError(t, Unlink("x", b.dir, segment.Force), "in a directory that lets it") })
}

// TestAMountPointIsRefusedBeforeAnythingIsDone: the system neither removes a mounted data file nor
// gives its name to another.
func TestAMountPointIsRefusedBeforeAnythingIsDone(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	path := p.Location.DataPath()
	if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("this test mounts a file: %v", err)
	}
	defer func() { require.NoError(t, unix.Unmount(path, unix.MNT_DETACH)) }()
	s, err := p.Claim(0)
	require.NoError(t, err)
	before := b.contents()
	assert.ErrorContains(t, Unlink("x", b.dir, segment.Force), "mount point")
	config.SlotSize, config.Flags = 128, segment.Replace|segment.Force
	_, err = channel.OpenProducer("x", config)
	assert.ErrorContains(t, err, "mount point")
	assert.Equal(t, before, b.contents())
	require.NoError(t, p.Commit(s, 8), "the claim of the living producer is its own")
	assert.EqualValues(t, 0, read(t, c).ID())
}

func TestRepairCutsTheFileThatItJudged(t *testing.T) {
	for _, half := range []string{"data", "control"} {
		t.Run(half, func(t *testing.T) {
			b := newFixture(t)
			data, control := b.keep("x", 0)
			path := map[string]string{"data": data, "control": control}[half]
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, os.Truncate(path, info.Size()+4096))
			victim := filepath.Join(coretest.Directory(t), "important")
			require.NoError(t, os.WriteFile(victim, make([]byte, 1<<20), 0o600))
			x, err := openInspection(segment.Location{Directory: b.dir, Name: "x"}, true)
			require.NoError(t, err)
			defer x.close()
			x.inspect()
			move(t, path, path+".aside")
			require.NoError(t, os.Symlink(victim, path))
			r := repairRun{name: "x"}
			require.NoError(t, r.header(x))
			unharmed, err := os.Stat(victim)
			require.NoError(t, err)
			assert.EqualValues(t, 1<<20, unharmed.Size())
			cut, err := os.Stat(path + ".aside")
			require.NoError(t, err)
			assert.Equal(t, info.Size(), cut.Size())
		})
	}
}

func TestCollectionIsQuickInACrowd(t *testing.T) {
	b := newFixture(t)
	for i := range 300 {
		require.NoError(t, os.WriteFile(
			segment.Location{Directory: b.dir, Name: fmt.Sprintf("n%d", i)}.ControlPath(segment.BlockID{byte(i),
				byte(i >> 8), 1}), nil, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, fmt.Sprintf("foreign%d", i)), make([]byte, 8192), 0o600))
	}
	start := time.Now()
	assert.Len(t, b.gc(), 300)
	assert.Less(t, time.Since(start), 5*time.Second)
}

// TestADamagedMagicIsNoReasonToRemove: a control file lies beside the data file, so that the error
// advises a validation, and not the removal of a block that can be repaired.
func TestADamagedMagicIsNoReasonToRemove(t *testing.T) {
	b := newFixture(t)
	b.full(4)
	flip(t, b.open(false), 0, 0xff)
	_, err := Diagnose("x", b.dir)
	require.ErrorIs(t, err, status.Corrupt)
	assert.ErrorContains(t, err, "datablock-admin validate")
	assert.NotContains(t, err.Error(), "remove it if nobody needs it")
}

// TestAFencedConsumerIsNamed: the evicting process has emptied the row.
func TestAFencedConsumerIsNamed(t *testing.T) {
	b := newFixture(t)
	b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, Name: "viewer"})
	_, err := EvictConsumer("x", b.dir, c.Row, true)
	require.NoError(t, err)
	_, err = c.Next(0)
	require.ErrorIs(t, err, status.Fenced)
	assert.ErrorContains(t, err, `consumer "viewer"`)
}
