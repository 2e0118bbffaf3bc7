//go:build cgo && !crashpoints

package main

// provoke is a point at which a test may make the library panic. Outside test builds it does
// nothing.
func provoke(string) {}
