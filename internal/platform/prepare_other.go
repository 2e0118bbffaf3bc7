//go:build !amd64

package platform

// PrepareWrite is a hint that has no equivalent here.
func PrepareWrite(*byte) {}
