package decode

import (
	"bytes"
	"encoding/binary"
	"math"

	"datablock/schema"
)

// Any returns the value of a scalar, a text or bytes as a Go value; [Kind] says of which type. It
// returns nil for a struct, an array and a scalar that the message does not have.
func (v Value) Any() any {
	switch v.Kind() {
	case Struct, Array:
		return nil
	case Bytes:
		return v.data
	case Text:
		return v.text()
	}
	if !v.complete() {
		return nil
	}
	switch v.typ.Kind {
	case schema.F32:
		return math.Float32frombits(uint32(v.bits()))
	case schema.F64:
		return math.Float64frombits(v.bits())
	case schema.Bool:
		if b := v.bits(); b > 1 {
			return b
		}
		return v.bits() == 1
	case schema.U8, schema.U16, schema.U32, schema.U64:
		return v.bits()
	}
	return v.signed()
}

// text is the char array up to the first NUL.
func (v Value) text() string {
	text, _, _ := bytes.Cut(v.data, []byte{0})
	return string(text)
}

// bits are the bits of a scalar that the message has.
func (v Value) bits() uint64 {
	switch len(v.data) {
	case 1:
		return uint64(v.data[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(v.data))
	case 4:
		return uint64(binary.NativeEndian.Uint32(v.data))
	}
	return binary.NativeEndian.Uint64(v.data)
}

func (v Value) signed() int64 {
	unused := 64 - 8*len(v.data)
	return int64(v.bits()<<unused) >> unused
}

// Number returns a number or a bool (0 and 1) as a float64. It reports false for every other value.
// Integers above 2^53 are rounded.
func (v Value) Number() (float64, bool) {
	switch n := v.Any().(type) {
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float32:
		return float64(n), true
	case float64:
		return n, true
	case bool:
		if n {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}
