package stores

// noticed are the functions of internal/platform whose effect others find.
var noticed = map[string]bool{"Publish": true, "Exchange": true, "Remove": true, "CreateFile": true}

// swaps are the atomic accesses that change a word.
var swaps = map[string]bool{"Store": true, "Swap": true, "CompareAndSwap": true, "Add": true, "Or": true, "And": true}

// Locks are no effects here: whoever dies after he has taken one has not, and whoever dies before
// he lets go of it has.

// pointers are local names of words of a block.
var pointers = map[string]bool{"*mark": true, "*epoch": true, "*claim": true, "*died": true}

// figures are words for people: nothing is decided by them, so that it does not matter which of
// them a death leaves behind.
var figures = []string{"layout.Metric", "layout.Heartbeat", "layout.RowHeartbeat", "c.hot.", "p.hot.",
	"layout.CtlCleaned", "layout.CtlMismatches"}

// private are atomic variables of the process.
var private = []string{"concluded", "o.fence"}
