package stores

// noticed has the functions of internal/platform whose effect other processes can see.
var noticed = map[string]bool{"Publish": true, "Exchange": true, "Remove": true, "CreateFile": true}

// swaps has the atomic accesses that change a word.
var swaps = map[string]bool{"Store": true, "Swap": true, "CompareAndSwap": true, "Add": true, "Or": true, "And": true}

// Locks are no effects here. The kernel releases the locks of a dead process, so a death after
// taking a lock is like a death before it, and a death before a release is like a death after it.

// pointers has local names of words of a block.
var pointers = map[string]bool{"*mark": true, "*epoch": true, "*claim": true, "*died": true}

// figures has informational words. No decision depends on them, so it does not matter which of them
// a death leaves behind.
var figures = []string{"layout.Metric", "layout.Heartbeat", "layout.RowHeartbeat", "layout.WaitSince", "c.hot.",
	"p.hot.",
	"layout.CtlCleaned", "layout.CtlMismatches"}

// private has atomic variables of the process.
var private = []string{"headerCache", "o.fence"}
