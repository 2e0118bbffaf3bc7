package main

// ticks is the processor's time stamp: a look at Go's clock would take longer than what is
// measured. Only differences on one core are used.
func ticks() uint64
