//go:build cgo && !crashpoints

package main

// injectPanic is a point at which a test may make the library panic. Outside test builds it does
// nothing.
func injectPanic(string) {}
