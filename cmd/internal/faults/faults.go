// Package faults turns the fault of a read of a mapped file into an error. A block's file may be
// truncated, by any process that may write it, while it is read.
package faults

import (
	"fmt"
	"runtime/debug"
)

// Truncated is the error of a read behind the end of a file that was truncated.
type Truncated struct{ Address uintptr }

func (t *Truncated) Error() string {
	return fmt.Sprintf("one of the block's files was truncated meanwhile (nothing is at 0x%x any more): look again",
		t.Address)
}

// Catch calls a function that reads blocks in the goroutine of the caller, and returns its error. A
// fault ends the function, and becomes a *Truncated. Other panics stay panics.
func Catch(read func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		r := recover()
		if fault, ok := r.(interface{ Addr() uintptr }); ok {
			err = &Truncated{fault.Addr()}
		} else if r != nil {
			panic(r)
		}
	}()
	return read()
}
