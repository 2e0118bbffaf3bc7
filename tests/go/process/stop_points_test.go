//go:build !windows

package process_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"datablock/internal/core/channel"
	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// TestStoppedAtEveryPoint stops a process at each crash point, on every side. Unlike a killed
// process, a stopped one keeps its locks and holds. The others continue, or wait and can find out
// for which process. Only force takes something from it. Then the process resumes, and gets a
// status if something was taken in the meantime.
func TestStoppedAtEveryPoint(t *testing.T) {
	all := crashPoints(t)
	for _, point := range chosen(slices.Sorted(maps.Keys(all))) {
		for _, s := range all[point] {
			t.Run(point+"/"+string(s), func(t *testing.T) {
				t.Parallel()
				first, rounds := turnOf(t), 1
				if soak {
					rounds = 4 * len(languages)
				}
				candidates := routesTo(point)
				for round := range rounds {
					victim := victimOn(point, s, first+round, soak || first%6 == 0)
					others := compiled()[(first+round/2)%len(compiled())]
					reached := false
					for attempt := 0; !reached && !t.Failed() && attempt < 3*len(candidates); attempt++ {
						r := candidates[(first+round+attempt)%len(candidates)]
						reached = stoppedAt(t, all[point], s, point, r, victim, others, (first+round)%2 == 1)
					}
					require.True(t, reached || t.Failed(), "no route stops %s at %s in %s", victim, point, s)
				}
			})
		}
	}
}

// victimOn returns a language whose worker has this side.
func victimOn(point string, s side, turn int, python bool) string {
	among := speakersOf(point, s)
	among = slices.DeleteFunc(slices.Clone(among), func(language string) bool {
		return language == "python" && !python || missing[language] != ""
	})
	return among[turn%len(among)]
}

// stop is an experiment: a victim is stopped once, and other participants act in the meantime.
type stop struct {
	*kill
	byForce bool // the others take by force what they can

	v       *worker
	role    string
	args    string
	done    bool
	evicted bool
	fenced  bool
}

// stoppedAt stops a victim at a point, and checks the others, then what is left. It reports whether
// the victim reached the point.
func stoppedAt(t *testing.T, sides []side, on side, point string, r route, victim, others string, byForce bool) bool {
	t.Helper()
	reached := false
	ok := t.Run(fmt.Sprintf("%s/%s_among_%s", r.name, victim, others), func(t *testing.T) {
		k := newKill(t, victim, others)
		k.env = trigger("DATABLOCK_STOP", sides, on, point, victim, 1)
		s := &stop{kill: k, byForce: byForce}
		k.launched, k.meanwhile = s.notice, s.look
		v, died := r.walk(k)
		require.False(t, died && s.done, "it ended")
		reached = s.done
		if !reached {
			return
		}
		s.settle(v)
		k.aftermath()
	})
	return ok && reached
}

// notice records the worker that is going to be stopped.
func (s *stop) notice(w *worker, l launch) {
	if slices.ContainsFunc(l.env, func(v string) bool { return strings.HasPrefix(v, "DATABLOCK_STOP=") }) {
		s.v, s.role, s.args = w, l.role, strings.Join(l.args, " ")
	}
}

// look waits for the stop, runs the other participants, and resumes the victim.
func (s *stop) look() {
	if s.done || s.v == nil || state(s.v.pid()) != "T" {
		return
	}
	s.done = true
	switch {
	// An unfinished repair is damage, and without its name there is no block.
	case strings.HasPrefix(s.point(), "repair."), strings.HasPrefix(s.point(), "unlink."):
	case s.role == "produce":
		s.withoutProducer()
	default:
		s.withoutReader()
	}
	s.v.signal(syscall.SIGCONT)
}

// withoutProducer: the producer is stopped. A late consumer may read the messages in the ring. No
// other producer may write, and only force ends the claim.
func (s *stop) withoutProducer() {
	s.t.Helper()
	if !slices.Contains(s.files(), block) { // it is creating the block; another process may be faster
		if s.byForce {
			p, err := channel.OpenProducer(block, s.config())
			require.NoError(s.t, err, "a creator that is stopped keeps nobody from creating the block")
			require.NoError(s.t, p.Close())
		}
		return
	}
	if s.locked(layout.ProducerRow) {
		_, err := channel.OpenProducer(block, s.config())
		require.Contains(s.t, []status.Code{status.ProducerActive, status.Busy}, status.CodeOf(err), "%v", err)
	}
	s.lateReader()
	for _, slot := range s.diagnosis().Slots {
		if slot.State != recovery.SlotWriting || slot.WriteLock != uint64(s.v.pid()) {
			continue
		}
		result, err := recovery.ReleaseZombieWriter(block, s.dir, slot.Index)
		require.Equal(s.t, recovery.RecoveryUnsafe, result, "%v", err)
		if s.byForce {
			result, err := recovery.ForceResetSlot(block, s.dir, slot.Index, true)
			require.Equal(s.t, recovery.RecoverySuccess, result, "%v", err)
			s.fenced = true
		}
	}
}

func (b *fixture) config() segment.Config {
	c := segment.DefaultConfig(segment.Ring)
	c.Directory, c.SlotCount, c.SlotSize = b.dir, ring, uint64(b.slotSize)
	return c
}

// locked reports whether a process has the lease of a row.
func (b *fixture) locked(row int64) bool {
	at := layout.LockRows + layout.LockStride*row
	return slices.ContainsFunc(b.locks(), func(r [2]int64) bool { return r[0] <= at && at < r[0]+r[1] })
}

// lateReader attaches while the victim is stopped, and reads all messages in the ring in order.
// While the block is being replaced the attach fails.
func (s *stop) lateReader() {
	s.t.Helper()
	c, err := channel.OpenConsumer(block,
		segment.ConsumerOptions{Delivery: segment.Ordered, Start: segment.StartOldest, Directory: s.dir})
	if code := status.CodeOf(err); code == status.Busy || code == status.Superseded {
		require.NotEqual(s.t, uint64(layout.StateReady), s.word(s.dataPath(), layout.State)&0xffffffff, "%v", err)
		return
	}
	require.NoError(s.t, err, "coming while somebody is stopped")
	end, next := s.word(s.dataPath(), layout.Commit), uint64(0)
	for next < end {
		m, err := c.Next(0)
		if status.CodeOf(err) == status.Lost {
			next++
			continue
		}
		require.NoError(s.t, err, "message %d of %d", next, end)
		require.True(s.t, next == 0 || m.ID() == next+m.Missed(), "message %d after %d", m.ID(), next)
		next = m.ID() + 1
		require.NoError(s.t, c.Release(m))
	}
	require.NoError(s.t, c.Close())
}

// withoutReader: the producer continues up to the backpressure of a stopped LOSSLESS reader, and
// further after an eviction of this reader.
func (s *stop) withoutReader() {
	s.t.Helper()
	s.lateReader()
	p, holder := s.producer, recovery.RowInfo{}
	if p != nil && !p.busy() && s.word(s.dataPath(), layout.ClaimID) == 0 {
		p.mu.Lock()
		p.unheard++
		p.mu.Unlock()
		p.send(fmt.Sprintf("write %d", 2*ring))
	}
	goesOn := func() bool { return p == nil || !p.busy() || s.word(s.dataPath(), layout.ClaimID) != 0 }
	held := false
	eventually(s.t, func() bool {
		if goesOn() {
			return true
		}
		holder, held = s.holder()
		return held
	}, "the producer goes on, or is held up by whom the diagnosis names")
	row, attached := s.row(s.v.pid())
	if held && attached {
		require.Equal(s.t, row.Row, holder.Row, "who holds the producer up")
	}
	if !attached || row.Status != layout.RowActive {
		return
	}
	_, err := recovery.CleanupDeadConsumers(block, s.dir, 0)
	require.NoError(s.t, err)
	still, attached := s.row(s.v.pid())
	require.True(s.t, attached && still.Status == layout.RowActive, "a stopped reader keeps its row")
	for _, slot := range s.diagnosis().Slots {
		if slices.ContainsFunc(slot.Holders, func(h recovery.Holder) bool { return h.PID == uint64(s.v.pid()) }) {
			result, err := recovery.ForceResetSlot(block, s.dir, slot.Index, false)
			require.Equal(s.t, recovery.RecoveryUnsafe, result, "%v", err)
		}
	}
	if result, _ := recovery.EvictConsumer(block, s.dir, row.Row, false); s.evictable() && s.byForce {
		require.Equal(s.t, recovery.RecoveryUnsafe, result)
		result, err := recovery.EvictConsumer(block, s.dir, row.Row, true)
		require.Equal(s.t, recovery.RecoverySuccess, result, "%v", err)
		s.evicted = true
		eventually(s.t, goesOn, "the producer goes on without the evicted reader")
	}
}

// evictable excludes victims whose cursor or lock the route needs later.
func (s *stop) evictable() bool {
	word, _, _ := strings.Cut(s.point(), ".")
	return !strings.Contains(s.args, "--durable") && word != "lock" && word != "zone"
}

func (s *stop) point() string { return strings.TrimPrefix(s.env[0], "DATABLOCK_STOP=") }

// holder returns the row for which the producer waits now, if it is the victim's row or a row that
// the victim has begun to clean.
func (s *stop) holder() (recovery.RowInfo, bool) {
	s.t.Helper()
	d := s.diagnosis()
	if next := d.Block.NextID; s.word(s.dataPath(), layout.ProducerWaiting)+ring-1 == next {
		for _, r := range d.Rows {
			mine := r.PID == uint64(s.v.pid()) || s.witness == nil || r.PID != uint64(s.witness.pid())
			bound := s.word(s.controlPath(), int64(layout.CtlLossless+r.Row/64*8))>>(r.Row%64)&1 == 1
			if mine && bound && r.Cursor+ring <= next {
				return r, true
			}
		}
	}
	return recovery.RowInfo{}, false
}

// settle makes the victim execute one more command and close.
func (s *stop) settle(v *worker) {
	s.t.Helper()
	s.meanwhile = nil
	require.NotNil(s.t, v)
	said := strings.Join(v.said, "\n")
	// The message of an evicted reader may be overwritten meanwhile, and the reader gets FENCED.
	require.True(s.t, s.evicted || !strings.Contains(said, "bad=1"), said)
	require.NotContains(s.t, said, "CORRUPT")
	require.False(s.t, !s.evicted && strings.Contains(s.args, "lossless") && strings.Contains(said, "OVERRUN"),
		"what a stopped reader had before it was taken away:\n%s", said)
	require.True(s.t, s.evicted || s.fenced || !strings.Contains(said, "FENCED"), "nobody took anything from it:\n%s",
		said)
	if s.role == "recover" || slices.Contains(v.said, "closed") {
		v.send("exit")
		v.deathSignal()
		return
	}
	switch {
	case s.role == "produce":
		require.True(s.t, !s.fenced || strings.Contains(said, "FENCED"),
			"it was not told that its claim was broken:\n%s", said)
		eventually(s.t, func() bool { return parseSummary(v.ask("write 3", "wrote="))["end"] == "OK" }, "it writes on")
		v.send("exit") // a close would end the stream of the others
		v.deathSignal()
		return
	case s.evicted:
		if !strings.Contains(said, "FENCED") {
			require.Contains(s.t, v.ask("read 1", "read="), "end=FENCED")
		}
		again := s.consumer(s.kill.victim, "ordered", "--start=oldest")
		again.read(1)
		again.close()
	}
	v.close()
}
