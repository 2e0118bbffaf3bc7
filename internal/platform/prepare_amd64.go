package platform

// PrepareWrite fetches a cache line and the next one with the right to write to them, ahead of the writes. It changes nothing, and never faults.
//
//go:noescape
func PrepareWrite(line *byte)
