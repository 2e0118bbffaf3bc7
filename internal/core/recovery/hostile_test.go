package recovery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"

	"datablock/internal/core/coretest"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// hostile is one mutation of a block, and everything that can be done with the block afterwards.
// The seed determines all of it: DATABLOCK_HOSTILE_SEED=N replays one.
type hostile struct {
	t        *testing.T
	bench    fixture
	random   *rand.Rand
	config   segment.Config
	did      string
	cut      bool // a file was truncated: mapped pages may be gone
	producer *channel.Producer
	readers  []*channel.Consumer

	claimed bool // the producer has the slot claim
	claim   channel.WriteSlot
	held    map[*channel.Consumer][]channel.ReadSlot
}

// TestHostileBlocks: whatever the files contain, with or without participants, every function
// returns an error or a right result.
func TestHostileBlocks(t *testing.T) {
	suspectPause = 0
	defer func() { suspectPause = 100 * time.Microsecond }()
	mutations, first := uint64(2_000), uint64(1)
	switch seed := os.Getenv("DATABLOCK_HOSTILE_SEED"); {
	case seed != "":
		n, err := strconv.ParseUint(seed, 10, 64)
		require.NoError(t, err)
		first, mutations = n, 1
	case os.Getenv("DATABLOCK_SOAK") != "":
		mutations = 1_000_000
	case coretest.RaceEnabled || testing.Short():
		mutations = 500
	}
	var next atomic.Uint64
	next.Store(first - 1)
	var wg sync.WaitGroup
	for range min(uint64(runtime.NumCPU()), mutations) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			debug.SetPanicOnFault(true)
			dir := coretest.Directory(t)
			for seed := next.Add(1); seed < first+mutations && !t.Failed(); seed = next.Add(1) {
				attack(t, dir, seed)
			}
		}()
	}
	wg.Wait()
}

func attack(t *testing.T, dir string, seed uint64) {
	h := &hostile{t: t, bench: fixture{t, dir}, random: rand.New(rand.NewPCG(seed, 0)),
		held: map[*channel.Consumer][]channel.ReadSlot{}}
	var memory runtime.MemStats
	watch := time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("mutation %d hangs: %s", seed, h.did)) })
	defer watch.Stop()
	h.build()
	attached := h.random.IntN(3) == 0
	if !attached {
		h.abandon()
	}
	h.mutate()
	h.looks(seed)
	if attached {
		h.uses()
		h.abandon()
	}
	h.mends()
	if seed%100 == 0 {
		runtime.ReadMemStats(&memory)
		if memory.HeapAlloc > 1<<30 {
			t.Errorf("mutation %d: %d bytes of heap: %s", seed, memory.HeapAlloc, h.did)
		}
	}
	if t.Failed() {
		t.Errorf("DATABLOCK_HOSTILE_SEED=%d: %s", seed, h.did)
	}
	h.clear()
}

// clear removes every file.
func (h *hostile) clear() {
	files, _ := os.ReadDir(h.bench.dir)
	for _, f := range files {
		_ = platform.Remove(filepath.Join(h.bench.dir, f.Name()))
	}
}

// build makes a block with messages, consumers of all deliveries, a hold, an open claim.
func (h *hostile) build() {
	config := h.bench.config([]segment.Policy{segment.Single, segment.DoubleBuffer, segment.Ring}[h.random.IntN(3)], 0)
	config.Flags |= segment.AllowLossless
	config.Checksum = segment.ChecksumPolicy(h.random.IntN(3))
	if config.Checksum != segment.ChecksumNone {
		config.Algorithm = segment.ChecksumAlgorithm(h.random.IntN(3))
	}
	if h.random.IntN(2) == 0 {
		config.Flags |= segment.Reclaim
	}
	config.ConsumerLimit = 5
	h.config = config
	p, err := channel.OpenProducer("x", config)
	require.NoError(h.t, err)
	h.producer = p
	for i, d := range []segment.Delivery{segment.Ordered, segment.Latest, segment.Lossless} {
		c, err := h.bench.openConsumer(segment.ConsumerOptions{Delivery: d,
			Durable: i == 2 && h.random.IntN(2) == 0, Name: "r" + strconv.Itoa(i)})
		require.NoError(h.t, err)
		h.readers = append(h.readers, c)
	}
	for range h.random.IntN(20) {
		if s, err := p.Claim(0); err == nil {
			require.NoError(h.t, p.Commit(s, 8))
		}
		c := h.readers[h.random.IntN(3)]
		if s, err := c.Next(0); err == nil && h.random.IntN(4) > 0 {
			require.NoError(h.t, c.Release(s))
		} else if err == nil {
			h.held[c] = append(h.held[c], s)
		}
	}
	if h.random.IntN(2) == 0 {
		h.claims()
	}
}

// abandon leaves everything as a killed process does.
func (h *hostile) abandon() {
	if h.producer == nil {
		return
	}
	die(h.producer.Attachment)
	h.producer.Unmap()
	for _, c := range h.readers {
		die(c.Attachment)
		c.Unmap()
	}
	h.producer, h.readers = nil, nil
}

func (h *hostile) paths() (data, control string) {
	controls, err := filepath.Glob(filepath.Join(h.bench.dir, "x.*.ctl"))
	require.NoError(h.t, err)
	require.NotEmpty(h.t, controls)
	return filepath.Join(h.bench.dir, "x"), controls[0]
}

// mutate changes one of the files, in place.
func (h *hostile) mutate() {
	data, control := h.paths()
	path := data
	if h.random.IntN(2) == 0 {
		path = control
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(h.t, err)
	defer f.Close()
	content, err := os.ReadFile(path)
	require.NoError(h.t, err)
	n := int64(len(content))
	write := func(at int64, b []byte) {
		_, err := f.WriteAt(b[:min(int64(len(b)), n-at)], at)
		require.NoError(h.t, err)
	}
	switch kind := h.random.IntN(9); kind {
	case 0: // random bytes
		b := make([]byte, 1+h.random.IntN(300))
		for i := range b {
			b[i] = byte(h.random.Uint32())
		}
		at := h.place(path == data, n)
		write(at, b)
		h.did = fmt.Sprintf("%d random bytes at %d of %s", len(b), at, path)
	case 1, 2: // bits
		for range 1 + h.random.IntN(4) {
			at := h.place(path == data, n)
			write(at, []byte{content[at] ^ 1<<h.random.IntN(8)})
			h.did += fmt.Sprintf("a bit at %d of %s ", at, path)
		}
	case 3, 4, 5: // words, near 2^64 among them
		for range 1 + h.random.IntN(3) {
			word := []uint64{0, 1, 2, 1 << 31, 1<<32 - 1, 1 << 40, 1 << 62, 1<<63 - 1, 1 << 63, ^uint64(0),
				^uint64(0) - 1, ^uint64(0) - 64, h.random.Uint64()}[h.random.IntN(13)]
			at := h.place(path == data, n) &^ 7
			write(at, binary.LittleEndian.AppendUint64(nil, word))
			h.did += fmt.Sprintf("0x%x at %d of %s ", word, at, path)
		}
	case 6: // truncated
		size := []int64{0, 1, 575, 576, 4095, 4096, 8191, 8192, h.random.Int64N(n), n - 1}[h.random.IntN(10)]
		done, err := coretest.Truncate(path, size)
		require.NoError(h.t, err)
		h.cut = done
		h.did = fmt.Sprintf("%s cut to %d of %d", path, size, n)
		return
	case 7: // extended, far beyond all memory
		size := []int64{n + 1, n + 4096, 1 << 40, 1 << 62, 1<<63 - 1}[h.random.IntN(5)]
		if err := os.Truncate(path, size); err != nil {
			return // not on this file system
		}
		h.did = fmt.Sprintf("%s extended to %d", path, size)
		return
	case 8: // swapped
		other := map[string]string{data: control, control: data}[path]
		b, err := os.ReadFile(other)
		require.NoError(h.t, err)
		write(0, b)
		h.did = path + " overwritten with the other"
	}
	if path == data && h.random.IntN(2) == 0 { // an attacker can compute a hash
		head := make([]byte, layout.ImmutableLen)
		_, err := f.ReadAt(head, 0)
		require.NoError(h.t, err)
		copy(head, rehash(head))
		write(0, head)
		h.did += ", with its hash"
	}
}

func rehash(head []byte) []byte {
	sum := blake2b.Sum256(head[:layout.HdrHash])
	copy(head[layout.HdrHash:], sum[:])
	return head
}

// place returns an offset, mostly one of a word that matters.
func (h *hostile) place(data bool, n int64) int64 {
	regions := [][2]int64{{0, layout.ImmutableLen}, {layout.Page, 4700}, {8192, 8192 + 64}, {12288 - 64, n}, {0, n}}
	if !data {
		regions = [][2]int64{{0, 64}, {256, 640}, {4096, 4096 + 6*layout.RowSize}, {12288, 12288 + 1024}, {0, n}}
	}
	r := regions[h.random.IntN(len(regions))]
	return min(r[0]+h.random.Int64N(max(1, r[1]-r[0])), n-1)
}

// guarded runs what may fail but not panic. Only pages that are mapped and gone may fault.
func (h *hostile) guarded(what string, f func()) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		err, _ := r.(error)
		var fault interface{ Addr() uintptr }
		if h.cut && errors.As(err, &fault) && !besideAMapping(fault.Addr()) {
			return
		}
		h.t.Errorf("%s: %v\n%s", what, r, debug.Stack())
	}()
	f()
}

// looks calls what must not change anything.
func (h *hostile) looks(seed uint64) {
	before := h.fingerprint()
	if h.random.IntN(2) == 0 {
		h.guarded("list", func() { _, _ = List(h.bench.dir) })
	}
	h.guarded("diagnose a slot", func() { _, _ = DiagnoseSlot("x", h.bench.dir, h.random.Uint32N(40)) })
	if h.random.IntN(3) == 0 {
		h.guarded("auto-recover", func() { _, _ = AutoRecover("x", h.bench.dir, true, func(RecoveryStep) {}) })
	}
	h.guarded("validate", func() {
		i, err := ValidateIntegrity("x", h.bench.dir)
		if err == nil && h.cut && i.Healthy() {
			h.t.Error("a truncated file is called healthy")
		}
	})
	if after := h.fingerprint(); !reflect.DeepEqual(before, after) {
		h.t.Errorf("looking changed a byte")
	}
}

// fingerprint returns every file's size and beginning. The size of a file may be given as exabytes.
func (h *hostile) fingerprint() map[string]string {
	all := map[string]string{}
	files, err := os.ReadDir(h.bench.dir)
	require.NoError(h.t, err)
	for _, e := range files {
		f, err := os.Open(filepath.Join(h.bench.dir, e.Name()))
		require.NoError(h.t, err)
		info, err := f.Stat()
		require.NoError(h.t, err)
		b := make([]byte, min(info.Size(), 1<<17))
		n, _ := f.ReadAt(b, 0)
		all[e.Name()] = fmt.Sprint(info.Size(), string(b[:n]))
		_ = f.Close()
	}
	return all
}

// uses continues with the participants that were attached before the mutation.
func (h *hostile) uses() {
	p := h.producer
	for range 60 {
		h.guarded("write", func() {
			if h.claimed && h.random.IntN(3) == 0 {
				_ = p.Abort(h.claim)
			} else if h.claimed {
				_ = p.Commit(h.claim, h.random.IntN(64))
			}
			h.claims()
		})
		h.guarded("read", func() { h.readAny(h.readers[h.random.IntN(len(h.readers))], h.random.Uint64N(30)) })
	}
}

// claims takes the next slot. A refused claim may leave the earlier one open.
func (h *hostile) claims() {
	if s, err := h.producer.Claim(0); err == nil {
		h.claim, h.claimed = s, true
	}
}

func (h *hostile) readAny(c *channel.Consumer, id uint64) {
	for _, s := range h.held[c] {
		_ = c.Release(s)
	}
	h.held[c] = nil
	if s, err := c.Next(0); err == nil {
		h.held[c] = append(h.held[c], s) // the reads below may fault
		_ = append([]byte(nil), s.Data()...)
		_ = s.Timestamp()
		_ = c.Verify(s)
		_ = c.Release(s)
	}
	if s, err := c.ReadAt(id); err == nil {
		h.held[c] = append(h.held[c], s)
		_ = append([]byte(nil), s.Data()...)
		_ = s.Timestamp()
		_ = c.Release(s)
	}
}

// mends calls what changes the block, in any order, and attaches again.
func (h *hostile) mends() {
	steps := []func(){
		func() {
			h.guarded("release readers", func() { _, _ = ReleaseZombieReaders("x", h.bench.dir, h.random.Uint32N(40)) })
		},
		func() {
			h.guarded("release a writer", func() { _, _ = ReleaseZombieWriter("x", h.bench.dir, h.random.Uint32N(40)) })
		},
		func() { h.guarded("clean up", func() { _, _ = CleanupDeadConsumers("x", h.bench.dir, 0) }) },
		func() { h.guarded("repair", h.repaired) },
		func() {
			h.guarded("recover", func() { _, _ = AutoRecover("x", h.bench.dir, false, func(RecoveryStep) {}) })
		},
		func() { h.guarded("collect", func() { _, _ = segment.CollectGarbage(h.bench.dir) }) },
		func() { h.guarded("attach", h.attaches) },
		func() { h.guarded("produce", h.produces) },
	}
	h.random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	for _, step := range steps[:3] {
		step()
	}
	h.guarded("unlink", func() { _ = Unlink("x", h.bench.dir, segment.Force) })
}

func (h *hostile) repaired() {
	result, left, _ := Repair("x", h.bench.dir, h.random.IntN(2) == 0)
	if result == RecoverySuccess && !left.Healthy() {
		h.t.Errorf("repaired, and still: %s", left.Message())
	}
}

func (h *hostile) attaches() {
	for _, d := range []segment.Delivery{segment.Ordered, segment.Latest, segment.Lossless} {
		o := segment.ConsumerOptions{Delivery: d, Start: segment.Start(h.random.IntN(2)),
			Durable: h.random.IntN(4) == 0, Name: "r2"}
		c, err := h.bench.openConsumer(o)
		if err != nil {
			continue
		}
		for range 5 {
			h.readAny(c, h.random.Uint64N(30))
		}
		_ = c.Close()
	}
}

func (h *hostile) produces() {
	p, err := channel.OpenProducer("x", h.config)
	if err != nil {
		return
	}
	for range 60 {
		s, err := p.Claim(0)
		if err != nil {
			break
		}
		if p.Commit(s, 8) != nil {
			break
		}
	}
	_ = p.Close()
}
