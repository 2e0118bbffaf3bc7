package recovery

import (
	"bytes"
	"errors"
	"io/fs"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/layout"
	"datablock/internal/platform"
	"datablock/schema"
)

// MetricsReader reads the figures of one block again and again, in any state. It keeps the block
// mapped, read-only, and one descriptor of the control file for the questions about leases. One
// goroutine at a time uses it.
type MetricsReader struct {
	v           *view
	data        []byte // the immutable headers, as they were when the block was opened
	control     []byte
	dataHead    []byte // the same bytes, mapped
	controlHead []byte
	clock       segment.Clock
	checked     uint64 // Monotonic of the last check by NextID
}

// OpenMetrics opens a block, read-only. Errors: as Diagnose.
func OpenMetrics(name, directory string) (*MetricsReader, error) {
	l, err := segment.Locate(name, directory)
	if err != nil {
		return nil, err
	}
	v, err := openView(l)
	if err != nil {
		return nil, err
	}
	r := &MetricsReader{v: v, clock: segment.ReadClock(), dataHead: v.Data[:layout.ImmutableLen:layout.ImmutableLen],
		controlHead: v.Ctl[:layout.ControlHeaderLen:layout.ControlHeaderLen]}
	defer func() {
		if r.data == nil { // a fault: a file was truncated meanwhile
			v.close()
		}
	}()
	control := bytes.Clone(r.controlHead)
	r.data, r.control = bytes.Clone(r.dataHead), control
	return r, nil
}

// ID returns the block's id.
func (r *MetricsReader) ID() [layout.BlockIDLen]byte { return r.v.ID }

// Read reads the figures, each by itself. It allocates, and makes a system call for each file and
// each participant. Errors: Superseded (the name no longer leads to the block), Corrupt (a file was
// truncated, or its header has changed), Closed.
func (r *MetricsReader) Read() (*Metrics, []ParticipantMetrics, error) {
	if err := r.usable(); err != nil {
		return nil, nil, err
	}
	m, all := r.v.readMetrics(r.clock.Read())
	return m, all, nil
}

// readerCheck is how often, in ns, NextID looks whether the block is still the one of its name.
const readerCheck = 100 * 1000 * 1000

// NextID returns the id of the next message, without a system call in most calls. Errors: as Read.
func (r *MetricsReader) NextID() (uint64, error) {
	if now := platform.Monotonic(); r.v.Data == nil || now-r.checked >= readerCheck {
		if err := r.usable(); err != nil {
			return 0, err
		}
		r.checked = now
	}
	return r.v.End(), nil
}

func (r *MetricsReader) usable() error {
	if r.v.Data == nil {
		return errReaderClosed
	}
	v, name := r.v, r.v.BlockName()
	data, err := platform.StatPath(v.DataPath())
	if err != nil || !data.Same(v.DataInfo) || uint64(data.Size) != v.DataSize {
		if v.LostName() {
			return status.Errorf(status.Superseded, "block %q was replaced or removed: open it again", name)
		}
		if err := v.DataTruncated(); err != nil {
			return err
		}
	}
	control, err := platform.StatPath(v.ControlPath(v.ID))
	gone := errors.Is(err, fs.ErrNotExist) // another error is no answer
	if gone || err == nil && (!control.Same(v.CtlInfo) || uint64(control.Size) != v.ControlSize) {
		return status.Errorf(status.Corrupt, "block %q: its control file was removed, exchanged, truncated or "+
			"extended: %s", name, segment.AdviseValidate(name))
	}
	if !bytes.Equal(r.data, r.dataHead) || !bytes.Equal(r.control, r.controlHead) {
		return status.Errorf(status.Corrupt, "block %q: the header of one of its files has changed: %s", name,
			segment.AdviseValidate(name))
	}
	return nil
}

var errReaderClosed = &status.Error{Code: status.Closed, Detail: "this reader of metrics is closed already"}

// Schema returns the schema of the block's messages. nil: the producer specified none. Errors:
// Corrupt, Closed.
func (r *MetricsReader) Schema() (*schema.Schema, error) {
	if r.v.Data == nil {
		return nil, errReaderClosed
	}
	return r.v.ParseSchema(&r.v.MessageSchemaText)
}

// Committed returns the time at which message id was committed. It reports false if the block
// stores no times, or does not have the message now.
func (r *MetricsReader) Committed(id uint64) (time.Time, bool) {
	v := r.v
	if v.Data == nil || v.Flags&layout.FlagTimestamp == 0 {
		return time.Time{}, false
	}
	e := v.Entry(id).Load()
	slot := layout.EntrySlot(e)
	if !layout.EntryIs(e, id) || slot >= v.Slots() {
		return time.Time{}, false
	}
	at := v.SlotHeader(slot)
	mark := v.Data.U64(at + layout.SlotClaim).Load()
	if v.Entry(id).Load()&^layout.EntryFence != e&^layout.EntryFence {
		return time.Time{}, false
	}
	has, stamp := v.Data.U64(at+layout.SlotID).Load(), v.Data.U64(at+layout.SlotTimestamp).Load()
	if has != id || stamp == 0 || v.Data.U64(at+layout.SlotClaim).Load() != mark ||
		v.Entry(id).Load()&^layout.EntryFence != e&^layout.EntryFence {
		return time.Time{}, false
	}
	return time.Unix(0, int64(stamp)), true
}

// Close unmaps the block. No other call may be running. Errors: Closed (it is closed already).
func (r *MetricsReader) Close() error {
	if r.v.Data == nil {
		return errReaderClosed
	}
	r.v.close()
	return nil
}
