//go:build !crashpoints

package main

// besideAMapping: only test builds can tell.
func besideAMapping(uintptr) bool { return false }
