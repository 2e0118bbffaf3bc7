package poll

// As the program starts, package os registers a standard stream that does not block with the poller. A library has no use
// for the host's streams, and the poller has descriptors of its own. So nothing is registered.
func init() { serverInit.Do(func() {}) }
