package channel

import "unsafe"

// Arrays returns the producer's slices whose addresses are in its state. They live as long as the
// producer.
func (p *Producer) Arrays() []any {
	return []any{unsafe.SliceData(p.free), unsafe.SliceData(p.retired), unsafe.SliceData(p.pinned),
		unsafe.SliceData(p.pins),
		unsafe.SliceData(p.expected), unsafe.SliceData(p.claims)}
}
