//go:build !crashpoints || !linux

package recovery

// besideAMapping reports false: only test builds with guards can tell.
func besideAMapping(uintptr) bool { return false }
