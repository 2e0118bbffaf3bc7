package platform

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

// word is the first word of a file that is mapped once more.
func word(t *testing.T, path string, write bool) *atomic.Uint32 {
	m := mapped(t, path, 4096, write)
	t.Cleanup(func() { Unmap(m) })
	return wordAt(m)
}

// TestNoWakeUpIsLost has threads that wait for each other's changes, each through a mapping of its
// own. A lost wake-up ends after the first part of a sleep. If one event of each pair is never set,
// the rounds take minutes. Without a loss they took 10 s on a machine with ten busy threads for
// each processor.
func TestNoWakeUpIsLost(t *testing.T) {
	const threads, rounds = 4, 300
	path := reservedFile(t, 4096)
	done := make(chan bool)
	begun := Monotonic()
	var late atomic.Int32
	for mine := range uint32(threads) {
		w := word(t, path, true)
		go func() {
			for turn := mine; turn < rounds*threads; turn += threads {
				for w.Load() != turn {
					seen := w.Load()
					if seen != turn && Wait(w, seen, deadline) {
						late.Add(1)
					}
				}
				w.Add(1)
				Wake(w)
			}
			done <- true
		}()
	}
	for range threads {
		<-done
	}
	assert.Zero(t, late.Load())
	assert.Less(t, time.Duration(Monotonic()-begun), threads*rounds*firstPart)
}

func TestEverySleeperIsWoken(t *testing.T) {
	path := reservedFile(t, 4096)
	w := word(t, path, true)
	var asleep, woken atomic.Int32
	const sleepers = 8
	for range sleepers {
		theirs := word(t, path, false)
		go func() {
			asleep.Add(1)
			for theirs.Load() == 0 {
				Wait(theirs, 0, deadline)
			}
			woken.Add(1)
		}()
	}
	require.Eventually(t, func() bool { return asleep.Load() == sleepers }, deadline, time.Millisecond)
	w.Store(1)
	Wake(w)
	assert.Eventually(t, func() bool { return woken.Load() == sleepers }, deadline, time.Millisecond)
}

// TestASleeperIsWokenWithoutAChange as an interrupted or evicted participant is.
func TestASleeperIsWokenWithoutAChange(t *testing.T) {
	w := word(t, reservedFile(t, 4096), true)
	for value := range uint32(4) {
		w.Store(value)
		ended := make(chan bool)
		go func() { ended <- Wait(w, value, deadline) }()
		for timedOut := true; timedOut; {
			Wake(w)
			select {
			case late := <-ended:
				assert.False(t, late)
				timedOut = false
			default:
				Sleep(time.Millisecond)
			}
		}
		begun := Monotonic()
		require.True(t, Wait(w, value, 30*time.Millisecond), "the signal of before ends no other sleep")
		assert.GreaterOrEqual(t, time.Duration(Monotonic()-begun), 30*time.Millisecond)
	}
	assert.False(t, Wait(w, 7, deadline), "the word has another value")
}

func TestOneOfSeveralWordsWakes(t *testing.T) {
	for _, count := range []int{1, 2, 64, 100} {
		path := reservedFile(t, 4096)
		m := mapped(t, path, 4096, true)
		words, values := make([]*atomic.Uint32, count), make([]uint32, count)
		for i := range words {
			words[i] = wordAt(m[32*i:])
			words[i].Store(uint32(i))
			values[i] = uint32(i)
		}
		begun := Monotonic()
		WaitAny(words, values, 20*time.Millisecond)
		if count <= mostEvents {
			assert.GreaterOrEqual(t, time.Duration(Monotonic()-begun), 20*time.Millisecond)
		}
		last := words[min(count, mostEvents)-1]
		seen, ended := last.Load(), make(chan bool)
		go func() {
			for last.Load() == seen {
				WaitAny(words, values, deadline)
			}
			close(ended)
		}()
		last.Add(1)
		Wake(last)
		select {
		case <-ended:
		case <-time.After(deadline):
			t.Fatal("not woken")
		}
		Unmap(m)
	}
}

// TestAWordOutsideOfEveryMappingWakes: with polls, a sleep would last half of withoutEvent.
func TestAWordOutsideOfEveryMappingWakes(t *testing.T) {
	const rounds = 100
	var own, back atomic.Uint32
	begun := Monotonic()
	assert.True(t, Wait(&own, 0, 30*time.Millisecond))
	assert.GreaterOrEqual(t, time.Duration(Monotonic()-begun), 30*time.Millisecond)
	before := openHandles(t)
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for turn := range uint32(rounds) {
			for own.Load() == turn {
				Wait(&own, turn, deadline)
			}
			back.Add(1)
			Wake(&back)
		}
	}()
	begun = Monotonic()
	for turn := range uint32(rounds) {
		own.Add(1)
		Wake(&own)
		for back.Load() == turn {
			Wait(&back, turn, deadline)
		}
	}
	assert.Less(t, time.Duration(Monotonic()-begun), rounds*withoutEvent/2)
	<-ended
	assert.Empty(t, ownWords.all, "no thread sleeps")
	assert.InDelta(t, before, openHandles(t), 5, "handles")
}

// TestAnEventWhoseNameIsTakenIsReplacedByPolling until the name is free again.
func TestAnEventWhoseNameIsTakenIsReplacedByPolling(t *testing.T) {
	path := reservedFile(t, 4096)
	info, err := StatPath(path)
	require.NoError(t, err)
	var squatters []windows.Handle
	for class := range eventsOfWord { // by objects that are no events
		name, err := windows.UTF16PtrFromString(eventName(info, 0, class))
		require.NoError(t, err)
		squatter, err := windows.CreateMutex(nil, false, name)
		require.NoError(t, err)
		squatters = append(squatters, squatter)
	}
	w := word(t, path, true)
	events := func() wordEvents {
		events, release := useEvents(addressOfWord(w))
		defer release()
		return *events
	}
	require.Equal(t, wordEvents{}, events())
	ended := make(chan bool)
	go func() { ended <- Wait(w, 0, deadline) }()
	w.Store(1)
	Wake(w)
	select {
	case late := <-ended:
		assert.False(t, late)
	case <-time.After(deadline):
		t.Fatal("not noticed")
	}
	for _, squatter := range squatters {
		require.NoError(t, windows.CloseHandle(squatter))
	}
	var found wordEvents
	require.Eventually(t, func() bool {
		found = events()
		return found.complete()
	}, deadline, 10*time.Millisecond)
	assert.Equal(t, found, events(), "an open event stays")
}

// TestTheOwnerOfTheFileMayUseItsEvents, whichever user has made them.
func TestTheOwnerOfTheFileMayUseItsEvents(t *testing.T) {
	owner, err := windows.StringToSid("S-1-5-21-1-2-3-1001")
	require.NoError(t, err)
	group, err := windows.StringToSid("S-1-5-21-1-2-3-513")
	require.NoError(t, err)
	access, err := eventSecurity(accounts{owner, group}, 0o660)
	require.NoError(t, err)
	text := access.SecurityDescriptor.String()
	for _, each := range []*windows.SID{owner, group} {
		assert.Contains(t, text, ";;;"+each.String()+")")
	}
	own, err := account()
	require.NoError(t, err)
	assert.NotContains(t, text, own.user.String(), "the maker owns the event anyway")
	path := reservedFile(t, 4096)
	m := mapped(t, path, 4096, true)
	defer Unmap(m)
	at, found := slices.BinarySearchFunc(mappings.all, addressOf(m), byStart)
	require.True(t, found)
	assert.Equal(t, own.user.String(), mappings.all[at].owner.user.String(), "the owner of the file")
}

func TestEventsAreClosedWithTheirMapping(t *testing.T) {
	path := reservedFile(t, 4096)
	m := mapped(t, path, 4096, true)
	var count [2]uint32
	for i := range count {
		for range 50 {
			Wake(wordAt(m))
			Wait(wordAt(m), 1, time.Second)
			Unmap(m)
			m = mapped(t, path, 4096, true)
		}
		count[i] = openHandles(t)
	}
	Unmap(m)
	assert.InDelta(t, count[0], count[1], 5, "handles")
}

// TestAnotherProcessIsWokenAtOnce: the child sleeps on a word, and says when it was woken. Its own
// time on the processor shows that it slept.
func TestAnotherProcessIsWokenAtOnce(t *testing.T) {
	const rounds = 20
	if path := os.Getenv("PLATFORM_TEST_WORD"); path != "" { // the child
		m := mapped(t, path, 4096, false)
		w := wordAt(m)
		_, _ = fmt.Fprintln(os.Stdout, "ready")
		for seen := uint32(0); seen < rounds; seen++ {
			for w.Load() == seen {
				Wait(w, seen, deadline)
			}
			_, _ = fmt.Fprintln(os.Stdout, "woken", Monotonic())
		}
		return
	}
	path := reservedFile(t, 4096)
	w := word(t, path, true)
	child := exec.Command(os.Args[0], "-test.run=TestAnotherProcessIsWokenAtOnce")
	child.Env = append(os.Environ(), "PLATFORM_TEST_WORD="+path)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	defer func() { _ = child.Process.Kill() }()
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Equal(t, "ready", strings.TrimSpace(lines.Text()))
	var worst time.Duration
	for range rounds {
		changed := Monotonic()
		w.Add(1)
		Wake(w)
		require.True(t, lines.Scan())
		var at uint64
		_, err := fmt.Sscanf(strings.TrimSpace(lines.Text()), "woken %d", &at)
		require.NoError(t, err, lines.Text())
		worst = max(worst, time.Duration(at-changed))
	}
	require.NoError(t, child.Wait())
	t.Logf("%s: the slowest of %d wake-ups took %v", filepath.Base(path), rounds, worst)
	assert.Less(t, worst, deadline)
}
