//go:build linux && crashpoints

package platform

import (
	"os"
	"sync"
	"unsafe" // mappings at a given address

	"golang.org/x/sys/unix"
)

// In test builds with DATABLOCK_TEST_GUARD=1, a mapping lies between guard pages. An access beyond
// the mapping faults instead of reaching a neighbouring mapping.
var guarded = os.Getenv("DATABLOCK_TEST_GUARD") != ""

const guardPages = 16

// reservations has the mappings with their guards, by the address of the first byte of the file. An
// unmapped reservation stays until another mapping takes its addresses: a test may ask about a
// fault in a guard (InGuard) after the file was closed.
var reservations sync.Map

type reservation struct {
	start unsafe.Pointer
	size  uintptr
	live  bool
}

func mapFile(fd, size, prot int) ([]byte, error) {
	if !guarded {
		return unix.Mmap(fd, 0, size, prot, unix.MAP_SHARED)
	}
	page := uintptr(unix.Getpagesize())
	guard := guardPages * page
	whole := reservation{size: 2*guard + (uintptr(size)+page-1)&^(page-1)}
	if size <= 0 || whole.size < uintptr(size) {
		return nil, unix.ENOMEM
	}
	start, err := unix.MmapPtr(-1, 0, nil, whole.size, unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	whole.start = start
	at, err := unix.MmapPtr(fd, 0, unsafe.Add(start, guard), uintptr(size), prot, unix.MAP_SHARED|unix.MAP_FIXED)
	if err != nil {
		_ = unix.MunmapPtr(start, whole.size)
		return nil, err
	}
	forget(uintptr(start), whole.size)
	whole.live = true
	reservations.Store(uintptr(at), whole)
	return unsafe.Slice((*byte)(at), size), nil // the mapping, until unmapFile
}

// forget deletes the reservations that overlap the addresses of a new mapping.
func forget(start, size uintptr) {
	reservations.Range(func(at, r any) bool {
		if other := r.(reservation); uintptr(other.start) < start+size && start < uintptr(other.start)+other.size {
			reservations.Delete(at)
		}
		return true
	})
}

func unmapFile(m []byte) {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(m)))
	found, ok := reservations.Load(at)
	whole, _ := found.(reservation)
	if !ok || !whole.live {
		_ = unix.Munmap(m)
		return
	}
	whole.live = false
	reservations.Store(at, whole)
	_ = unix.MunmapPtr(whole.start, whole.size)
}

// InGuard reports whether an address is in a guard of a mapping, or of the last mapping at these
// addresses. For tests.
func InGuard(address uintptr) (in bool) {
	reservations.Range(func(at, r any) bool {
		whole, guard := r.(reservation), uintptr(guardPages*unix.Getpagesize())
		start := uintptr(whole.start)
		in = start <= address && address < start+guard ||
			start+whole.size-guard <= address && address < start+whole.size
		return !in
	})
	return in
}
