//go:build !crashpoints

package crash

// Point is a place where a test may have the process killed or stopped. Outside test builds it is nothing.
func Point(string) {}
