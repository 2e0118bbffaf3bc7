package platform

import "golang.org/x/sys/cpu"

// HasCRC32C reports whether the processor computes CRC32C by an instruction, which C code may use.
// hash/crc32 decides for itself.
func HasCRC32C() bool { return cpu.X86.HasSSE42 || cpu.ARM64.HasCRC32 }
