package segment

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"datablock/internal/core/status"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

const (
	attachPatience = 2 * time.Second       // for cleaners that work on the wanted row
	SparePatience  = 50 * time.Millisecond // for other consumers that attach at the same moment

	// How long a consumer that waits for its block pauses between two attempts: at first, and
	// later.
	FirstPoll = time.Millisecond
	RarePoll  = 16 * time.Millisecond
)

// Delivery resolves the default and refuses what the block forbids.
func (b *Segment) Delivery(d Delivery) (Delivery, error) {
	allowed := b.Flags&AllowLossless != 0
	switch {
	case d == DeliveryDefault && b.Policy == Ring && allowed:
		return Lossless, nil
	case d == DeliveryDefault && b.Policy == Ring:
		return Ordered, nil
	case d == DeliveryDefault:
		return Latest, nil
	case d == Lossless && !allowed:
		how := "with ALLOW_LOSSLESS"
		if b.Policy == Ring {
			how = "without FORBID_LOSSLESS"
		}
		return d, status.Errorf(status.Invalid, "block %q does not allow LOSSLESS consumers, who could hold its "+
			"producer up: use ORDERED or LATEST, or create it %s", b.BlockName(), how)
	}
	return d, nil
}

func NameLock(name string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return layout.LockNames + int64(h.Sum32()%layout.LockNameMod)
}

// FindRow takes the lease of a row: the row of the returning durable consumer with this name, or a
// free row.
func (a *Attachment) FindRow(o ConsumerOptions) (returning bool, err error) {
	deadline := time.Now().Add(attachPatience)
	for ; ; platform.Nap(time.Millisecond) {
		again := false
		if o.Durable {
			returning, again, err = a.lockDurable(o)
			if returning || err != nil {
				return returning, err
			}
		}
		if !again {
			var locked bool
			if locked, again, err = a.lockFree(false); !locked && err == nil {
				var more bool
				locked, more, err = a.lockFree(true)
				again = again || more
			}
			if locked || err != nil {
				return false, err
			}
		}
		if !again {
			return false, a.full()
		}
		if time.Now().After(deadline) {
			return false, status.Errorf(status.Busy, "block %q: its rows are being attached or cleaned without end: "+
				"try again",
				a.BlockName())
		}
	}
}

// full is the error of a block without a free row. It names the consumers, and what can be done.
func (a *Attachment) full() error {
	const shown = 5
	var holders []string
	rows, dead := map[string]int{}, 0
	for row := uint32(1); row <= a.ConsumerLimit; row++ {
		if a.DurableRow(row) && Probe(a.ProbeLocks, row) == OwnerDead {
			dead++
			continue
		}
		holder := fmt.Sprintf("%s %q", a.DescribeOwner(row), a.RowName(row))
		if rows[holder]++; rows[holder] == 1 {
			holders = append(holders, holder)
		}
	}
	for i, holder := range holders {
		if rows[holder] > 1 {
			holders[i] = fmt.Sprintf("%s (%d rows)", holder, rows[holder])
		}
	}
	who, advice := InShort(holders, shown, len(holders)), "close some consumers"
	if dead > 0 {
		who += fmt.Sprintf("; %d rows are of dead durable consumers", dead)
		advice += ", give up the places of the dead ones (datablock-admin cleanup-heartbeats --timeout 0s)"
	}
	if a.ConsumerLimit < layout.MaxConsumers {
		advice += ", or create the block with a higher consumer_limit"
	} else {
		advice += fmt.Sprintf("; a block has at most %d, so that more readers need a second block", layout.MaxConsumers)
	}
	return status.Errorf(status.Full, "block %q: all %d consumer rows are taken, by %s: %s", a.BlockName(),
		a.ConsumerLimit,
		strings.TrimPrefix(who, "; "), advice)
}

// lockDurable looks for the row of a durable name. It locks the byte of the name until the row is
// complete, so that a name never has two rows. again: another process has the byte, or changed the
// row meanwhile.
func (a *Attachment) lockDurable(o ConsumerOptions) (found, again bool, err error) {
	if ok, err := a.RowLocks.TryLock(NameLock(o.Name)); err != nil || !ok {
		return false, true, err
	}
	for row := uint32(1); row <= a.ConsumerLimit; row++ {
		if !a.DurableRow(row) || a.RowName(row) != o.Name {
			continue
		}
		locked, err := a.lockConsumerRow(row)
		switch {
		case err != nil:
			return false, false, err
		case !locked && Probe(a.ProbeLocks, row) != OwnerAlive:
			return false, true, nil
		case !locked:
			if heir := a.LockHeir(row); heir != "" {
				return false, false, status.Errorf(status.Busy, "block %q: the durable consumer %q: %s", a.BlockName(),
					o.Name, heir)
			}
			return false, false, status.Errorf(status.Busy, "block %q: the durable consumer %q is attached already "+
				"(%s): one at a time",
				a.BlockName(), o.Name, a.DescribeOwner(row))
		case !a.DurableRow(row) || a.RowName(row) != o.Name: // the place expired meanwhile
			a.unlockConsumerRow()
			return false, true, nil
		}
		if was := Delivery(a.Ctl[a.Header.RowOffset(row)+layout.RowDelivery]); was != o.Delivery {
			return false, false,
				status.Errorf(status.Invalid, "block %q: the durable consumer %q has %v delivery, asked for %v: keep "+
					"it, or use another name", a.BlockName(), o.Name, was, o.Delivery)
		}
		return true, false, nil
	}
	return false, false, nil
}

// lockFree takes the first free row. again: a row is only being cleaned. expired: lockFree also
// takes durable rows whose retention is over.
func (a *Attachment) lockFree(expired bool) (locked, again bool, err error) {
	for row := uint32(1); row <= a.ConsumerLimit; row++ {
		if a.DurableRow(row) && !(expired && a.CleanRow(a.ProbeLocks, row, a.Expired) && !a.DurableRow(row)) {
			continue // the row waits for its owner
		}
		locked, err := a.lockConsumerRow(row)
		if err != nil {
			return false, false, err
		}
		if !locked {
			again = again || Probe(a.ProbeLocks, row) != OwnerAlive
			continue
		}
		if a.DurableRow(row) { // another consumer took the row and left it in between
			a.unlockConsumerRow()
			continue
		}
		return true, false, nil
	}
	return false, again, nil
}
