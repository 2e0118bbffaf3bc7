//go:build windows

package platform

import (
	"sync/atomic"
	"time"
	"unsafe" // the address of a word in a mapping

	"golang.org/x/sys/windows"
)

// Windows has no futex that reaches another process. Here a word has two events with manual reset,
// one for even and one for odd values. All processes find them by the word's file and offset. A
// word in no mapping has events too, for the threads of this process.
//
// To sleep while the word has the value v, a thread
//
//	1. resets event v mod 2
//	2. loads the word. If it is not v, the thread sets the event again, and does not sleep
//	3. waits for the event
//
// To wake, a thread that has changed the word before sets both events.
//
// No wake-up is lost while each thread gets from step 2 to step 3 within two changes of the word:
//
//   - The change comes before step 2: the thread sees the change, and does not sleep. It repairs
//     what its own reset may have undone for another thread with the same value.
//   - The change comes after step 2: then the waking thread sets the event after step 1. Only a
//     thread that begins to sleep resets an event. One with the value v sees the change and sets
//     the event again. One with the next value has the other event. The event stays set until the
//     word has changed twice, and a thread with that value begins to sleep.
//   - Several threads change the word and wake at once: each sets both events after its own change.
//   - The word has not changed, as for an interrupt or an eviction: a thread between step 1 and
//     step 3 may miss the wake-up. On Linux a thread before the futex call misses it as well.
//
// A thread that is not scheduled during two changes between step 2 and step 3, or whose counterpart
// dies between step 1 and step 2, may sleep on. Therefore a sleep has two parts. After the short
// first part the thread loads the word again. The timeout of the caller bounds the second part.
//
// No thread polls without end: an event that is set too long ends one sleep, and the next sleep
// begins with a reset.

const (
	eventsOfWord = 2
	firstPart    = 20 * time.Millisecond

	// withoutEvent is the interval in which a thread loads a word whose event it cannot use.
	withoutEvent = 10 * time.Millisecond
	// mostEvents is the system's limit for one wait (MAXIMUM_WAIT_OBJECTS).
	mostEvents = 64
	// withoutMost is the timeout of a sleep when one wait does not cover all words.
	withoutMost = time.Millisecond
)

// Wait sleeps while *word is value, until Wake or the timeout. The caller polls again in every
// case. The mapping may be read-only. Wait reports whether the timeout ended the sleep.
func Wait(word *atomic.Uint32, value uint32, timeout time.Duration) (timedOut bool) {
	return waitFor([]*atomic.Uint32{word}, []uint32{value}, timeout)
}

// WaitAny is Wait on several words: it sleeps while every word has its value of values. With more
// than 64 words WaitAny watches the first 64, and sleeps for one tick of the system's timer. That
// is one millisecond if a program has asked for short ticks, and up to 15.6 ms otherwise.
func WaitAny(words []*atomic.Uint32, values []uint32, timeout time.Duration) {
	if len(words) > mostEvents {
		words, timeout = words[:mostEvents], min(timeout, withoutMost)
	}
	waitFor(words, values, timeout)
}

func waitFor(words []*atomic.Uint32, values []uint32, timeout time.Duration) (timedOut bool) {
	handles := make([]windows.Handle, 0, len(words))
	slice := timeout
	for i, word := range words {
		address := addressOfWord(word)
		events, release := useEvents(address)
		if events == nil {
			events, release = useOwnEvents(address, true)
		}
		defer release()
		event := events[values[i]%eventsOfWord]
		if event == 0 {
			slice = min(slice, withoutEvent)
			continue
		}
		_ = windows.ResetEvent(event)
		if word.Load() != values[i] {
			_ = windows.SetEvent(event)
			return false
		}
		handles = append(handles, event)
	}
	unchanged := func() bool {
		for i, word := range words {
			if word.Load() != values[i] {
				return false
			}
		}
		return true
	}
	slice = min(slice, firstPart)
	for begun := Monotonic(); unchanged(); {
		left := timeout - time.Duration(Monotonic()-begun)
		if left <= 0 {
			return true
		}
		if signaled(handles, min(left, slice)) {
			return false
		}
		if len(handles) == len(words) {
			slice = left
		}
	}
	return false
}

// signaled waits for one of the events, and reports false after the timeout.
func signaled(events []windows.Handle, timeout time.Duration) bool {
	if len(events) == 0 {
		Sleep(timeout)
		return false
	}
	event, err := windows.WaitForMultipleObjects(events, false, milliseconds(timeout))
	if err != nil {
		Sleep(min(timeout, withoutMost)) // the program has closed an event of the library
		return true
	}
	return event != uint32(windows.WAIT_TIMEOUT)
}

// Wake wakes every thread that sleeps on word.
func Wake(word *atomic.Uint32) {
	address := addressOfWord(word)
	events, release := useEvents(address)
	if events == nil {
		if events, release = useOwnEvents(address, false); events == nil {
			return
		}
	}
	defer release()
	for _, event := range events {
		if event != 0 {
			_ = windows.SetEvent(event)
		}
	}
}

func addressOfWord(word *atomic.Uint32) uintptr { return uintptr(unsafe.Pointer(word)) }
