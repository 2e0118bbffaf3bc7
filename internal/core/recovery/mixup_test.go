package recovery

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/require"

	"datablock/internal/core/coretest"
	"datablock/internal/layout"
)

// mixup is one to three blocks whose files are damaged, renamed, exchanged and copied, and
// everything that then runs over them. The seed determines all of it: DATABLOCK_MIXUP_SEED=N
// replays one.
type mixup struct {
	t       *testing.T
	random  *rand.Rand
	bench   fixture
	blocks  []*mixed
	did     []string
	back    [][2]string // moves that give the files their names again, relative to the directory
	touched map[string]bool
}

// mixed is one of the blocks.
type mixed struct {
	name, data, control, older string // files, relative; older is a copy of the data file with fewer messages
	next, read                 uint64
}

const mixupRing = 8

// TestMixedUpFiles: whatever was done to the files of a few blocks, three things hold. What runs
// over them loses nothing that a repair could have saved before. No consumer skips a message
// without a report. Untouched blocks are whole.
func TestMixedUpFiles(t *testing.T) {
	suspectPause = 0
	defer func() { suspectPause = 100 * time.Microsecond }()
	rounds, first := uint64(1000), uint64(1)
	switch seed := os.Getenv("DATABLOCK_MIXUP_SEED"); {
	case seed != "":
		n, err := strconv.ParseUint(seed, 10, 64)
		require.NoError(t, err)
		first, rounds = n, 1
	case os.Getenv("DATABLOCK_SOAK") != "":
		rounds = 100_000
	case coretest.RaceEnabled || testing.Short():
		rounds = 200
	}
	var next atomic.Uint64
	next.Store(first - 1)
	var wg sync.WaitGroup
	for range min(uint64(runtime.NumCPU()), rounds) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			debug.SetPanicOnFault(true)
			for seed := next.Add(1); seed < first+rounds && !t.Failed(); seed = next.Add(1) {
				mixUp(t, seed)
			}
		}()
	}
	wg.Wait()
}

func mixUp(t *testing.T, seed uint64) {
	base, err := coretest.MakeDirectory()
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = os.RemoveAll(base) }()
	m := &mixup{t: t, random: rand.New(rand.NewPCG(seed, 1)), bench: fixture{t, filepath.Join(base, "main")},
		touched: map[string]bool{}}
	watch := time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("mix-up %d hangs: %v", seed, m.did)) })
	defer watch.Stop()
	twin := filepath.Join(base, "twin")
	m.make()
	for range 1 + m.random.IntN(3) {
		m.damage()
	}
	m.check(os.CopyFS(twin, os.DirFS(m.bench.dir)))
	m.run()
	m.undo(twin)
	m.undo(m.bench.dir)
	for _, b := range m.blocks {
		want, got := m.outcome(twin, b), m.outcome(m.bench.dir, b)
		if why := m.worse(b, want, got); why != "" {
			t.Errorf("DATABLOCK_MIXUP_SEED=%d: block %s (%d messages, read up to %d): %s\nwithout: %v\nwith:    %v\n%s",
				seed, b.name, b.next, b.read, why, want, got, strings.Join(m.did, "\n"))
		}
	}
}

func (m *mixup) check(err error) {
	if err != nil {
		panic(fmt.Sprintf("%v after %v", err, m.did))
	}
}

func (m *mixup) note(format string, args ...any) { m.did = append(m.did, fmt.Sprintf(format, args...)) }

// one makes a random choice.
func one[T any](m *mixup, of []T) T { return of[m.random.IntN(len(of))] }

func (m *mixup) config() segment.Config {
	c := m.bench.config(segment.Ring, mixupRing)
	c.ConsumerLimit = 4
	return c
}

// make makes the blocks. Some producers close, others die.
func (m *mixup) make() {
	m.check(os.Mkdir(m.bench.dir, 0o700))
	for i := range 1 + m.random.IntN(3) {
		b := &mixed{name: string(rune('a' + i))}
		p, err := channel.OpenProducer(b.name, m.config())
		m.check(err)
		c, err := channel.OpenConsumer(b.name, segment.ConsumerOptions{Directory: m.bench.dir,
			Delivery: segment.Lossless, Durable: true,
			Name: "recorder", Start: segment.StartOldest})
		m.check(err)
		b.data, b.control, b.older = b.name, filepath.Base(p.ControlPath(p.ID)), filepath.Join("..", b.name+".older")
		for n := m.random.IntN(14); b.next < uint64(n); b.next++ {
			if b.next == uint64(n/2) {
				m.copyFile(b.data, b.older)
			}
			for b.next-b.read >= mixupRing || b.read < b.next && m.random.IntN(2) == 0 {
				s, err := c.Next(0)
				m.check(err)
				m.check(c.Release(s))
				b.read++
			}
			s, err := p.Claim(0)
			m.check(err)
			binary.LittleEndian.PutUint64(s.Data(), s.ID())
			s.Data()[8] = b.name[0]
			m.check(p.Commit(s, 9))
		}
		if m.random.IntN(2) == 0 {
			m.check(c.Close())
			m.check(p.Close())
		} else {
			die(c.Attachment)
			die(p.Attachment)
			c.Unmap()
			p.Unmap()
		}
		m.blocks = append(m.blocks, b)
	}
}

func (m *mixup) path(file string) string { return filepath.Join(m.bench.dir, file) }

func (m *mixup) copyFile(from, to string) {
	content, err := os.ReadFile(m.path(from))
	m.check(err)
	m.check(os.WriteFile(m.path(to), content, 0o600))
}

func (m *mixup) rename(from, to string) {
	if _, err := os.Lstat(m.path(to)); err == nil {
		panic("the test overwrites " + to)
	}
	m.check(os.Rename(m.path(from), m.path(to)))
	m.back = append(m.back, [2]string{to, from})
}

// damage does one thing to the files.
func (m *mixup) damage() {
	b, other := one(m, m.blocks), one(m, m.blocks)
	halves := [][2]string{{b.data, other.data}, {b.control, other.control}}
	half := one(m, halves)
	aside := fmt.Sprintf("aside%d", len(m.did))
	m.touched[b.name] = true
	kind := m.random.IntN(12)
	if _, err := os.Stat(m.path(half[0])); err != nil {
		return // renamed already
	}
	switch kind {
	case 0, 1, 2, 3:
		m.spoil(b, half[0], kind)
	case 4:
		info, err := os.Stat(m.path(half[0]))
		m.check(err)
		if size := m.random.Int64N(info.Size() + 1); info.Size() > 0 {
			done, err := coretest.Truncate(m.path(half[0]), size)
			m.check(err)
			if done {
				m.note("truncate %s to %d", half[0], size)
			}
		}
	case 5:
		m.rename(half[0], aside)
		m.note("rename %s to %s", half[0], aside)
	case 6, 7:
		if _, err := os.Stat(m.path(half[1])); err != nil || half[0] == half[1] {
			return
		}
		m.touched[other.name] = true
		m.rename(half[0], aside)
		m.rename(half[1], half[0])
		m.rename(aside, half[1])
		m.note("exchange %s and %s", half[0], half[1])
	case 8:
		m.copyFile(half[0], aside)
		m.note("copy %s to %s", half[0], aside)
	case 9, 10:
		if half[0] == half[1] {
			return
		}
		if _, err := os.Stat(m.path(half[1])); err != nil {
			return
		}
		m.touched[other.name] = true
		m.rename(half[1], aside)
		m.copyFile(half[0], half[1])
		m.note("copy %s over %s, which is %s now", half[0], half[1], aside)
	case 11:
		if _, err := os.Stat(m.path(b.older)); err != nil || half[0] != b.data {
			return
		}
		m.rename(b.data, aside)
		m.copyFile(b.older, b.data)
		m.note("put an earlier %s back, the later one is %s", b.data, aside)
	}
}

// spoil changes bytes that say what the block is or where its messages are. Rows, zone and counters
// have no second copy: a change there, within what is possible, cannot be detected.
func (m *mixup) spoil(b *mixed, file string, kind int) {
	f, err := os.OpenFile(m.path(file), os.O_RDWR, 0)
	m.check(err)
	defer f.Close()
	info, err := f.Stat()
	m.check(err)
	at, n := int64(m.random.IntN(layout.ImmutableLen)), int64(1)
	switch {
	case file == b.control:
		at = int64(m.random.IntN(layout.CtlConsumerLimit + 4))
	case kind == 2:
		at = 4096 + int64(m.random.IntN(int(max(info.Size()-4096, 1)))) // the mutable words, the ring, the slots
	}
	if kind == 3 {
		n = 1 + int64(m.random.IntN(16))
	}
	if at+n > info.Size() {
		return
	}
	bytes := make([]byte, n)
	_, err = f.ReadAt(bytes, at)
	m.check(err)
	if kind == 3 {
		clear(bytes)
	} else {
		bytes[0] ^= 1 << m.random.IntN(8)
	}
	_, err = f.WriteAt(bytes, at)
	m.check(err)
	m.note("change %d bytes of %s at %d", n, file, at)
}

// run starts everything over the files that an operator or a daemon starts.
func (m *mixup) run() {
	for range 2 + m.random.IntN(5) {
		b := one(m, m.blocks)
		switch m.random.IntN(5) {
		case 0:
			removed, err := segment.CollectGarbage(m.bench.dir)
			m.note("gc: %v %v", removed, err)
		case 1:
			_, err := AutoRecover(b.name, m.bench.dir, false,
				func(s RecoveryStep) { m.note("auto-recover %s: %v %v %s", b.name, s.Kind, s.Done, s.Text) })
			m.note("auto-recover %s: %v", b.name, err)
		case 2:
			result, _, err := Repair(b.name, m.bench.dir, false)
			m.note("repair %s: %v %v", b.name, result, err)
		case 3:
			list, err := List(m.bench.dir) // as the daemon does
			m.check(err)
			for _, i := range list {
				_, err := AutoRecover(i.Name, m.bench.dir, false,
					func(s RecoveryStep) { m.note("daemon, %s: %v %v %s", i.Name, s.Kind, s.Done, s.Text) })
				m.note("daemon, %s: %v", i.Name, err)
			}
		case 4:
			p, err := channel.OpenProducer(b.name, m.config())
			m.note("restart %s: %v", b.name, err)
			if err == nil {
				m.check(p.Close())
			}
		}
	}
}

// undo gives the files their names again, as the advice says. It first removes what was made anew
// under a name meanwhile.
func (m *mixup) undo(dir string) {
	for i := len(m.back) - 1; i >= 0; i-- {
		from, to := filepath.Join(dir, m.back[i][0]), filepath.Join(dir, m.back[i][1])
		if _, err := os.Lstat(to); err == nil && segment.BadName(m.back[i][1]) == "" {
			if h, err := segment.Identify(to); err != nil || m.made(h.ID) || Unlink(m.back[i][1], dir,
				segment.Force) != nil {
				_ = os.Remove(to) // a copy
			}
		}
		if err := os.Rename(from, to); err != nil && dir == m.bench.dir {
			m.note("back: %v", err)
		}
	}
}

// made reports whether the id is that of a block that was there at first.
func (m *mixup) made(id segment.BlockID) bool {
	for _, b := range m.blocks {
		if _, its, _, _ := segment.ParseControl(b.control); its == id {
			return true
		}
	}
	return false
}

// outcome is the state of a block in the end.
type outcome struct {
	readable bool
	present  []uint64 // messages that a consumer from the oldest on gets whole
	recorder []uint64 // and the returning durable consumer
	told     bool     // a gap was reported to it
}

func (m *mixup) outcome(dir string, b *mixed) (o outcome) {
	result, _, err := Repair(b.name, dir, false)
	if dir == m.bench.dir {
		m.note("in the end, repair %s: %v %v", b.name, result, err)
	}
	recorder, err := channel.OpenConsumer(b.name, segment.ConsumerOptions{Directory: dir, Delivery: segment.Lossless,
		Durable: true,
		Name:    "recorder", Start: segment.StartOldest})
	if err != nil {
		return o
	}
	o.readable = true
	o.recorder, o.told = m.drain(recorder, b)
	all, err := channel.OpenConsumer(b.name, segment.ConsumerOptions{Directory: dir, Delivery: segment.Ordered,
		Start: segment.StartOldest})
	if err != nil {
		return o
	}
	o.present, _ = m.drain(all, b)
	return o
}

func (m *mixup) drain(c *channel.Consumer, b *mixed) (ids []uint64, told bool) {
	defer func() { _ = c.Close() }()
	for range 4 * mixupRing {
		s, err := c.Next(0)
		switch status.CodeOf(err) {
		case status.OK:
		case status.Lost, status.Overrun, status.Checksum:
			told = true
			continue
		default:
			return ids, told
		}
		told = told || s.Missed() > 0
		if len(s.Data()) == 9 && binary.LittleEndian.Uint64(s.Data()) == s.ID() && s.Data()[8] == b.name[0] {
			ids = append(ids, s.ID())
		}
		_ = c.Release(s)
	}
	return ids, told
}

// worse returns what is worse about a block than without what ran over it, "" if nothing is.
func (m *mixup) worse(b *mixed, want, got outcome) string {
	has := func(all []uint64, id uint64) bool {
		for _, a := range all {
			if a == id {
				return true
			}
		}
		return false
	}
	if !m.touched[b.name] {
		want = outcome{readable: true}
		for id := b.next - min(b.next, mixupRing); id < b.next; id++ {
			want.present = append(want.present, id)
		}
		for id := b.read; id < b.next; id++ {
			want.recorder = append(want.recorder, id)
		}
	}
	if want.readable && !got.readable {
		return "it cannot be read any more"
	}
	for _, id := range want.present {
		if !has(got.present, id) {
			return fmt.Sprintf("message %d is gone", id)
		}
	}
	for _, id := range want.recorder {
		if !has(got.recorder, id) && !got.told {
			return fmt.Sprintf("the recorder was not given message %d, and not told", id)
		}
	}
	return ""
}
