package channel

import (
	"errors"
	"io/fs"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// a name that moves this often under one opener is the work of a loop

// OpenProducer creates the block, or takes over or replaces the existing one. `docs/protocol.md` 4
// has the steps.
//
// It blocks for system calls only. One goroutine at a time uses the producer. Errors: Invalid,
// ProducerActive, Access, Secret, Corrupt, Version, Geometry, Schema, NoSpace, NotFound (the
// directory, the registered schema), System.
func OpenProducer(name string, c segment.Config) (*Producer, error) {
	c, err := c.Resolved()
	if err != nil {
		return nil, err
	}
	l, err := segment.Locate(name, c.Directory)
	if err != nil {
		return nil, err
	}
	return segment.RetryMoved(l, func() (*Producer, error) { return openOrCreate(l, c) })
}

func openOrCreate(l segment.Location, c segment.Config) (*Producer, error) {
	b, err := segment.OpenBlock(l, segment.Produce)
	if status.CodeOf(err) == status.NotFound && !errors.Is(err, segment.ErrMoved) {
		segment.CollectName(l) // a dead creator may have reserved the space that is needed
		p, err := createBlock(l, c, nil)
		if status.CodeOf(err) == status.NoSpace {
			if removed, _ := segment.CollectGarbage(l.Directory); len(removed) > 0 {
				p, err = createBlock(l, c, nil)
			}
		}
		return p, err
	}
	if err != nil {
		return nil, err
	}
	a, err := segment.NewAttachment(b)
	if err != nil {
		b.Unmap()
		return nil, err
	}
	adopted := false
	defer func() {
		if !adopted { // an error, a fault in a file that is truncated meanwhile, or a replacement
			a.Leave()
		}
		segment.CollectName(l)
	}()
	p, adopted, err := adoptOrReplace(a, c)
	return p, err
}

// adoptOrReplace takes an existing block over, replaces it, or refuses both. If adopted is false,
// the caller releases the attachment.
func adoptOrReplace(a *segment.Attachment, c segment.Config) (_ *Producer, adopted bool, _ error) {
	if err := a.CheckSecret(c.Secret); err != nil {
		return nil, false, err
	}
	locked, err := a.LockProducerRow()
	if err != nil {
		return nil, false, err
	}
	crash.Point("adopt.locked")
	if err := a.StillNamed(); err != nil {
		return nil, false, err
	}
	force := c.Flags&segment.Replace != 0 && c.Flags&segment.Force != 0
	if !locked && !force {
		return nil, false, a.BeingWritten("one producer per block; stop it, use another name",
			"replace the block by force")
	}
	unlike := a.Adoptable(c)
	difference := a.Difference(c)
	if unlike != nil {
		difference = unlike.Error()
	}
	abandoned := a.Ending() // a replacer died before it exchanged the names
	if why := a.Stranger(c); locked && why != "" && c.Flags&segment.Replace == 0 {
		return nil, false, status.Errorf(status.Access, "block %q %s: look who made it, then remove it, ask for "+
			"another mode, or replace it with the flag REPLACE", a.BlockName(), why)
	} else if why != "" {
		difference = why
	}
	if locked && !abandoned && difference == "" {
		p, err := adopt(a, c)
		if status.CodeOf(err) != status.Corrupt || c.Flags&segment.Replace == 0 {
			return p, err == nil, err
		}
	}
	if locked && !abandoned && c.Flags&segment.Replace == 0 && unlike != nil {
		if status.CodeOf(unlike) == status.Schema {
			a.CountMismatch()
		}
		return nil, false, unlike
	}
	if locked && !abandoned && c.Flags&segment.Replace == 0 {
		return nil, false, status.Errorf(status.Geometry, "block %q exists with another geometry: %s; ask for what it "+
			"has, or replace it with the flag REPLACE", a.BlockName(), difference)
	}
	if err := a.LockReplace(); err != nil {
		return nil, false, err
	}
	if err := a.StillNamed(); err != nil {
		return nil, false, err
	}
	if err := a.MayEnd(); err != nil {
		return nil, false, err
	}
	p, err := createBlock(a.Location, c, a.Segment)
	return p, false, err
}

// adopt takes over the block of a producer that closed or died. The caller holds the lease of row
// 0.
func adopt(a *segment.Attachment, c segment.Config) (*Producer, error) {
	before := a.StateWord.Load()
	if before == layout.StateReplacing || before == layout.StateSuperseded {
		return nil, segment.ErrMoved
	}
	p := newProducer(a, c)
	if err := p.recoverRing(); err != nil {
		return nil, err
	}
	for _, slot := range p.retired[:p.retireCount] {
		mark := a.Data.Plain64(a.SlotHeader(slot) + layout.SlotClaim)
		*mark &^= layout.ClaimOpen
	}
	p.clearFences()
	crash.Point("adopt.recovered")
	if !p.begin(before) {
		return nil, segment.ErrMoved
	}
	return p, nil
}

// clearFences removes fences that no claim reacts to any more, which damage may leave: the fences
// of all entries but that of the next message. The claim of the next message clears that entry's
// fence.
func (p *Producer) clearFences() {
	for i := range p.Entries {
		for e := &p.Entries[i]; uint32(i) != p.place() && p.expected[i]&layout.EntryFence != 0; {
			if v := e.Load(); e.CompareAndSwap(v, v&^layout.EntryFence) {
				p.expected[i] = v &^ layout.EntryFence
			}
		}
	}
}

// recoverRing finds the next message number. The entries decide. commit is a hint that counts only
// while every entry is empty. recoverRing writes nothing until all entries have been found sound.
func (p *Producer) recoverRing() error {
	p.next = 0
	empty := true
	inRing := make([]bool, p.Slots())
	for i := range p.Entries {
		e := p.Entries[i].Load()
		if layout.EntryEmpty(e) || p.IsReclaimed(e) { // the newest message is never reclaimed
			continue
		}
		slot := layout.EntrySlot(e)
		if slot >= p.Slots() || inRing[slot] {
			return status.Errorf(status.Corrupt, "block %q: ring entry %d names slot %d, which is impossible; %s",
				p.BlockName(), i, slot,
				segment.AdviseValidate(p.BlockName()))
		}
		inRing[slot] = true
		id := *p.Data.Plain64(p.SlotHeader(slot) + layout.SlotID)
		if id%uint64(p.SlotCount) != uint64(i) || layout.EntryID(e, id) != id {
			return status.Errorf(status.Corrupt, "block %q: ring entry %d and the header of slot %d disagree about "+
				"the message; %s",
				p.BlockName(), i, slot, segment.AdviseValidate(p.BlockName()))
		}
		p.next = max(p.next, id+1)
		empty = false
	}
	if empty {
		p.next = p.Hint()
	}
	p.minCursor = p.next - uint64(p.SlotCount)
	for slot, in := range inRing {
		if !in {
			p.retire(uint32(slot)) // a hazard pointer may still name the slot
		}
	}
	return nil
}

// begin makes this process the block's producer, visible to all. It reports false if the block,
// whose state was before, is being replaced by force.
func (p *Producer) begin(before uint32) bool {
	epoch := p.Data.Plain64(layout.Epoch)
	p.AbandonLocks(segment.LockMark(layout.ProducerRow, uint32(*epoch)))
	crash.Point("adopt.locks")
	*epoch++
	p.epoch = *epoch
	p.Locks.Mark = segment.LockMark(layout.ProducerRow, uint32(p.epoch))
	crash.Point("adopt.epoch")
	who := platform.Self()
	*p.Data.Plain64(layout.ProducerPID) = who.PID
	*p.Data.Plain64(layout.ProducerStart) = who.StartTime
	*p.Data.Plain64(layout.ProducerPIDNS) = who.PIDNamespace
	*p.Data.Plain64(layout.ProducerClock) = segment.ClockWord(who.ClockAhead, who.ClockKnown)
	*p.Data.Plain64(layout.Heartbeat) = platform.Monotonic()
	*p.Data.Plain64(layout.ClaimID) = 0
	*p.Data.Plain64(layout.ClaimSince) = 0
	p.WriteIdentity(layout.ProducerRow, layout.RoleProducer, 0, "")
	crash.Point("adopt.written")
	p.Ctl.U32(p.Header.RowOffset(layout.ProducerRow) + layout.RowStatus).Store(layout.RowActive)
	crash.Point("adopt.identity")
	p.ProducerWaiting.Store(0) // what a dead producer waited for
	crash.Point("adopt.waiting")
	*p.CommitHint = p.next
	crash.Point("adopt.hint")
	ready := p.StateWord.CompareAndSwap(before, layout.StateReady)
	crash.Point("adopt.ready")
	p.WakeConsumers()
	return ready
}

// createBlock makes a new block and gives it the name. The name is free, or createBlock takes it
// from the old block in one step. The caller has checked that the old block may be replaced.
func createBlock(l segment.Location, c segment.Config, old *segment.Segment) (*Producer, error) {
	var id segment.BlockID
	if err := platform.Random(id[:]); err != nil {
		return nil, segment.SystemError(err, "random block id")
	}
	h := segment.NewHeader(l, id, platform.Realtime(), c)
	b := &segment.Segment{Location: l, Header: h}
	b.Home, _ = platform.StatDirectory(l.Directory)
	a := &segment.Attachment{Segment: b}
	var made []string
	published := false
	defer func() {
		if published {
			return
		}
		for i := range made { // the control file last: without it no process could tell that the rest is garbage
			_ = platform.Remove(made[len(made)-1-i])
		}
		a.CloseLocks()
		b.Unmap()
	}()

	dataMode, controlMode := segment.FileModes(c.Mode)
	if err := a.CreateControl(controlMode, &made); err != nil {
		return nil, err
	}
	if err := b.CreateData(dataMode, c, &made); err != nil {
		return nil, err
	}
	b.ResolveWords()
	for i := range b.Entries {
		b.Entries[i].Store(layout.EntryNone)
	}
	p := newProducer(a, c)
	for slot := range b.Slots() { // no consumer has ever seen the block
		p.slot = slot
		p.giveBack()
	}
	p.begin(0)
	crash.Point("create.filled")
	var err error
	if old == nil {
		err = platform.Publish(l.TemporaryPath(id), l.DataPath())
	} else {
		err = replaceBlock(old, p)
	}
	switch {
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return nil, segment.ErrMoved // another process was faster
	case errors.Is(err, segment.ErrMoved):
		return nil, err
	case err != nil:
		return nil, segment.SystemError(err, "block %q", l.Name)
	}
	published = true
	b.CloseFile()
	crash.Point("create.published")
	return p, nil
}

// replaceBlock puts a new block in the place of the old one. The order is mark, fence, exchange:
// whatever a hung producer of the old block does next, it cannot commit into a block that no
// consumer reads any more. The caller holds REPLACE on the old block and has found it under the
// name. A failure after the exchange does not count: the new block is there.
func replaceBlock(old *segment.Segment, replacement *Producer) error {
	temporary := replacement.TemporaryPath(replacement.ID)
	if err := platform.CanExchange(temporary); err != nil {
		return err
	}
	if err := old.MayEnd(); err != nil {
		return err
	}
	before := old.Supersede()
	crash.Point("replace.fenced")
	if err := platform.Exchange(temporary, old.Location.DataPath()); err != nil {
		if !old.LostName() {
			old.StateWord.CompareAndSwap(layout.StateSuperseded, before) // still allowed: this process holds REPLACE
		}
		return err
	}
	crash.Point("replace.exchanged")
	old.WakeConsumers()
	old.WakeProducer()
	old.RemoveControl()
	// The displaced block. If it is not the old one, another program removed the old file in
	// between.
	_ = segment.Remains{Location: old.Location, ID: replacement.ID}.RemoveTemporary()
	return nil
}
