//go:build cgo

// Command capi is the C library: `go build -buildmode=c-shared` makes libdatablock.so of it.
//
// The library has two halves. The C half (shim.c and the files that it calls) has the exported
// functions of datablock.h and the table of handles. It refuses to work in a forked child, checks
// pointers and structs, and takes the fast path of datablock_inline.h. The waiting of C threads and
// the poll of the coarse clock are in C as well (wait.c, waitany.c, thread.c): a thread must not
// sleep inside Go. The Go half (the files named after their exports) calls internal/core and turns
// errors and panics into statuses and texts.
package main

// // The code that cgo generates has unused parameters; the shim has none.
// #cgo CFLAGS: -std=c11 -Wall -Wextra -Wpedantic -Wno-unused-parameter -fvisibility=hidden
// #cgo CFLAGS: -ftls-model=initial-exec -O2 -DDATABLOCK_BUILD
// #cgo CFLAGS: -D_POSIX_C_SOURCE=200809L -I${SRCDIR}/../include
import "C"

func main() {}
