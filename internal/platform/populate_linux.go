package platform

import "golang.org/x/sys/unix"

// Populate maps the pages of a part of a mapping now, so that the first access of each page does
// not wait. The first byte has to be that of a page. A system that refuses the call (Linux before
// 5.14) maps each page at its first access.
func Populate(m []byte, write bool) {
	how := unix.MADV_POPULATE_READ
	if write {
		how = unix.MADV_POPULATE_WRITE
	}
	if len(m) != 0 {
		_ = unix.Madvise(m, how)
	}
}
