package poll

// As the program starts, package os registers a standard stream that does not block with the
// poller. A library does not use the host's streams, and the poller opens descriptors of its own.
// Therefore nothing is registered.
func init() { serverInit.Do(func() {}) }
