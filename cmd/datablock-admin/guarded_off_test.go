//go:build !crashpoints

package main

// besideAMapping: only test builds can detect this.
func besideAMapping(uintptr) bool { return false }
