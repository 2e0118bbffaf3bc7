//go:build cgo

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command capi is the C library: `go build -buildmode=c-shared` makes libdatablock.so of it.
//
// It has two halves and no logic of its own. The C half (shim.c and what it calls) has the exported functions of datablock.h and the table of handles; it refuses to work in
// a forked child, checks pointers and structs, and takes the fast path of datablock_inline.h. The Go half (the files named after what they export) calls internal/core and turns errors and panics into statuses and texts.
//
// Without the two settings above Go keeps a descriptor of a file of its control group open in the host's process, and reads it now and then.
package main

// // The code that cgo generates has unused parameters; the shim has none.
// #cgo CFLAGS: -std=c11 -Wall -Wextra -Wpedantic -Wno-unused-parameter -fvisibility=hidden -ftls-model=initial-exec -O2 -DDATABLOCK_BUILD -I${SRCDIR}/../include
import "C"

func main() {}
