package runtime

// The background scavenger sleeps by a timer, and the first timer opens an epoll and an eventfd descriptor in the host's process. A host that closes all its
// descriptors, as daemons do, would be ended by the runtime at its next look at them. So the scavenger never finds anything to do; what it would give back to the
// system is used again by the next allocations.
func init() { scavenger.shouldStop = func() bool { return true } }
