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
// protocol_wait_any.c), the poll of the coarse clock (clock.c), and the table of handles
// (handle_table.c). docs/architecture.md says what keeps both halves of the protocol equal.
//
// What a host's process needs besides is in thread_state.c and in the files of the system:
//
//	both                   linux                                windows
//	threads, their end     thread_linux.c                       thread_windows.c
//	entering Go            signals_linux.c, host_linux.go       thread_windows.c
//	sleeping and waking    futex_linux.c, futex_any_linux.c,    futex_windows.c, futex_windows.go
//	                       protocol_sleep_held_linux.c
//	environment, paths     paths_linux.c                        paths_windows.c
//	truncated files        sigbus_linux.c                       cannot happen
//	fork                   fork_linux.c                         does not exist
//
// On Linux a thread of the host must not sleep inside Go (signals_linux.c). Windows has no signals,
// and there it may.
//
// errors.c has the texts of errors. participant_of.c exports the inline functions of datablock.h.
// crashpoint.c has the crash points of test builds.
package main

// // The code that cgo generates has unused parameters; the shim has none.
// #cgo CFLAGS: -std=c11 -Wall -Wextra -Wpedantic -Wno-unused-parameter -O2 -DDATABLOCK_BUILD
// #cgo CFLAGS: -D_POSIX_C_SOURCE=200809L -I${SRCDIR}/../include
// #cgo linux CFLAGS: -fvisibility=hidden -ftls-model=initial-exec
// #cgo windows CFLAGS: -D_WIN32_WINNT=0x0A00
import "C"

func main() {}
