//go:build cgo && crashpoints

package main

// #include <stdlib.h>
// static char *wanted_panic(void) { return getenv("DATABLOCK_TEST_PANIC"); }
import "C"

// injectPanic panics when the environment asks for it: DATABLOCK_TEST_PANIC=producer.claim. The
// variable is read at each call, so that a test can set and clear it. The points are producer.open,
// .claim, .commit, .abort and .close, consumer.open, .next, .read_at, .release and .close,
// block.list and .unlink, and recovery.diagnose, .diagnose_all, .alive, .readers, .writer,
// .cleanup, .validate, .repair and .auto.
func injectPanic(point string) {
	if textFrom(C.wanted_panic()) == point {
		panic("provoked at " + point)
	}
}
