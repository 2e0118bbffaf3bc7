package recovery

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

func TestAnotherBlocksControlFileIsNeverAdopted(t *testing.T) {
	for name, change := range map[string]struct {
		do   func(t testing.TB, a, b string)
		says string
		undo func(t testing.TB, a, b string)
	}{
		"exchanged": {swap, "the two were exchanged", swap},
		"copied": {
			func(t testing.TB, a, b string) { move(t, a, a+".bak"); copyOf(t, b, a) }, "this block's",
			func(t testing.TB, a, _ string) { require.NoError(t, os.Rename(a+".bak", a)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			_, first := b.keep("a", 2)
			_, second := b.keep("b", 6)
			change.do(t, first, second)
			before := b.contents()
			for _, force := range []bool{false, true} {
				result, _, err := Repair("a", b.dir, force)
				assert.Equal(t, RecoveryFailed, result)
				assert.ErrorContains(t, err, "the control file of another block", name)
			}
			for _, dry := range []bool{true, false} {
				steps := b.recoverNamed("a", dry)
				require.Equal(t, []StepKind{StepAttend}, kindsOf(steps))
				assert.Contains(t, steps[0].Text, change.says)
			}
			_, err := channel.OpenProducer("a", b.config(segment.Ring, 16))
			assert.ErrorIs(t, err, status.Corrupt)
			assert.ErrorContains(t, err, change.says)
			assert.Empty(t, b.gc())
			assert.Equal(t, before, b.contents())
			change.undo(t, first, second)
			b.stillKept("a", 2)
			b.stillKept("b", 6)
		})
	}
	t.Run("of another geometry", func(t *testing.T) {
		b := newFixture(t)
		_, first := b.keep("a", 2)
		config := b.config(segment.Ring, 16)
		config.ConsumerLimit *= 4
		p, err := channel.OpenProducer("b", config)
		require.NoError(t, err)
		second := p.ControlPath(p.ID)
		require.NoError(t, p.Close())
		swap(t, first, second)
		before := b.contents()
		for _, name := range []string{"a", "b"} {
			result, _, _ := Repair(name, b.dir, true)
			assert.Equal(t, RecoveryFailed, result)
		}
		assert.Equal(t, before, b.contents(), "the larger one is not cut either")
		swap(t, first, second)
		b.stillKept("a", 2)
	})
}

func TestADamagedIdOfTheControlFileIsMended(t *testing.T) {
	b := newFixture(t)
	_, control := b.keep("x", 2)
	for _, at := range [][]int64{{20}, {16, 17, 18, 19, 20, 21, 22, 23}} {
		damageByte(t, control, at...)
		result, _ := b.repair(false)
		assert.Equal(t, RecoverySuccess, result)
	}
	f, err := os.OpenFile(control, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(make([]byte, layout.BlockIDLen), layout.CtlBlockID)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	result, _ := b.repair(false)
	assert.Equal(t, RecoverySuccess, result)
	b.stillKept("x", 2)
}

// TestAnOverwrittenControlFileIsDamaged: its bytes say nothing about another block.
func TestAnOverwrittenControlFileIsDamaged(t *testing.T) {
	for seed := range uint64(20) {
		b := newFixture(t)
		_, control := b.keep("x", 2)
		b.keep("y", 2)
		overwrite(t, control, rand.NewChaCha8([32]byte{byte(seed)}), 8192)
		i := b.validate()
		require.NotContains(t, i.Message(), "another block")
		require.Contains(t, i.Message(), "byte 0 of the header is")
		_, err := channel.OpenConsumer("x", segment.ConsumerOptions{Directory: b.dir})
		require.ErrorContains(t, err, "or damaged; see what can be repaired")
		result, left := b.repair(false)
		require.Equal(t, RecoverySuccess, result, "seed %d: %s", seed, left.Message())
		all := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, Start: segment.StartOldest})
		require.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6, 7}, idsOf(t, all, 8), "no message is lost")
		b.stillKept("y", 2)
	}
}

// A control file with a damaged beginning and the id of a block that is there is that block's.
func TestADamagedControlFileOfAnotherBlockIsNotAdopted(t *testing.T) {
	b := newFixture(t)
	_, control := b.keep("x", 2)
	_, its := b.keep("y", 2)
	copyOf(t, its, control)
	overwrite(t, control, rand.NewChaCha8([32]byte{}), layout.CtlBlockID)
	assert.Contains(t, b.validate().Message(), "the control file of another block")
	result, _ := b.repair(true)
	assert.Equal(t, RecoveryFailed, result)
}

func overwrite(t testing.TB, path string, with io.Reader, length int) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	bytes := make([]byte, length)
	_, err = io.ReadFull(with, bytes)
	require.NoError(t, err)
	_, err = f.WriteAt(bytes, 0)
	require.NoError(t, err)
}

// Whatever was done to the names, the advice fits, and following it overwrites no block.
func TestAdviceFitsWhatWasDoneToTheNames(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(t *testing.T, b fixture, data, control string)
		says  []string
		never string
	}{
		"renamed": {
			func(t *testing.T, _ fixture, data, _ string) { move(t, data, data+"2") },
			[]string{`x2 holds the block "x": it was renamed: give it its name back`}, "copy",
		},
		"copied": {
			func(t *testing.T, _ fixture, data, _ string) { copyOf(t, data, data+"2") },
			[]string{`x2 is a copy of the block "x", which is there as well: ` +
				`remove the copy if nobody needs it, and do not move it over `}, "give it its name back",
		},
		"the original is damaged": {
			func(t *testing.T, _ fixture, data, _ string) { copyOf(t, data, data+"2"); damageByte(t, data, 33) },
			[]string{`lies a file that is damaged, or no block: look at x first, and do not move this one over it`},
			"give it its name back",
		},
		"exchanged": {
			func(t *testing.T, b fixture, data, _ string) { b.keep("x2", 0); swap(t, data, data+"2") },
			[]string{"the two were exchanged: exchange their names again"}, "give it its name back",
		},
		"an earlier one put back": {
			func(t *testing.T, b fixture, data, control string) {
				move(t, data, data+"2")
				move(t, control, control+".bak")
				b.keep("x", 0)
			}, []string{`x2 is an earlier block of the name "x", which another block has by now: ` +
				`remove it if nobody needs it, and do not move it over `}, "give it its name back",
		},
		"three in a ring": {
			func(t *testing.T, b fixture, data, _ string) {
				b.keep("x2", 0)
				b.keep("x3", 0)
				swap(t, data, data+"2")
				swap(t, data, data+"3")
			}, []string{`x2 holds the block "x", under whose name lies the block "x3": ` +
				`give that one its own name back first, and overwrite nothing`}, "renamed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			data, control := b.keep("x", 0)
			c.do(t, b, data, control)
			if name == "renamed" {
				for what, err := range b.lookFor("x") {
					assert.ErrorIs(t, err, status.NotFound, what)
					assert.ErrorContains(t, err, "its data file has the name x2: give it its name back", what)
				}
			}
			i, err := ValidateIntegrity("x2", b.dir)
			require.NoError(t, err)
			_, openErr := channel.OpenConsumer("x2", segment.ConsumerOptions{Directory: b.dir})
			require.ErrorIs(t, openErr, status.Corrupt)
			for _, said := range []string{i.Message(), openErr.Error()} {
				for _, s := range c.says {
					assert.Contains(t, said, s)
				}
				assert.NotContains(t, said, c.never)
			}
		})
	}
}

// lookFor calls every function that opens a block by its name and creates none.
func (b fixture) lookFor(name string) map[string]error {
	all := map[string]error{}
	_, all["validate"] = ValidateIntegrity(name, b.dir)
	_, all["diagnose"] = Diagnose(name, b.dir)
	_, _, all["metrics"] = ReadMetrics(name, b.dir)
	_, all["log"] = RecoveryLog(name, b.dir)
	_, all["schema"] = segment.BlockSchema(name, b.dir)
	_, all["consumer"] = channel.OpenConsumer(name, segment.ConsumerOptions{Directory: b.dir})
	_, all["observer"] = channel.OpenObserver(name, channel.ObserverOptions{Directory: b.dir})
	_, all["evict"] = EvictConsumer(name, b.dir, 1, true)
	_, all["reset"] = ForceResetAllSlots(name, b.dir, true)
	_, all["clean up"] = CleanupDeadConsumers(name, b.dir, 0)
	_, all["recover"] = AutoRecover(name, b.dir, false, func(RecoveryStep) {})
	all["unlink"] = Unlink(name, b.dir, 0)
	return all
}

func TestAdviceFitsALostControlFile(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, b fixture, data, control string)
		says string
	}{
		"removed": {func(t *testing.T, _ fixture, _, control string) { require.NoError(t, os.Remove(control)) },
			"x and start the producer again"},
		"renamed": {func(t *testing.T, _ fixture, _, control string) { move(t, control, control+".bak") },
			".bak is it: give it its name back"},
		"the data file put back alone": {
			func(t *testing.T, b fixture, data, _ string) {
				copyOf(t, data, data+".bak")
				require.NoError(t, Unlink("x", b.dir, 0))
				b.keep("x", 0)
				require.NoError(t, os.Rename(data+".bak", data))
			}, "was put back, or copied, without its own: put back both files of one backup, or remove ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			data, control := b.keep("x", 0)
			c.do(t, b, data, control)
			for _, dry := range []bool{true, false} {
				steps := b.recoverNamed("x", dry)
				require.Equal(t, []StepKind{StepAttend}, kindsOf(steps))
				assert.Contains(t, steps[0].Text, "has lost its control file")
				assert.Contains(t, steps[0].Text, c.says)
			}
			_, err := channel.OpenConsumer("x", segment.ConsumerOptions{Directory: b.dir})
			assert.ErrorContains(t, err, c.says)
		})
	}
}

// A dry run and the real run after it report the same steps.
func TestADryRunSaysWhatTheRealOneDoes(t *testing.T) {
	living := func(b fixture) *channel.Producer {
		p := b.producer(b.config(segment.Ring, 16))
		write(b.t, p, 4)
		return p
	}
	for name, damage := range map[string]func(b fixture, data, control string){
		"header": func(b fixture, data, _ string) { damageByte(b.t, data, 70) },
		"renamed": func(b fixture, data, _ string) {
			b.keep("y", 0)
			require.NoError(b.t, os.Rename(filepath.Join(b.dir, "y"), data))
		},
		"no block": func(b fixture, data, _ string) {
			require.NoError(b.t, os.WriteFile(data, make([]byte, 1<<16),
				0o600))
		},
		"empty":     func(b fixture, data, _ string) { require.NoError(b.t, os.Truncate(data, 0)) },
		"control":   func(b fixture, _, control string) { require.NoError(b.t, os.Remove(control)) },
		"truncated": func(b fixture, _, control string) { require.NoError(b.t, os.Truncate(control, 4096)) },
		"leftovers": func(b fixture, data, _ string) {
			damageByte(b.t, data, 70)
			require.NoError(b.t, os.WriteFile(segment.Location{Directory: b.dir,
				Name: "x"}.ControlPath(segment.BlockID{1}), nil, 0o600))
		},
		"a living producer's ring": func(b fixture, _, _ string) {
			p := living(b)
			p.Entries[1].Store(p.Entries[1].Load() | 1<<20)
		},
		"both": func(b fixture, _, _ string) {
			p := living(b)
			p.Entries[1].Store(p.Entries[1].Load() | 1<<20)
			p.Data[layout.HdrSlotSize] ^= 1
			// While the header is damaged the stuck rows cannot be diagnosed.
			removed, err := CleanupDeadConsumers("x", b.dir, 0)
			require.ErrorIs(b.t, err, status.Corrupt)
			require.Zero(b.t, removed)
			p.ClearRow(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			data, control := b.keep("x", 8)
			damage(fixture{t, b.dir}, data, control)
			said := func(dry bool) (all []string) {
				for _, s := range b.recoverNamed("x", dry) {
					all = append(all, s.Kind.String()+" "+s.Text)
					if !dry && s.Kind != StepAttend {
						assert.True(t, s.Done, s.Text)
					}
				}
				return all
			}
			planned := said(true)
			assert.Equal(t, planned, said(false))
		})
	}
}

func TestABlockWithoutItsControlFileIsUnlinkedByForce(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 1)
	require.NoError(t, os.Remove(p.ControlPath(p.ID)))
	err := Unlink("x", b.dir, 0)
	assert.ErrorIs(t, err, status.Corrupt)
	assert.ErrorContains(t, err, fmt.Sprintf("whether its producer (pid %d) lives cannot be told", os.Getpid()))
	i, err := ValidateIntegrity("x", b.dir)
	require.NoError(t, err)
	assert.Contains(t, i.Message(), fmt.Sprintf("(pid %d)", os.Getpid()))
	s, err := p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, Unlink("x", b.dir, segment.Force))
	assert.ErrorIs(t, p.Commit(s, 0), status.Superseded)
	assert.EqualValues(t, 0, read(t, c).ID())
	_, err = c.Next(segment.Forever)
	assert.ErrorIs(t, err, status.Superseded)
	left, err := os.ReadDir(b.dir)
	require.NoError(t, err)
	assert.Empty(t, left)

	_, control := b.keep("y", 2)
	move(t, control, control+".bak")
	assert.ErrorContains(t, Unlink("y", b.dir, segment.Force), "give it its name back",
		"what only has another name is not lost")
	move(t, control+".bak", control)
	b.stillKept("y", 2)
}

func TestATruncatedControlFileIsMadeWholeByForce(t *testing.T) {
	for _, size := range []int64{0, 40, 300, 4096, 4096 + 600, 4096 + 2*512 + 100, -4096} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			b := newFixture(t)
			_, control := b.keep("x", 3)
			info, err := os.Stat(control)
			require.NoError(t, err)
			cut := size
			if size < 0 {
				cut += info.Size()
			}
			require.NoError(t, os.Truncate(control, cut))
			before := b.contents()
			result, _ := b.repair(false)
			assert.Equal(t, RecoveryFailed, result)
			steps := b.recover(false)
			require.Equal(t, []StepKind{StepAttend}, kindsOf(steps))
			assert.Contains(t, steps[0].Text, "--repair --force")
			assert.Equal(t, before, b.contents())

			locks, err := platform.OpenLocks(control, true)
			require.NoError(t, err)
			_, err = locks.TryLock(segment.RowByte(2))
			require.NoError(t, err)
			result, _ = b.repair(true)
			assert.Equal(t, RecoveryUnsafe, result, "somebody is attached")
			assert.Equal(t, before, b.contents())
			locks.Close()

			result, _ = b.repair(true)
			require.Equal(t, RecoverySuccess, result)
			if size > 4096+600 || size < 0 {
				b.stillKept("x", 3)
			}
			p := b.producer(b.config(segment.Ring, 16))
			reader := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Durable: true, Name: "recorder",
				Start: segment.StartOldest})
			write(t, p, 1)
			got := idsOf(t, reader, 1)
			assert.LessOrEqual(t, got[0], uint64(8))
			all := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, Start: segment.StartOldest})
			assert.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8}, idsOf(t, all, 9), "no message is lost")
		})
	}
}
