package datablock_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"datablock/internal/core/recovery"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
	"datablock/internal/layout"
)

const (
	slotCount = 4
	slotSize  = 64
	soon      = 20 * time.Millisecond // a wait that is to run out
	patience  = time.Minute           // one that is not
)

type (
	writeSlot = datablock.WriteTransactionSlot
	readSlot  = datablock.ReadTransactionSlot
)

// bench is a block with its two sides, in a directory of its own.
type bench struct {
	*testing.T
	dir string
	p   *datablock.Producer
	c   *datablock.Consumer // LOSSLESS
}

func directory(t testing.TB) string {
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil || !filepath.IsAbs(base) { // on Windows the path is not absolute
		base = ""
	}
	dir, err := os.MkdirTemp(base, "datablock-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, dir: directory(t)}
	b.p = b.producer("x")
	b.c = b.consumer(datablock.ConsumerOptions{})
	return b
}

func (b *bench) config() datablock.Config {
	config := datablock.DefaultConfig(datablock.Ring)
	config.SlotCount, config.SlotSize, config.Directory = slotCount, slotSize, b.dir
	return config
}

func (b *bench) producer(name string) *datablock.Producer {
	p, err := datablock.OpenProducer(name, b.config())
	require.NoError(b, err)
	b.Cleanup(func() { _ = p.Close() })
	return p
}

func (b *bench) consumer(options datablock.ConsumerOptions) *datablock.Consumer {
	options.Directory = b.dir
	c, err := datablock.OpenConsumer("x", options)
	require.NoError(b, err)
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// write publishes a message that says its id.
func (b *bench) write() uint64 {
	id, err := datablock.WithWriteTransaction(b.p, patience, fill)
	require.NoError(b, err)
	return id
}

func fill(s *writeSlot) (uint64, error) {
	binary.LittleEndian.PutUint64(s.Data(), s.ID())
	return s.ID(), s.Commit(8)
}

// read is the next message's id, which it has to say.
func (b *bench) read() uint64 {
	id, there, err := datablock.WithNextSlot(b.c, patience, idOf)
	require.NoError(b, err)
	require.True(b, there)
	return id
}

func idOf(s *readSlot) (uint64, error) {
	if said := binary.LittleEndian.Uint64(s.Data()); said != s.ID() {
		return 0, fmt.Errorf("message %d says %d", s.ID(), said)
	}
	return s.ID(), nil
}

func (b *bench) full() {
	for range slotCount {
		b.write()
	}
}

// nothingPublished checks that the next message of both sides is id.
func (b *bench) nothingPublished(id uint64) {
	b.Helper()
	_, there, err := datablock.WithNextSlot(b.c, 0, idOf)
	require.NoError(b, err)
	assert.False(b, there, "nothing is published")
	assert.Equal(b, id, b.write())
	assert.Equal(b, id, b.read())
}

// released checks that nothing is held, and that both sides go on.
func (b *bench) released() {
	b.Helper()
	found, err := recovery.Diagnose("x", b.dir)
	require.NoError(b, err)
	for _, row := range found.Rows {
		assert.Empty(b, row.Pins, "pins of row %d", row.Row)
	}
	for _, slot := range found.Slots {
		assert.NotEqual(b, recovery.SlotWriting, slot.State, "slot %d is claimed", slot.Index)
	}
	for {
		if _, there, err := datablock.WithNextSlot(b.c, 0, idle); !there && err == nil {
			break
		}
	}
	assert.Equal(b, b.write(), b.read())
}

func idle(*readSlot) (struct{}, error) { return struct{}{}, nil }

// ended runs f in a goroutine of its own, which it may end.
func ended(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

type scenario struct {
	name string
	run  func(*bench)
}

func length(s *readSlot) (int, error) { return s.Size(), nil }

func checked(s *readSlot) (int, error) { _, err := idOf(s); return 0, err }

func (b *bench) discard(id uint64) {
	f, err := os.OpenFile(filepath.Join(b.dir, "x"), os.O_RDWR, 0)
	require.NoError(b, err)
	defer f.Close()
	word := make([]byte, 8)
	_, err = f.ReadAt(word, layout.HdrRingOffset)
	require.NoError(b, err)
	at := int64(binary.LittleEndian.Uint64(word) + 8*(id%slotCount))
	_, err = f.ReadAt(word, at)
	require.NoError(b, err)
	binary.LittleEndian.PutUint64(word, binary.LittleEndian.Uint64(word)|layout.EntryLost)
	_, err = f.WriteAt(word, at)
	require.NoError(b, err)
}
