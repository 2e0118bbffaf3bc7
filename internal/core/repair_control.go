package core

import (
	"fmt"

	"datablock/internal/crash"
	"datablock/internal/layout"
)

// extend gives a control file that was truncated its size again. What stood behind the cut is gone:
// rows, with the places of durable consumers, the flexible zone, the recovery log. So it takes
// force, and it takes proof that nobody is attached: the locks of a file do not end with its bytes.
// Zeros are free rows, and what else the cut has damaged the next round repairs.
func (r *repair) extend(x *inspection) error {
	if !r.force {
		return nil
	}
	locks, err := openLocks(x.block, true)
	if err != nil {
		return err
	}
	defer locks.Close()
	free := false
	withDeadRow(locks, layout.ProducerRow, func() {
		held, lockErr := locks.Held(rowByte(1), layout.LockStride*layout.MaxConsumers)
		if free = lockErr == nil && !held; !free {
			return
		}
		if err = x.stillNamed(); err != nil {
			return
		}
		if full := x.ctlFile.Reserve(int64(x.controlSize)); full != nil {
			err = systemError(full, "block %q needs %d bytes", x.name(), x.controlSize)
		}
		crash.Point("repair.file")
	})
	switch {
	case !free:
		r.unsafe = text("programs are attached (its producer was pid %d): end them first", x.producerPID())
	case err != nil:
		return err
	default:
		lost := "no row was in what is gone"
		first := (uint64(max(x.ctlBytes, layout.CtlRows)) - layout.CtlRows) / layout.RowSize
		if first <= uint64(x.consumerLimit) {
			lost = fmt.Sprintf("with the rows from %d on: a durable consumer that had one begins anew", first)
		}
		r.did(nil, PartHeader, 0, uint64(x.ctlBytes), "gave %s its size again, %s", x.control(x.id), lost)
	}
	return nil
}
