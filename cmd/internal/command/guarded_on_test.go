//go:build crashpoints

package command

import "datablock/internal/platform"

// besideAMapping reports whether an address is outside of a block, in the pages to which
// DATABLOCK_TEST_GUARD=1 denies every access.
func besideAMapping(address uintptr) bool { return platform.InGuard(address) }
