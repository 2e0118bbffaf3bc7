//go:build cgo

// Command capi is the C library: `go build -buildmode=c-shared` makes libdatablock.so of it.
//
// The library is the boundary between C and internal/core, plus the C half of waiting, of the clock
// and of the handle table.
//
// The boundary has a C half and a Go half. In C, calls.c has the beginning and the end of every
// exported function: it refuses to work in a forked child, and takes the handle or finds the block.
// arguments.c checks the structs of the caller. One file for each subject has the functions:
// producer.c, consumer.c, observer.c, batch.c, shared.c, schema.c, admin.c, recovery.c. The Go half
// (the files named after their exports) calls internal/core and turns errors and panics into
// statuses and texts.
//
// Protocol in C: the fast path of datablock_inline.h, the waiting of threads (protocol_wait.c,
// protocol_wait_any.c, protocol_sleep_held.c), the poll of the coarse clock (clock.c), and the
// table of handles (handle_table.c). A thread of the host must not sleep inside Go.
// docs/architecture.md says what keeps both halves of the protocol equal.
//
// What a host's process needs besides: thread_state.c, signals.c, sigbus.c, fork.c.
//
// errors.c has the texts of errors. participant_of.c exports the inline functions of datablock.h.
// crashpoint.c has the crash points of test builds.
package main

// // The code that cgo generates has unused parameters; the shim has none.
// #cgo CFLAGS: -std=c11 -Wall -Wextra -Wpedantic -Wno-unused-parameter -fvisibility=hidden
// #cgo CFLAGS: -ftls-model=initial-exec -O2 -DDATABLOCK_BUILD
// #cgo CFLAGS: -D_POSIX_C_SOURCE=200809L -I${SRCDIR}/../include
import "C"

func main() {}
