package poll

// Package os registers a standard stream that does not block with the poller, as the program starts. A library has no use for the host's streams, and the poller
// has descriptors of its own: nothing is registered.
func init() { serverInit.Do(func() {}) }
