package syscall

import "sync/atomic"

// The original of this file raises the soft limit of open files when the program starts. The limit
// belongs to the host.

var origRlimitNofile atomic.Pointer[Rlimit] // nil: a child keeps the limit as it is

// Setrlimit sets a limit of the process.
func Setrlimit(resource int, rlim *Rlimit) error { return setrlimit(resource, rlim) }
