package platform

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

// A mapping is the view of a file that this process has mapped. It translates the address of a word
// to the events of the word, which all processes find by volume, index and offset of the word.
type mapping struct {
	start, end uintptr
	file       FileInfo
	owner      accounts // of the file
	directory  string

	guard  sync.Mutex
	events map[uint64]*wordEvents // by offset
	failed map[uint64]uint64      // by offset: when an event could not be opened
	users  int                    // calls that use an event
	ended  bool
}

// mappings has the live mappings, in the order of their addresses.
var mappings struct {
	sync.RWMutex
	all []*mapping
}

func enterMapping(m []byte, file FileInfo, owner accounts, directory string) {
	start := addressOf(m)
	entered := &mapping{start: start, end: start + uintptr(len(m)), file: file, owner: owner, directory: directory,
		events: map[uint64]*wordEvents{}, failed: map[uint64]uint64{}}
	mappings.Lock()
	defer mappings.Unlock()
	at, _ := slices.BinarySearchFunc(mappings.all, start, byStart)
	mappings.all = slices.Insert(mappings.all, at, entered)
}

func byStart(m *mapping, address uintptr) int {
	switch {
	case m.start < address:
		return -1
	case m.start > address:
		return 1
	}
	return 0
}

// leaveMapping takes a mapping off the list, and returns the directory of its file. The events are
// closed now, or by the last call that uses one.
func leaveMapping(m []byte) (directory string) {
	mappings.Lock()
	at, found := slices.BinarySearchFunc(mappings.all, addressOf(m), byStart)
	if !found {
		mappings.Unlock()
		return ""
	}
	left := mappings.all[at]
	mappings.all = slices.Delete(mappings.all, at, at+1)
	mappings.Unlock()
	left.guard.Lock()
	defer left.guard.Unlock()
	left.ended = true
	left.closeIfUnused()
	return left.directory
}

// closeIfUnused closes the events of a mapping that has ended. The caller holds the guard.
func (m *mapping) closeIfUnused() {
	if !m.ended || m.users > 0 {
		return
	}
	for _, events := range m.events {
		events.close()
	}
	m.events = nil
}

// useEvents returns the events of the word at an address, nil if the address is in no mapping. The
// caller calls release afterwards.
func useEvents(address uintptr) (events *wordEvents, release func()) {
	mappings.RLock()
	at, exact := slices.BinarySearchFunc(mappings.all, address, byStart)
	if !exact {
		at--
	}
	if at < 0 || address >= mappings.all[at].end {
		mappings.RUnlock()
		return nil, func() {}
	}
	m := mappings.all[at]
	m.guard.Lock()
	m.users++
	mappings.RUnlock()
	defer m.guard.Unlock()
	return m.eventsAt(uint64(address - m.start)), func() {
		m.guard.Lock()
		defer m.guard.Unlock()
		m.users--
		m.closeIfUnused()
	}
}

// eventsAt returns the events of the word at an offset. It tries again to open an event that could
// not be opened, once in retryEvents. The caller holds the guard.
func (m *mapping) eventsAt(offset uint64) *wordEvents {
	events := m.events[offset]
	if events != nil && (events.complete() || Monotonic()-m.failed[offset] < uint64(retryEvents)) {
		return events
	}
	opened := m.openEvents(offset, events)
	m.events[offset] = opened // another thread may use the one of before
	if opened.complete() {
		delete(m.failed, offset)
	} else {
		m.failed[offset] = Monotonic()
	}
	return opened
}

// retryEvents is how long a mapping does without an event that could not be opened.
const retryEvents = time.Second

// wordEvents are the events of one word: see Wait. Handle 0: the event cannot be opened.
type wordEvents [eventsOfWord]windows.Handle

func (e *wordEvents) complete() bool { return !slices.Contains(e[:], 0) }

// openEvents opens the events of a word, or makes them. It takes over those that are open.
func (m *mapping) openEvents(offset uint64, open *wordEvents) *wordEvents {
	var events wordEvents
	if open != nil {
		events = *open
	}
	if m.owner.user == nil {
		return &events // nobody knows whom to grant the use of the events
	}
	security, err := eventSecurity(m.owner, m.file.Mode)
	if err != nil {
		return &events
	}
	for class := range events {
		if events[class] == 0 {
			events[class] = openEvent(eventName(m.file, offset, class), security)
		}
	}
	return &events
}

// eventName is the name of an event that all sessions of the machine share.
func eventName(file FileInfo, offset uint64, class int) string {
	return fmt.Sprintf(`Global\datablock-%x-%x-%x-%d`, file.Device, file.Inode, offset, class)
}

const (
	useOfEvent  = windows.SYNCHRONIZE | windows.EVENT_MODIFY_STATE
	manualReset = windows.CREATE_EVENT_MANUAL_RESET
)

// openEvent opens an event, or makes it, or returns 0. A process in a sandbox may not make one. If
// another program has taken the name, and does not let this process use it, there is no event. An
// event of this session alone would not reach the processes of other sessions.
func openEvent(name string, security *windows.SecurityAttributes) windows.Handle {
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0
	}
	event, _ := windows.CreateEventEx(security, wide, manualReset, useOfEvent)
	if event != 0 {
		return event // also when the error says that the event existed
	}
	event, err = windows.OpenEvent(useOfEvent, false, wide)
	if err != nil {
		return 0
	}
	return event
}

func (e *wordEvents) close() {
	for _, event := range e {
		if event != 0 {
			_ = windows.CloseHandle(event)
		}
	}
}

// An ownWord is a word in no mapping, on which threads of this process sleep. Its events have no
// name. They exist while a thread sleeps.
type ownWord struct {
	events wordEvents
	users  int
}

// ownWords has the words in no mapping on which threads sleep, by address.
var ownWords = struct {
	sync.Mutex
	all map[uintptr]*ownWord
}{all: map[uintptr]*ownWord{}}

// useOwnEvents returns the events of a word in no mapping. Only a thread that is about to sleep
// makes them. Without them no thread sleeps: one that enters the table later loads the word
// afterwards, and sees the change. The caller calls release afterwards.
func useOwnEvents(address uintptr, sleep bool) (events *wordEvents, release func()) {
	ownWords.Lock()
	defer ownWords.Unlock()
	w := ownWords.all[address]
	if w == nil {
		if !sleep {
			return nil, func() {}
		}
		w = &ownWord{}
		for class := range w.events {
			w.events[class], _ = windows.CreateEventEx(nil, nil, manualReset, useOfEvent)
		}
		ownWords.all[address] = w
	}
	w.users++
	return &w.events, func() {
		ownWords.Lock()
		defer ownWords.Unlock()
		if w.users--; w.users == 0 {
			delete(ownWords.all, address)
			w.events.close()
		}
	}
}
