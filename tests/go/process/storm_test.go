package process_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"datablock/internal/core/recovery"

	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// post is a role in a storm. When its worker dies, another worker takes the post, in another
// language.
type post struct {
	role     string // for the count of kills
	delivery string // "": the producer
	args     []string
	stays    bool // the worker is never killed, and never attaches again
	back     bool // durable: continues where it stopped, and may read the last message again
	gapless  bool // reads every message

	w        *worker
	language string
	attached bool
	lives    int
	next     uint64 // the next expected id
	fresh    bool   // this worker has read nothing yet
	end      string // the last line of a reader
}

// stormy is a block with all its posts.
type stormy struct {
	*fixture
	storm *storm
	name  string
	args  []string // of its producers
	posts []*post
	salts []uint32 // by id: the writer, 0: unknown
}

// storm kills workers at random moments, in several blocks at once.
type storm struct {
	t      *testing.T
	random *rand.Rand
	blocks []*stormy
	salt   uint32
	kills  map[string]int // by role and language
	died   map[*post]int
	read   uint64 // messages, each verified
}

func durable(delivery string) *post {
	return &post{role: "durable " + delivery, delivery: delivery, args: []string{"--durable", "--name=log"}, back: true,
		gapless: delivery == "lossless"}
}

func mortal(delivery string) *post { return &post{role: delivery, delivery: delivery} }

func immortal(delivery string) *post {
	return &post{role: delivery + " that stays", delivery: delivery, stays: true, gapless: delivery == "lossless"}
}

// TestStorm kills producers and consumers of all languages at random moments and starts them again,
// in three blocks of different policies at once. The other participants continue:
//
//   - A consumer that is never killed reads on without a second attach.
//   - A LOSSLESS consumer reads every message in order.
//   - A durable LOSSLESS consumer reads every message at least once.
//   - An ORDERED consumer gets the exact number of missed messages.
//   - No id has two contents.
//
// DATABLOCK_STORM_SEED=N repeats the choices of another run, DATABLOCK_STORM=N is the number of
// kills.
func TestStorm(t *testing.T) {
	kills, seed := 200, rand.Uint64()
	if soak {
		kills = 10_000
	}
	if n, err := strconv.Atoi(os.Getenv("DATABLOCK_STORM")); err == nil {
		kills = n
	}
	if n, err := strconv.ParseUint(os.Getenv("DATABLOCK_STORM_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("DATABLOCK_STORM_SEED=%d", seed)
	s := &storm{t: t, random: rand.New(rand.NewPCG(seed, 0)), kills: map[string]int{}, died: map[*post]int{}}
	s.add("ring", []string{"--slots=8"}, durable("lossless"), mortal("ordered"), mortal("latest"), immortal("lossless"),
		immortal("ordered"), immortal("latest"))
	s.add("single", []string{"--policy=single", "--flags=lossless,timestamp"}, durable("lossless"), mortal("lossless"),
		mortal("latest"), immortal("lossless"), immortal("latest"))
	s.add("double", []string{"--policy=double"}, durable("ordered"), mortal("ordered"), mortal("latest"),
		immortal("ordered"), immortal("latest"))
	s.begin()
	begun := time.Now()
	deck := []*post(nil)
	for i := range kills {
		if len(deck) == 0 { // each post is struck as often as the others
			deck = s.victims()
		}
		s.strike(deck[0])
		deck = deck[1:]
		if (i+1)%1000 == 0 {
			t.Logf("%d kills in %v, %d messages read", i+1, time.Since(begun).Round(time.Second), s.read)
		}
	}
	s.finish(kills)
}

func (s *storm) add(name string, args []string, posts ...*post) {
	b := &stormy{fixture: newFixture(s.t), storm: s, name: name,
		args: append(args, fmt.Sprintf("--slot-size=%d", capacity), "--echo", "--rate=1000")}
	b.posts = append([]*post{{role: "producer"}}, posts...)
	s.blocks = append(s.blocks, b)
}

// language returns a random language. Python is rare, because it starts slowly.
func (s *storm) language() string {
	if s.random.IntN(4) == 0 {
		return languages[s.random.IntN(len(languages))]
	}
	return compiled()[s.random.IntN(len(compiled()))]
}

func (s *storm) victims() (all []*post) {
	for _, b := range s.blocks {
		all = append(all, slices.DeleteFunc(slices.Clone(b.posts), func(p *post) bool { return p.stays })...)
	}
	s.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// begin attaches all workers before the first message.
func (s *storm) begin() {
	for _, b := range s.blocks {
		for _, p := range b.posts {
			p.language = s.language()
			if p.stays {
				p.language = languages[s.random.IntN(len(languages))]
			}
			b.man(p)
			s.until(func() bool { return p.attached }, "%s of %s attaches", p.role, b.name)
		}
	}
	for _, b := range s.blocks {
		b.posts[0].w.send("write 1000000000")
	}
}

// man starts a worker at a post. The worker gets its commands before it has opened the block.
func (b *stormy) man(p *post) {
	p.lives++
	p.attached, p.fresh = false, true
	l := launch{language: p.language, role: "consume"}
	if p.delivery == "" {
		b.storm.salt++
		l.role = "produce"
		l.args = append(b.args[:len(b.args):len(b.args)], fmt.Sprintf("--salt=%d", b.storm.salt))
	} else {
		l.args = b.consumerArgs(
			append(p.args[:len(p.args):len(p.args)], "--delivery="+p.delivery, "--start=oldest", "--echo")...)
	}
	p.w = b.launch(l)
	switch {
	case p.delivery != "":
		p.w.send("read 0")
	case p.lives > 1:
		p.w.send("write 1000000000")
	}
}

// strike kills the worker of a post some messages later, and starts another worker there.
func (s *storm) strike(p *post) {
	b := s.blocks[slices.IndexFunc(s.blocks, func(b *stormy) bool { return slices.Contains(b.posts, p) })]
	if s.random.IntN(10) > 0 { // otherwise the worker may still be attaching
		goal := b.word(b.dataPath(), layout.Commit) + s.random.Uint64N(40)
		s.until(func() bool { return p.attached && b.word(b.dataPath(), layout.Commit) >= goal },
			"%s of %s attaches, and message %d is written", p.role, b.name, goal)
	}
	p.w.kill()
	s.until(p.w.over, "what %s of %s has said is heard", p.role, b.name)
	s.kills[p.role+" in "+p.language]++
	s.died[p]++
	p.language = s.language()
	b.man(p)
}

// until handles the lines of all workers until the condition holds.
func (s *storm) until(condition func() bool, format string, args ...any) {
	s.t.Helper()
	for deadline := time.Now().Add(6 * patience); !condition(); time.Sleep(time.Millisecond) {
		s.hear()
		if time.Now().After(deadline) {
			s.t.Fatalf("not within %v: %s", 6*patience, fmt.Sprintf(format, args...))
		}
	}
}

func (s *storm) hear() {
	for _, b := range s.blocks {
		for _, p := range b.posts {
			b.hear(p)
		}
	}
}

// drain takes all lines of a worker without keeping them.
func (w *worker) drain() (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines, w.lines = w.lines, nil
	return lines
}

// over reports whether a worker has ended and all its lines were taken.
func (w *worker) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.eof && len(w.lines) == 0
}

// hear checks the lines of a post's worker.
func (b *stormy) hear(p *post) {
	b.t.Helper()
	if p.w == nil {
		return // this worker has not attached yet
	}
	for _, line := range p.w.drain() {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "attached":
			p.attached = true
		case "committed":
			var m message
			_, err := fmt.Sscanf(rest, "%d %d", &m.id, &m.salt)
			require.NoError(b.t, err, line)
			b.wrote(p, m)
		case "message":
			m, err := parseMessage(rest)
			require.NoError(b.t, err, line)
			b.check(p, m)
		default:
			require.True(b.t, strings.HasPrefix(line, "read="), "%s: %s", p.w.what, line)
			p.end = line
		}
	}
}

func parseMessage(text string) (m message, err error) {
	fields := strings.Fields(text)
	if len(fields) != 4 {
		return m, fmt.Errorf("%d fields", len(fields))
	}
	for i, number := range []*uint64{&m.id, &m.salt, &m.missed} {
		if *number, err = strconv.ParseUint(fields[i], 10, 64); err != nil {
			return m, err
		}
	}
	m.good = fields[3] == "true"
	return m, nil
}

// wrote records the writer of a message. Salt 0 means that the message is too short to identify it.
func (b *stormy) wrote(p *post, m message) {
	b.t.Helper()
	for uint64(len(b.salts)) <= m.id {
		b.salts = append(b.salts, 0)
	}
	if known := b.salts[m.id]; known != 0 && m.salt != 0 && known != uint32(m.salt) {
		b.t.Fatalf("%s, block %q: message %d had two contents: of producers %d and %d", p.w.what, b.name, m.id, known,
			m.salt)
	}
	if m.salt != 0 {
		b.salts[m.id] = uint32(m.salt)
	}
}

// check checks the contents of a message, and its order by the rules of the delivery.
func (b *stormy) check(p *post, m message) {
	b.t.Helper()
	b.storm.read++
	require.True(b.t, m.good, "%s: message %d is torn", p.w.what, m.id)
	b.wrote(p, m)
	switch {
	case p.gapless && m.id != p.next && (!p.fresh || m.id+1 != p.next):
		b.t.Fatalf("%s, block %q: message %d where %d was due", p.w.what, b.name, m.id, p.next)
	case !p.fresh && m.id != p.next+m.missed:
		b.t.Fatalf("%s, block %q: message %d where %d was due, and it says that it missed %d", p.w.what, b.name, m.id,
			p.next, m.missed)
	case p.delivery == "lossless" && m.missed != 0:
		b.t.Fatalf("%s, block %q: message %d: LOSSLESS missed %d", p.w.what, b.name, m.id, m.missed)
	case p.fresh && p.back && m.id+1 < p.next:
		b.t.Fatalf("%s, block %q: begins at message %d, and %d was due", p.w.what, b.name, m.id, p.next)
	}
	p.next, p.fresh = m.id+1, false
}

// finish ends the streams, and checks that each post has its messages.
func (s *storm) finish(kills int) {
	written := uint64(0)
	for _, b := range s.blocks {
		s.until(func() bool { return !slices.ContainsFunc(b.posts, func(p *post) bool { return !p.attached }) },
			"everybody is back")
		b.posts[0].w.kill()
		s.until(b.posts[0].w.over, "what the last producer of %s has said is heard", b.name)
		s.salt++
		last := b.launch(launch{language: compiled()[0], role: "produce",
			args: append(b.args[:len(b.args)-1], fmt.Sprintf("--salt=%d", s.salt))}).attached()
		n := last.write(2*ring).number(s.t, "last") + 1
		for _, m := range last.committed() {
			b.wrote(b.posts[0], m)
		}
		last.close()
		written += n
		for _, p := range b.posts[1:] {
			s.until(func() bool { return p.end != "" }, "%s of %s reads to the end", p.role, b.name)
			end := parseSummary(p.end)
			require.Equal(s.t, [2]string{"CLOSED", "0"}, [2]string{end["end"], end["bad"]}, "%s: %s", p.w.what, p.end)
			require.Equal(s.t, n, p.next, "%s of %s: the last message", p.role, b.name)
			require.True(s.t, !p.stays || p.lives == 1)
		}
		found, err := recovery.ValidateIntegrity(block, b.dir)
		require.NoError(s.t, err)
		require.True(s.t, found.Healthy(), found.Message())
		for _, p := range b.posts[1:] {
			p.w.close()
		}
		b.leavesNothing()
	}
	s.report(kills, written)
}

// report prints the numbers. A post that was rarely struck would prove nothing.
func (s *storm) report(kills int, written uint64) {
	for _, b := range s.blocks {
		for _, p := range b.posts {
			require.True(s.t, p.stays || s.died[p] >= kills/len(s.victims()), "%s of %s died %d times only", p.role,
				b.name, s.died[p])
			if !p.stays {
				s.t.Logf("block %s: %s killed %d times", b.name, p.role, s.died[p])
			}
		}
	}
	for _, who := range slices.Sorted(maps.Keys(s.kills)) {
		s.t.Logf("%4d kills: %s", s.kills[who], who)
	}
	s.t.Logf("%d kills, %d messages written, %d read, and each of these verified", kills, written, s.read)
}
