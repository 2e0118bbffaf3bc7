//go:build !crashpoints

package platform

import "golang.org/x/sys/unix"

func mapFile(fd, size, prot int) ([]byte, error) {
	return unix.Mmap(fd, 0, size, prot, unix.MAP_SHARED)
}

func unmapFile(m []byte) { _ = unix.Munmap(m) }
