//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"strings"
	"sync/atomic"
	"unicode/utf8"
	"unsafe"

	"datablock/internal/platform"
)

// setDetail writes text into the calling thread's buffer: whole characters of valid UTF-8 and a
// final zero.
func setDetail(detail *C.char, text string) {
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	}
	if len(text) >= C.DBSHIM_DETAIL_SIZE {
		end := C.DBSHIM_DETAIL_SIZE - 1
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	buffer := unsafe.Slice((*byte)(unsafe.Pointer(detail)), C.DBSHIM_DETAIL_SIZE) // the shim's buffer, of this size
	buffer[copy(buffer, text)] = 0
}

// directoryFrom returns the directory that the shim found. It sets the default here, because core
// would read Go's copy of the environment, which dates from the start of the library.
func directoryFrom(directory *C.char) string {
	if directory == nil {
		return platform.DefaultDirectory
	}
	return C.GoString(directory)
}

// secretFrom copies the caller's secret; the shim has checked its length.
func secretFrom(secret unsafe.Pointer, length C.size_t) []byte {
	if length == 0 {
		return nil
	}
	return C.GoBytes(secret, C.int(length))
}

// textFrom copies a C string that may be null.
func textFrom(text *C.char) string {
	if text == nil {
		return ""
	}
	return C.GoString(text)
}

// payload returns where a payload begins: memory of the mapping, which C may keep.
func payload(data []byte) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(data)) // also right for an empty message
}

// event returns the address of a word of a mapping on which a thread sleeps. C may keep the
// address.
func event(word *atomic.Uint32) *C.uint32_t { return (*C.uint32_t)(unsafe.Pointer(word)) }

// wordAt returns a word of C that threads sleep on: one of a mapping, or of a waker.
func wordAt(word *C.uint32_t) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(word)) }

// address returns the address of a value that is pinned.
func address[T any](value *T) unsafe.Pointer { return unsafe.Pointer(value) }

// array returns the caller's array as a slice. The shim has checked that the array is not null
// unless it is empty.
func array[T any](first *T, length C.size_t, most int) []T {
	if first == nil {
		return nil
	}
	return unsafe.Slice(first, int(min(uint64(length), uint64(most)))) // as long as its owner says
}

// setText writes a text and a final zero into a field that is large enough.
func setText(field []C.char, text string) {
	for i := 0; i < len(text) && i < len(field)-1; i++ {
		field[i] = C.char(text[i])
	}
	field[min(len(text), len(field)-1)] = 0
}
