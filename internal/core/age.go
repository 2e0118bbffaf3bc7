package core

import (
	"fmt"
	"time"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// clockSlack is by how much a time may be later than the clock reading before it.
const clockSlack = time.Second

// clockWord is what a participant stores about its clock, for RowClock.
func clockWord(ahead int64, known bool) uint64 {
	if !known {
		return 0
	}
	return layout.ClockKnown + uint64(ahead)
}

// clock is this process's clock at one moment, for all ages of a diagnosis.
type clock struct{ now, word uint64 }

func readClock() clock {
	now := platform.Monotonic()
	return clock{now, clockWord(platform.ClockAhead())}
}

// since returns how long ago a participant wrote a time of its CLOCK_MONOTONIC. word: the
// participant's RowClock. Participants may be in other time namespaces, whose clocks are ahead or
// behind. If one of the two clocks is not known, since takes both for the same clock, unless the
// time is in the future. A time of 0 was never written.
func (c clock) since(then, word uint64) (age time.Duration, known bool) {
	if then == 0 {
		return 0, true
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

// clockOf returns the RowClock of a row. The word of row 0 is for the times in the data file.
func (b *block) clockOf(row uint32) uint64 {
	return *b.ctl.plain64(b.header.row(row) + layout.RowClock)
}

// ageText returns an age in readable form.
func ageText(age time.Duration, known bool) string {
	if !known {
		return "an unknown time (its clock is of another time namespace)"
	}
	return fmt.Sprint(age.Round(time.Millisecond))
}
