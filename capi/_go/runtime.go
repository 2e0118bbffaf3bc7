package runtime

// The background scavenger sleeps by a timer. The first timer opens an epoll and an eventfd
// descriptor in the host's process. If the host closes all its descriptors, as daemons do, the
// runtime ends the process when it next uses one. Therefore the scavenger never finds anything to
// do. The next allocations use the memory that the scavenger would give back to the system.
func init() { scavenger.shouldStop = func() bool { return true } }
