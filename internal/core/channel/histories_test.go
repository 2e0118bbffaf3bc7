package channel

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// Random operations of one producer and several consumers. Each result is compared with a plain
// model: a list of all messages and the position of each consumer. The seed determines a history:
// DATABLOCK_HISTORY=SEED runs this history alone and prints its steps. A build with
// -tags=invariants also checks the block after each step.

const stepsAHistory = 60

func histories() int {
	n, err := strconv.Atoi(os.Getenv("DATABLOCK_HISTORIES"))
	if err != nil {
		n = 200
	}
	if os.Getenv("DATABLOCK_SOAK") != "" {
		n *= 50
	}
	return n
}

func TestRandomHistories(t *testing.T) {
	b := newFixture(t)
	if seed, err := strconv.ParseUint(os.Getenv("DATABLOCK_HISTORY"), 10, 64); err == nil {
		newHistory(b, seed, t.Logf).run()
		return
	}
	first := rand.Uint64() >> 16
	for seed := first; seed < first+uint64(histories()); seed++ {
		quiet := func(string, ...any) {}
		if !t.Run(fmt.Sprintf("DATABLOCK_HISTORY=%d", seed), func(t *testing.T) {
			newHistory(fixture{t, b.dir}, seed, quiet).run()
		}) {
			return
		}
	}
}

// history is the block, and the model beside it.
type history struct {
	fixture
	random *rand.Rand
	log    func(string, ...any)
	name   string
	config segment.Config

	p        *Producer
	claim    *WriteSlot
	written  [][]byte // the model: every message, by id
	readers  []*modelReader
	consumed int
}

// modelReader is a consumer and its position in the model.
type modelReader struct {
	c       *Consumer
	options segment.ConsumerOptions
	next    uint64 // the smallest id that it may get next
	bound   bool   // LOSSLESS: the producer waits for it
	first   uint64 // LOSSLESS: messages below were overtaken before it was bound
	resting bool   // durable, not attached
	held    []heldMessage
}

type heldMessage struct {
	slot    ReadSlot
	inOrder bool
	covered []ReadSlot // of a LOSSLESS batch: the other messages that this hold covers
}

func newHistory(b fixture, seed uint64, log func(string, ...any)) *history {
	h := &history{fixture: b, random: rand.New(rand.NewPCG(seed, 1)), log: log, name: fmt.Sprintf("h%d", seed)}
	h.config = b.config([]segment.Policy{segment.Single, segment.DoubleBuffer, segment.Ring, segment.Ring,
		segment.Ring}[h.random.IntN(5)], 0)
	h.config.Flags |= segment.AllowLossless
	if h.config.Policy == segment.Ring {
		h.config.SlotCount = 1 + h.random.Uint32N(9)
	}
	h.config.ConsumerLimit = 4
	h.config.SpareSlots = []uint32{0, 34}[h.random.IntN(2)]
	h.config.Checksum = segment.ChecksumPolicy(h.random.IntN(3))
	return h
}

func (h *history) run() {
	defer func() {
		for _, r := range h.readers {
			if !r.resting {
				_ = r.c.Close()
			}
		}
		if h.p != nil {
			_ = h.p.Close()
		}
		require.NoError(h.t, recovery.Unlink(h.name, h.dir, segment.Force))
	}()
	h.open()
	h.log("%v, %d slots, checksums %v", h.config.Policy, h.p.SlotCount, h.config.Checksum)
	for step := range stepsAHistory {
		h.step(step)
		h.stillThere()
	}
}

func (h *history) step(number int) {
	defer func() { h.log("    next %d, oldest %d, claimed %v", h.now(), h.oldest(), h.claim != nil) }()
	switch n := h.random.IntN(100); {
	case n < 14:
		h.log("%d: claim", number)
		h.begin()
	case n < 36:
		h.log("%d: commit", number)
		h.commit()
	case n < 40:
		h.log("%d: abort", number)
		h.abort()
	case n < 46:
		h.log("%d: attach", number)
		h.attach()
	case n < 48:
		h.log("%d: producer goes and comes back", number)
		h.restart(h.random.IntN(2) == 0)
	case len(h.readers) == 0:
		h.attach()
	default:
		r := h.readers[h.random.IntN(len(h.readers))]
		h.log("%d: %v reader at %d, %d held, step %d", number, r.options.Delivery, r.next, len(r.held), n)
		h.reader(r, n)
	}
}

func (h *history) reader(r *modelReader, n int) {
	switch {
	case r.resting:
		h.back(r)
	case n < 72:
		h.read(r)
	case n < 92:
		h.release(r)
	case n < 96:
		h.readAt(r)
	default:
		h.detach(r, n < 98)
	}
}

func (h *history) open() {
	var err error
	h.p, err = OpenProducer(h.name, h.config)
	require.NoError(h.t, err)
	h.p.invariant()
	require.EqualValues(h.t, len(h.written), h.p.next)
}

func (h *history) slots() uint64 { return uint64(max(1, h.p.SlotCount)) }

func (h *history) now() uint64 { return uint64(len(h.written)) }

func (h *history) oldest() uint64 {
	if n := h.slots(); h.now() > n {
		return h.now() - n
	}
	return 0
}

// cursor returns what binds the producer: the first message held in order, or the next one.
func (r *modelReader) cursor() uint64 {
	for _, m := range r.held {
		if m.inOrder {
			return min(m.slot.ID()-m.slot.Missed(), r.next) // a gap is reported again until its message is released
		}
	}
	return r.next
}

func (h *history) begin() {
	if h.claim != nil {
		_, err := h.p.Claim(0)
		require.ErrorIs(h.t, err, status.Invalid)
		return
	}
	for _, r := range h.readers {
		r.bound = r.bound || r.options.Delivery == segment.Lossless // the backpressure check has seen it, if it ran
	}
	held := false
	for _, r := range h.readers {
		held = held || r.options.Delivery == segment.Lossless && r.bound && h.now()-r.cursor() >= h.slots()
	}
	s, err := h.p.Claim(0)
	if held {
		require.ErrorIs(h.t, err, status.Timeout)
		return
	}
	require.NoError(h.t, err, "no reader is in the way")
	require.Equal(h.t, h.now(), s.ID())
	h.claim = &s
}

func (h *history) commit() {
	if h.claim == nil {
		h.begin()
	}
	if h.claim == nil {
		return
	}
	message := make([]byte, h.random.IntN(len(h.claim.Data())+1))
	for i := range message {
		message[i] = byte(h.random.Uint32())
	}
	copy(h.claim.Data(), message)
	if h.config.Checksum == segment.ChecksumManual {
		require.NoError(h.t, h.p.Seal(*h.claim, len(message)))
	}
	require.NoError(h.t, h.p.Commit(*h.claim, len(message)))
	h.written, h.claim = append(h.written, message), nil
	for _, r := range h.readers { // what is overtaken before the producer has seen the consumer only moves the start
		if r.options.Delivery == segment.Lossless && !r.bound {
			r.first = h.oldest()
			r.next = max(r.next, r.first)
		}
	}
}

func (h *history) abort() {
	if h.claim == nil {
		return
	}
	for i := range h.claim.Data() {
		h.claim.Data()[i] = 0xa5
	}
	require.NoError(h.t, h.p.Abort(*h.claim))
	h.claim = nil
}

// restart ends the producer, cleanly or as a kill does, and opens another one.
func (h *history) restart(dies bool) {
	if dies {
		die(h.p.Attachment)
		old := h.p
		defer func() { _ = old.Close() }()
	} else {
		require.NoError(h.t, h.p.Close())
	}
	h.claim = nil
	h.open()
}

func (h *history) attach() {
	o := segment.ConsumerOptions{Delivery: segment.Delivery(1 + h.random.IntN(3)), Start: segment.Start(h.random.IntN(
		2)),
		MaxPins: 1 + h.random.Uint32N(3), Directory: h.dir}
	if o.Delivery != segment.Latest && h.random.IntN(3) == 0 {
		h.consumed++
		o.Durable, o.Name = true, fmt.Sprintf("durable %d", h.consumed)
	}
	h.log("   %+v", o)
	r := &modelReader{options: o}
	var err error
	r.c, err = OpenConsumer(h.name, o)
	if len(h.readers) == int(h.config.ConsumerLimit) {
		require.ErrorIs(h.t, err, status.Full)
		return
	}
	require.NoError(h.t, err)
	r.next = h.now()
	if o.Start == segment.StartOldest {
		r.next = h.oldest()
	} else if o.Delivery == segment.Latest && h.now() > 0 {
		r.next = h.now() - 1
	}
	r.bound = o.Delivery == segment.Lossless && o.Start == segment.StartLatest
	h.readers = append(h.readers, r)
}

// detach ends a consumer, cleanly or as a kill does. After a kill another process cleans up.
func (h *history) detach(r *modelReader, dies bool) {
	if dies {
		die(r.c.Attachment)
		old := r.c
		defer func() { _ = old.Close() }()
		_, err := recovery.CleanupDeadConsumers(h.name, h.dir, 1<<62)
		require.NoError(h.t, err)
	} else {
		require.NoError(h.t, r.c.Close())
	}
	if r.options.Durable { // it continues after the messages that it has released
		r.resting, r.next, r.held = true, max(r.cursor(), r.first), nil
		return
	}
	for i := range h.readers {
		if h.readers[i] == r {
			h.readers = append(h.readers[:i], h.readers[i+1:]...)
			return
		}
	}
}

// back attaches a durable consumer under its name.
func (h *history) back(r *modelReader) {
	var err error
	r.c, err = OpenConsumer(h.name, r.options)
	require.NoError(h.t, err)
	r.resting = false
}

func (h *history) read(r *modelReader) {
	batch := make([]ReadSlot, 1+h.random.IntN(4))
	n, err := r.c.NextBatch(0, batch)
	s := batch[0]
	if len(r.held) == int(r.options.MaxPins) {
		require.ErrorIs(h.t, err, status.Busy)
		return
	}
	if r.next >= h.now() {
		require.ErrorIs(h.t, err, status.Timeout)
		return
	}
	want := r.next
	switch r.options.Delivery {
	case segment.Ordered:
		want = max(want, h.oldest())
	case segment.Latest:
		want = h.now() - 1
	}
	require.NoError(h.t, err)
	require.Equal(h.t, want, s.ID())
	if r.options.Delivery != segment.Lossless {
		require.Equal(h.t, want-r.next, s.Missed())
	}
	r.next = want + 1
	r.held = append(r.held, heldMessage{s, r.options.Delivery != segment.Latest, nil})
	h.readMore(r, batch, n)
}

// readMore reads the rest of a batch: what is there, as far as it may be held.
func (h *history) readMore(r *modelReader, batch []ReadSlot, n int) {
	covers := r.options.Delivery == segment.Lossless && r.c.joining == 0 &&
		!r.c.find(batch[0].ID(), batch[0].Index(), batch[0].Token()).pinned
	may := min(len(batch)-1, int(h.now()-r.next))
	if r.options.Delivery == segment.Latest {
		may = 0
	} else if !covers {
		may = min(may, int(r.options.MaxPins)-len(r.held))
	}
	require.Equal(h.t, 1+may, n)
	for _, s := range batch[1:n] {
		require.Equal(h.t, r.next, s.ID())
		require.Zero(h.t, s.Missed())
		require.Equal(h.t, covers, s.Token() == batch[0].Token())
		r.next++
		if covers {
			last := &r.held[len(r.held)-1]
			last.covered = append(last.covered, s)
		} else {
			r.held = append(r.held, heldMessage{s, true, nil})
		}
	}
}

func (h *history) release(r *modelReader) {
	if len(r.held) == 0 {
		require.ErrorIs(h.t, r.c.Release(ReadSlot{id: r.next}), status.Invalid)
		return
	}
	i := h.random.IntN(len(r.held))
	m := r.held[i]
	err := r.c.Release(m.slot)
	if first := r.cursor(); r.options.Delivery == segment.Lossless && m.inOrder && m.slot.ID() != first {
		require.ErrorIs(h.t, err, status.Invalid)
		return
	}
	require.NoError(h.t, err)
	r.held = append(r.held[:i], r.held[i+1:]...)
}

func (h *history) readAt(r *modelReader) {
	id := uint64(h.random.IntN(len(h.written) + 2))
	s, err := r.c.ReadAt(id)
	switch {
	case len(r.held) == int(r.options.MaxPins):
		require.ErrorIs(h.t, err, status.Busy)
	case id >= h.now():
		require.ErrorIs(h.t, err, status.NotFound)
	case id < h.oldest():
		require.ErrorIs(h.t, err, status.Overrun)
	default:
		require.NoError(h.t, err)
		require.Equal(h.t, id, s.ID())
		r.held = append(r.held, heldMessage{s, false, nil})
	}
}

// stillThere checks every held message: no process has written to it.
func (h *history) stillThere() {
	for _, r := range h.readers {
		for _, m := range r.held {
			for _, s := range append([]ReadSlot{m.slot}, m.covered...) {
				require.True(h.t, bytes.Equal(h.written[s.ID()], s.Data()), "message %d has changed while it was held",
					s.ID())
				if h.config.Checksum != segment.ChecksumNone {
					require.NoError(h.t, r.c.Verify(s))
				}
			}
		}
	}
}

func TestAnInvariantThatIsBrokenIsNoticed(t *testing.T) {
	if !invariantsOn {
		t.Skip("the block is checked after each step with -tags=invariants only")
	}
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	write(t, p, 3)
	slot := layout.EntrySlot(p.Entries[1].Load())
	id := p.Data.Plain64(p.SlotHeader(slot) + layout.SlotID)
	*id = 7
	require.PanicsWithValue(t, fmt.Sprintf("invariant: slot %d says message 7, entry 1 says 1", slot),
		func() { write(t, p, 1) })
	*id = 1
}
