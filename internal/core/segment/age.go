package segment

import (
	"fmt"
	"time"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// clockSlack is by how much a time may be later than the clock reading before it.
const clockSlack = time.Second

// FarthestClock bounds how far a clock of another time namespace is believed to be ahead or behind.
const FarthestClock = 10 * 365 * 24 * time.Hour

// ClockWord is what a participant stores about its clock, for RowClock and ProducerClock.
func ClockWord(ahead int64, known bool) uint64 {
	if !known {
		return 0
	}
	return layout.ClockKnown + uint64(ahead)
}

// Clock is this process's clock at one moment, for all ages of a diagnosis.
type Clock struct{ now, word uint64 }

func ReadClock() Clock {
	now := platform.Monotonic()
	return Clock{now, ClockWord(platform.ClockAhead())}
}

// Read returns the same clock now. It does not ask again in which time namespace the process is.
func (c Clock) Read() Clock { return Clock{platform.Monotonic(), c.word} }

// Since returns how long ago a participant wrote a time of its CLOCK_MONOTONIC. word: the
// participant's clock word. Participants may be in other time namespaces, whose clocks are ahead or
// behind. If one of the two clocks is not known, since takes both for the same clock, unless the
// time is in the future. A word that no participant wrote makes the age unknown: consumers can
// write RowClock. A time of 0 was never written.
func (c Clock) Since(then, word uint64) (age time.Duration, known bool) {
	if then == 0 {
		return 0, true
	}
	if ahead := time.Duration(word - layout.ClockKnown); word != 0 && max(ahead, -ahead-1) > FarthestClock {
		return 0, false
	}
	age = time.Duration(c.now - then)
	if c.word != 0 && word != 0 {
		age -= time.Duration(c.word - word)
	}
	if age < -clockSlack {
		return 0, false
	}
	return max(age, 0), true
}

// ClockOf returns the clock word of a row's owner. The producer's is in the data file, where
// consumers cannot write, and the times that it is for are there, too. Only a block whose producer
// did not store it (an older library) has it in row 0 alone.
func (b *Segment) ClockOf(row uint32) uint64 {
	if word := *b.Data.Plain64(layout.ProducerClock); row == layout.ProducerRow && word != 0 {
		return word
	}
	return *b.Ctl.Plain64(b.Header.RowOffset(row) + layout.RowClock)
}

// AgeText returns an age in readable form.
func AgeText(age time.Duration, known bool) string {
	if !known {
		return "an unknown time (its clock is of another time namespace, or damaged)"
	}
	return fmt.Sprint(age.Round(time.Millisecond))
}

func Since(then, now uint64) time.Duration {
	if then == 0 || then > now {
		return 0
	}
	return time.Duration(now - then)
}

// Expired reports whether the retention of a dead durable consumer is over.
func (b *Segment) Expired(died uint64) bool {
	return b.retention > 0 && Since(died, platform.Realtime()) > time.Duration(b.retention)*time.Millisecond
}
