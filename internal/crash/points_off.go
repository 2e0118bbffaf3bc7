//go:build !crashpoints

package crash

// Point is a place where a test may kill or stop the process. Outside test builds it does nothing.
func Point(string) {}
