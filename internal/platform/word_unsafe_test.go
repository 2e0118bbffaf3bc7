package platform

import (
	"sync/atomic"
	"unsafe" // a word of a mapping, as the core reaches it
)

func wordAt(m []byte) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&m[0])) }
