package datablock

import (
	"time"

	"datablock/internal/core/recovery"
)

// MetricsReader reads the figures of one block again and again, as [ReadMetrics] does. It keeps the
// block's files open, which makes a reading cheap, and until [MetricsReader.Close] the memory of a
// block that was removed stays. It changes no byte, takes no row, and no participant sees it. It
// never waits. Only one goroutine at a time may use a MetricsReader.
//
// A read of a file that another process truncates at that moment is a fault, as in every function
// that reads a block. Call debug.SetPanicOnFault to make it a panic that the program can recover
// from.
type MetricsReader struct{ core *recovery.MetricsReader }

// OpenMetrics opens a block in any state, read-only. name and directory are those of [ReadMetrics].
//
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt, ErrVersion, ErrSystem.
func OpenMetrics(name, directory string) (*MetricsReader, error) {
	r, err := recovery.OpenMetrics(name, directory)
	if err != nil {
		return nil, public(err)
	}
	return &MetricsReader{r}, nil
}

// ID is the block's id, 16 random bytes. Another block of the same name has another id.
func (r *MetricsReader) ID() [16]byte { return r.core.ID() }

// Read reads the figures of the block and of its participants. Each figure is read separately.
//
// Errors: ErrSuperseded (the name leads to no block or to another one by now), ErrCorrupt (a file
// was truncated or exchanged, or its header has changed), ErrClosed. After each of them the program
// closes the reader, and opens another one.
func (r *MetricsReader) Read() (*Metrics, []ParticipantMetrics, error) {
	m, all, err := r.core.Read()
	if err != nil {
		return nil, nil, public(err)
	}
	return publicMetrics(m), converted(all, publicParticipant), nil
}

// NextID returns the id of the next message, which is how many messages were written. It is cheap
// enough to be called thousands of times a second. Errors: as Read, up to 100 ms late.
func (r *MetricsReader) NextID() (uint64, error) {
	next, err := r.core.NextID()
	return next, public(err)
}

// Schema returns the schema of the block's messages; nil: the producer declared none. The schema of
// a block never changes. Errors: ErrCorrupt, ErrClosed.
func (r *MetricsReader) Schema() (*Schema, error) {
	s, err := r.core.Schema()
	return s, public(err)
}

// Committed returns the time at which message id was committed. It reports false if the block
// stores no times ([Timestamp]), if the message was not written yet or is overwritten, and after
// Close.
func (r *MetricsReader) Committed(id uint64) (time.Time, bool) { return r.core.Committed(id) }

// Close releases the block. Errors: ErrClosed (already closed).
func (r *MetricsReader) Close() error { return public(r.core.Close()) }

// BlockNames returns the names of the blocks in a directory ("" for the default one), sorted. It
// opens no block, and is much cheaper than [List]: a name may be that of a block that cannot be
// read. Any goroutine may call BlockNames. It does not wait.
//
// Errors: ErrInvalid, ErrNotFound (the directory), ErrAccess, ErrSystem.
func BlockNames(directory string) ([]string, error) {
	names, err := recovery.Names(directory)
	return names, public(err)
}
