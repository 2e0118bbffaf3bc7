package recovery

import (
	"fmt"

	"datablock/internal/core/segment"

	"datablock/internal/crash"
	"datablock/internal/layout"
)

// extend gives a truncated control file its size again. What lay behind the cut is gone: rows, with
// the cursors of durable consumers, the flexible zone, the recovery log. Therefore extend needs
// force, and proof that no participant is attached: the locks of a file do not end with its bytes.
// Zeros are free rows. The next round repairs whatever else the cut has damaged.
func (r *repairRun) extend(x *inspection) error {
	if !r.force {
		return nil
	}
	locks, err := segment.OpenLocks(x.Segment, true)
	if err != nil {
		return err
	}
	defer locks.Close()
	free := false
	segment.WithDeadRow(locks, layout.ProducerRow, func() {
		held, lockErr := locks.Held(segment.RowByte(1), layout.LockStride*layout.MaxConsumers)
		if free = lockErr == nil && !held; !free {
			return
		}
		if err = x.StillNamed(); err != nil {
			return
		}
		if full := x.ctlFile.Reserve(int64(x.ControlSize)); full != nil {
			err = segment.SystemError(full, "block %q needs %d bytes", x.BlockName(), x.ControlSize)
		}
		crash.Point("repair.file")
	})
	switch {
	case !free:
		r.unsafe = fmt.Sprintf("programs are attached (its producer was pid %d): end them first", x.producerPID())
	case err != nil:
		return err
	default:
		lost := "no row was in what is gone"
		first := (uint64(max(x.ctlBytes, layout.CtlRows)) - layout.CtlRows) / layout.RowSize
		if first <= uint64(x.ConsumerLimit) {
			lost = fmt.Sprintf("with the rows from %d on: a durable consumer that had one begins anew", first)
		}
		r.did(nil, PartHeader, 0, uint64(x.ctlBytes), "gave %s its size again, %s", x.ControlPath(x.ID), lost)
	}
	return nil
}
