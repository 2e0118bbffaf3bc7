//go:build cgo && !crashpoints

package main

// provoke is a place where a test may have the library panic. Outside test builds it is nothing.
func provoke(string) {}
