package platform

// cycles counts at a rate that hardly changes; on another processor it may be elsewhere.
func cycles() uint64

const cyclesTick = 1 << 20 // a third to half of a millisecond
