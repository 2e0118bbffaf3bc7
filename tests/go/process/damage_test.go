//go:build !windows

package process_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/sys/unix"

	"datablock/internal/layout"
)

// leftBlock makes a block with messages, whose producer has closed.
func leftBlock(t testing.TB) *fixture {
	t.Helper()
	b := newFixture(t)
	p := b.producer(languages[0])
	p.write(ring + 3)
	p.close()
	return b
}

// change rewrites a file of the block.
func (b *fixture) change(path string, change func([]byte) []byte) {
	b.t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(path, change(content), 0o600))
}

// contents returns all files with their modes and contents.
func (b *fixture) contents() map[string]string {
	b.t.Helper()
	all := map[string]string{}
	require.NoError(b.t, filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		all[path] = d.Type().String()
		if d.Type().IsRegular() {
			content, err := os.ReadFile(path)
			all[path] += string(content)
			return err
		}
		return nil
	}))
	return all
}

// damages has the ways to damage a block, and the status of every open afterwards.
var damages = map[string]struct {
	status string
	do     func(b *fixture)
}{
	"empty": {"CORRUPT", func(b *fixture) { require.NoError(b.t, os.Truncate(b.dataPath(), 0)) }},
	"header_only": {"CORRUPT",
		func(b *fixture) { require.NoError(b.t, os.Truncate(b.dataPath(), layout.ImmutableLen)) }},
	"one_page": {"CORRUPT", func(b *fixture) { require.NoError(b.t, os.Truncate(b.dataPath(), layout.Page)) }},
	"one_byte_short": {"CORRUPT",
		func(b *fixture) { b.change(b.dataPath(), func(p []byte) []byte { return p[:len(p)-1] }) }},
	"one_page_long": {"CORRUPT", func(b *fixture) {
		b.change(b.dataPath(), func(p []byte) []byte { return append(p, make([]byte, layout.Page)...) })
	}},
	"foreign_text": {"CORRUPT",
		func(b *fixture) { b.change(b.dataPath(), func([]byte) []byte { return []byte("not yours\n") }) }},
	"foreign_data": {"CORRUPT",
		func(b *fixture) { b.change(b.dataPath(), func(p []byte) []byte { return make([]byte, len(p)) }) }},
	"version_3": {"VERSION", func(b *fixture) { b.change(b.dataPath(), otherVersion) }},
	"unknown_feature": {"VERSION", func(b *fixture) {
		b.change(b.dataPath(), withFeatures(layout.FormatMajorFeatures, 1<<31|layout.FeatureCRC))
	}},
	"feature_in_version_1": {"CORRUPT", func(b *fixture) {
		b.change(b.dataPath(), withFeatures(layout.FormatMajor, layout.FeatureCRC))
	}},
	"version_2_without_feature": {"CORRUPT", func(b *fixture) {
		b.change(b.dataPath(), withFeatures(layout.FormatMajorFeatures, 0))
	}},
	"crc_without_checksums": {"CORRUPT", func(b *fixture) {
		b.change(b.dataPath(), withFeatures(layout.FormatMajorFeatures, layout.FeatureCRC))
	}},
	"other_name": {"CORRUPT", func(b *fixture) { b.change(b.dataPath(), renamed) }},
	"directory": {"CORRUPT", func(b *fixture) {
		require.NoError(b.t, os.Remove(b.dataPath()))
		require.NoError(b.t, os.Mkdir(b.dataPath(), 0o700))
	}},
	"fifo": {"CORRUPT", func(b *fixture) {
		require.NoError(b.t, os.Remove(b.dataPath()))
		require.NoError(b.t, unix.Mkfifo(b.dataPath(), 0o600))
	}},
	"symlink": {"CORRUPT", func(b *fixture) { b.linkAway(b.dataPath()) }},
	"broken_symlink": {"CORRUPT", func(b *fixture) {
		require.NoError(b.t, os.Remove(b.dataPath()))
		require.NoError(b.t, os.Symlink("nowhere", b.dataPath()))
	}},
	"control_missing": {"CORRUPT", func(b *fixture) { require.NoError(b.t, os.Remove(b.controlPath())) }},
	"control_empty":   {"CORRUPT", func(b *fixture) { require.NoError(b.t, os.Truncate(b.controlPath(), 0)) }},
	"control_short": {"CORRUPT",
		func(b *fixture) { b.change(b.controlPath(), func(p []byte) []byte { return p[:len(p)-layout.Page] }) }},
	"control_long": {"CORRUPT",
		func(b *fixture) { b.change(b.controlPath(), func(p []byte) []byte { return append(p, 0) }) }},
	"control_foreign": {"CORRUPT",
		func(b *fixture) { b.change(b.controlPath(), func(p []byte) []byte { return make([]byte, len(p)) }) }},
	"control_of_another_block": {"CORRUPT", func(b *fixture) {
		other := leftBlock(b.t)
		b.change(b.controlPath(), func([]byte) []byte {
			content, err := os.ReadFile(other.controlPath())
			require.NoError(b.t, err)
			return content
		})
	}},
	"control_symlink": {"CORRUPT", func(b *fixture) { b.linkAway(b.controlPath()) }},
	"control_fifo": {"CORRUPT", func(b *fixture) {
		path := b.controlPath()
		require.NoError(b.t, os.Remove(path))
		require.NoError(b.t, unix.Mkfifo(path, 0o600))
	}},
}

// TestDamageIsRefused: every open of a damaged block fails with a clear status and changes nothing,
// even the open of a producer that may replace the block by force.
func TestDamageIsRefused(t *testing.T) {
	for i, name := range slices.Sorted(maps.Keys(damages)) {
		damage := damages[name]
		t.Run(name, func(t *testing.T) {
			b := leftBlock(t)
			damage.do(b)
			before := b.contents()
			for _, language := range languages {
				for j, l := range []launch{
					{role: "consume"},
					{role: "consume", args: []string{"--delivery=latest", "--durable", "--name=log"}},
					{role: "produce", args: b.producerArgs()},
					{role: "produce", args: b.producerArgs("--slots=16", "--flags=replace,force")},
				} {
					if !inTurn(language, i+j) {
						continue
					}
					l.language = language
					assert.Equal(t, damage.status, b.launch(l).refused(), "%s %s %v", language, l.role, l.args)
				}
			}
			b.refusedEverywhere(damage.status)
			assert.Equal(t, before, b.contents(), "something was changed")
		})
	}
}

// refusedEverywhere calls the functions that need no participant, and expects this status.
func (b *fixture) refusedEverywhere(expected string) {
	b.t.Helper()
	want := map[string]status.Code{"CORRUPT": status.Corrupt, "VERSION": status.Version}[expected]
	_, err := recovery.Diagnose(block, b.dir)
	assert.ErrorIs(b.t, err, want, "diagnose")
	_, err = recovery.CleanupDeadConsumers(block, b.dir, 0)
	assert.ErrorIs(b.t, err, want, "clean up")
	_, err = recovery.ReleaseZombieWriter(block, b.dir, 0)
	assert.ErrorIs(b.t, err, want, "release a writer")
	assert.ErrorIs(b.t, recovery.Unlink(block, b.dir, 0), want, "unlink")
	if len(b.files()) > 1 { // a block that has lost its control file is removed by force
		assert.ErrorIs(b.t, recovery.Unlink(block, b.dir, segment.Force), want, "unlink by force")
	}
	_, err = recovery.List(b.dir)
	assert.NoError(b.t, err, "list")
}

// linkAway replaces the file by a symbolic link to it.
func (b *fixture) linkAway(path string) {
	b.t.Helper()
	require.NoError(b.t, os.Rename(path, path+"-elsewhere"))
	require.NoError(b.t, os.Symlink(path+"-elsewhere", path))
}

func rehashed(p []byte) []byte {
	sum := blake2b.Sum256(p[:layout.HdrHash])
	copy(p[layout.HdrHash:], sum[:])
	return p
}

func otherVersion(p []byte) []byte {
	binary.LittleEndian.PutUint32(p[layout.HdrMajor:], layout.FormatMajorFeatures+1)
	return rehashed(p)
}

// withFeatures changes the version and the features of a header that has none.
func withFeatures(major, features uint32) func([]byte) []byte {
	return func(p []byte) []byte {
		binary.LittleEndian.PutUint32(p[layout.HdrMajor:], major)
		binary.LittleEndian.PutUint32(p[layout.HdrFeatures:], features)
		return rehashed(p)
	}
}

func renamed(p []byte) []byte {
	p[layout.HdrName] = 'y'
	return rehashed(p)
}

// TestDamagedHeaderByte damages each byte of the headers of both files, one after the other. It
// runs in one process, because it tests the bytes and not the processes.
func TestDamagedHeaderByte(t *testing.T) {
	b := leftBlock(t)
	for file, length := range map[string]int{b.dataPath(): layout.ImmutableLen,
		b.controlPath(): layout.CtlConsumerLimit + 4} {
		for at := range length {
			if file == b.controlPath() && at >= layout.CtlMinor && at < layout.CtlMinor+4 {
				continue // a newer minor version is accepted, and this header has no hash
			}
			for _, flip := range []byte{0x01, 0xff} {
				b.flip(file, at, flip)
				before := b.contents()
				what := fmt.Sprintf("byte %d of %s", at, filepath.Base(file))
				_, err := channel.OpenConsumer(block, segment.ConsumerOptions{Directory: b.dir})
				assertRefused(t, err, what)
				c := segment.DefaultConfig(segment.Ring)
				c.Directory, c.SlotCount, c.SlotSize, c.Flags = b.dir, ring, capacity,
					c.Flags|segment.Replace|segment.Force
				_, err = channel.OpenProducer(block, c)
				assertRefused(t, err, what)
				_, err = recovery.Diagnose(block, b.dir)
				assertRefused(t, err, what)
				require.Equal(t, before, b.contents(), "%s: something was changed", what)
				b.flip(file, at, flip)
			}
		}
	}
	c, err := channel.OpenConsumer(block, segment.ConsumerOptions{Directory: b.dir})
	require.NoError(t, err, "the block is whole again")
	require.NoError(t, c.Close())
	b.leavesNothing()
}

func assertRefused(t *testing.T, err error, what string) {
	t.Helper()
	require.True(t, errors.Is(err, status.Corrupt) || errors.Is(err, status.Version), "%s: %v", what, err)
	require.True(t, strings.Contains(err.Error(), block), "%s: the error does not say which block: %v", what, err)
}

func (b *fixture) flip(path string, at int, mask byte) {
	b.t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(b.t, err)
	defer f.Close()
	one := make([]byte, 1)
	_, err = f.ReadAt(one, int64(at))
	require.NoError(b.t, err)
	one[0] ^= mask
	_, err = f.WriteAt(one, int64(at))
	require.NoError(b.t, err)
}
