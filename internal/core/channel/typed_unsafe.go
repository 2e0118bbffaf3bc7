package channel

import (
	"reflect"
	"sync"
	"unsafe" // a payload is returned as the type that both sides agreed on

	"datablock/internal/core/status"
)

// As returns the beginning of data as a T, in place. Errors: Invalid (T has pointers in it, data is
// too short or not aligned for it).
func As[T any](data []byte) (*T, error) {
	t := reflect.TypeFor[T]()
	if !plain(t) {
		return nil, status.Errorf(status.Invalid, "%v has pointers in it, or what is one inside: they mean nothing in "+
			"another process; use numbers, arrays and structs of them", t)
	}
	if uintptr(len(data)) < t.Size() {
		return nil, status.Errorf(status.Invalid, "%d bytes are too few for a %v of %d", len(data), t, t.Size())
	}
	p := unsafe.Pointer(unsafe.SliceData(data))
	if uintptr(p)%uintptr(t.Align()) != 0 {
		return nil, status.Errorf(status.Invalid, "the data is not aligned to %d bytes, as a %v has to be", t.Align(),
			t)
	}
	return (*T)(p), nil // checked: long enough and aligned; any bits are a number
}

var plainTypes sync.Map // reflect.Type to bool

// plain reports whether a type consists of numbers only.
func plain(t reflect.Type) bool {
	if known, ok := plainTypes.Load(t); ok {
		return known.(bool)
	}
	is := false
	switch k := t.Kind(); k {
	case reflect.Array:
		is = plain(t.Elem())
	case reflect.Struct:
		is = true
		for field := range t.Fields() {
			is = is && plain(field.Type)
		}
	default:
		is = k >= reflect.Bool && k <= reflect.Complex128
	}
	plainTypes.Store(t, is)
	return is
}
