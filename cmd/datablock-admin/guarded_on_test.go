//go:build crashpoints

package main

import "datablock/internal/platform"

// besideAMapping reports whether an address is outside of a block, where DATABLOCK_TEST_GUARD=1 lets no access pass.
func besideAMapping(address uintptr) bool { return platform.InGuard(address) }
