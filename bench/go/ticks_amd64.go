package main

// ticks is the processor's time stamp counter. Reading Go's clock would take longer than the
// measured operations. Only differences on one core are used.
func ticks() uint64
