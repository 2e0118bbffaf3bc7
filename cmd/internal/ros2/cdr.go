package ros2

import (
	"encoding/binary"
	"fmt"

	"datablock/schema"
)

// Append appends a message of the block in CDR, with the header. Without NewWithRest the bytes
// after the struct are left out. The error says that the message is too short for its schema.
func (m *Message) Append(to, message []byte) ([]byte, error) {
	to = append(to, header...)
	if m.schema == nil {
		to = binary.NativeEndian.AppendUint32(to, uint32(len(message)))
		return append(to, message...), nil
	}
	size := m.schema.Size
	if uint64(len(message)) < size {
		return to, fmt.Errorf("a message of %d bytes, and its schema has %d", len(message), size)
	}
	start := len(to)
	if m.copies {
		to = append(to, message[:size]...)
	} else {
		to = convert(to, start, &m.schema.Layout, message)
	}
	if m.rest != "" {
		to = aligned(to, start, 4)
		to = binary.NativeEndian.AppendUint32(to, uint32(uint64(len(message))-size))
		to = append(to, message[size:]...)
	}
	return to, nil
}

// convert appends the fields of a struct one by one.
func convert(to []byte, start int, l *schema.Layout, data []byte) []byte {
	for i := range l.Fields {
		f := &l.Fields[i]
		part := data[f.Offset:][:f.Type.Size()]
		if f.Type.Kind != schema.Struct {
			to = append(aligned(to, start, int(f.Type.ItemSize())), part...)
			continue
		}
		for size := f.Type.Nested.Size; len(part) > 0; part = part[size:] {
			to = convert(to, start, f.Type.Nested, part)
		}
	}
	return to
}

// aligned appends zeros up to a multiple of the size, counted from the start.
func aligned(to []byte, start, size int) []byte {
	for (len(to)-start)%size != 0 {
		to = append(to, 0)
	}
	return to
}

// Message returns the message of the block that Append has encoded. Padding that CDR does not carry
// is zero. The error says what is wrong with the bytes.
func (m *Message) Message(cdr []byte) ([]byte, error) {
	if len(cdr) < len(header) || cdr[0] != 0 || cdr[1] != header[1] {
		return nil, fmt.Errorf("no CDR in the byte order of this machine: the header is % x, and not % x",
			cdr[:min(len(cdr), len(header))], header)
	}
	r := &reader{from: cdr[len(header):]}
	switch {
	case m.schema == nil:
		data := r.sequence()
		return data, r.err
	case m.schema.Size > maxMessage:
		return nil, fmt.Errorf("a message of %d bytes, the limit is %d", m.schema.Size, maxMessage)
	}
	message := make([]byte, m.schema.Size)
	if m.copies {
		copy(message, r.take(m.schema.Size, 1))
	} else {
		r.fill(&m.schema.Layout, message)
	}
	if m.rest != "" {
		message = append(message, r.sequence()...)
	}
	return message, r.err
}

// maxMessage is the largest message that Message makes. The schema may come from a damaged file.
const maxMessage = 1 << 30

// reader reads CDR from the end of the header on. After an error everything it reads is empty.
type reader struct {
	from []byte
	at   uint64
	err  error
}

// take returns the next bytes of a number or of an array of numbers.
func (r *reader) take(size, align uint64) []byte {
	at := (r.at + align - 1) / align * align
	if r.err != nil || at > uint64(len(r.from)) || size > uint64(len(r.from))-at {
		if r.err == nil {
			r.err = fmt.Errorf("the CDR ends at byte %d, within a field of %d bytes at byte %d", len(r.from), size, at)
		}
		return nil
	}
	r.at = at + size
	return r.from[at:r.at:r.at]
}

// sequence returns the bytes of a uint8[].
func (r *reader) sequence() []byte {
	length := r.take(4, 4)
	if length == nil {
		return nil
	}
	return r.take(uint64(binary.NativeEndian.Uint32(length)), 1)
}

// fill is the reverse of convert.
func (r *reader) fill(l *schema.Layout, data []byte) {
	for i := range l.Fields {
		f := &l.Fields[i]
		part := data[f.Offset:][:f.Type.Size()]
		if f.Type.Kind != schema.Struct {
			copy(part, r.take(uint64(len(part)), f.Type.ItemSize()))
			continue
		}
		for size := f.Type.Nested.Size; len(part) > 0 && r.err == nil; part = part[size:] {
			r.fill(f.Type.Nested, part)
		}
	}
}
