//go:build crashpoints && linux

package recovery

import "datablock/internal/platform"

// besideAMapping reports whether an address is outside of a block, where DATABLOCK_TEST_GUARD=1
// makes every access fault.
func besideAMapping(address uintptr) bool { return platform.InGuard(address) }
