package core

import (
	"errors"
	"fmt"
	"io/fs"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

const openTries = 1000 // a name that moves this often under one opener is the work of a loop

// retryMoved calls f again while the name leads to another file than f has opened (errMoved).
func retryMoved[T any](l location, f func() (T, error)) (T, error) {
	for range openTries {
		if t, err := f(); !errors.Is(err, errMoved) {
			return t, err
		}
	}
	var none T
	return none, fail(Busy, "block %q: the name leads to another file at every look: several programs are replacing "+
		"or removing it", l.name)
}

// OpenProducer creates the block, or takes over or replaces the existing one. `docs/protocol.md` 4
// has the steps.
//
// It blocks for system calls only. One goroutine at a time uses the producer. Errors: Invalid,
// ProducerActive, Access, Secret, Corrupt, Version, Geometry, Schema, NoSpace, NotFound (the
// directory, the registered schema), System.
func OpenProducer(name string, c Config) (*Producer, error) {
	c, err := c.resolved()
	if err != nil {
		return nil, err
	}
	l, err := locate(name, c.Directory)
	if err != nil {
		return nil, err
	}
	return retryMoved(l, func() (*Producer, error) { return openOrCreate(l, c) })
}

func openOrCreate(l location, c Config) (*Producer, error) {
	b, err := openBlock(l, produce)
	if CodeOf(err) == NotFound && !errors.Is(err, errMoved) {
		collectName(l) // a dead creator may have reserved the space that is needed
		p, err := createBlock(l, c, nil)
		if CodeOf(err) == NoSpace {
			if removed, _ := CollectGarbage(l.directory); len(removed) > 0 {
				p, err = createBlock(l, c, nil)
			}
		}
		return p, err
	}
	if err != nil {
		return nil, err
	}
	a, err := newAttachment(b)
	if err != nil {
		b.unmap()
		return nil, err
	}
	adopted := false
	defer func() {
		if !adopted { // an error, a fault in a file that is truncated meanwhile, or a replacement
			a.leave()
		}
		collectName(l)
	}()
	p, adopted, err := adoptOrReplace(a, c)
	return p, err
}

// adoptOrReplace takes an existing block over, replaces it, or refuses both. If adopted is false,
// the caller releases the attachment.
func adoptOrReplace(a *attachment, c Config) (_ *Producer, adopted bool, _ error) {
	if err := a.checkSecret(c.Secret); err != nil {
		return nil, false, err
	}
	locked, err := a.lockProducerRow()
	if err != nil {
		return nil, false, err
	}
	crash.Point("adopt.locked")
	if err := a.stillNamed(); err != nil {
		return nil, false, err
	}
	force := c.Flags&Replace != 0 && c.Flags&Force != 0
	if !locked && !force {
		return nil, false, a.beingWritten("one producer per block; stop it, use another name",
			"replace the block by force")
	}
	unlike := a.adoptable(c)
	difference := a.difference(c)
	if unlike != nil {
		difference = unlike.Error()
	}
	abandoned := a.ending() // a replacer died before it exchanged the names
	if why := a.stranger(c); locked && why != "" && c.Flags&Replace == 0 {
		return nil, false, fail(Access, "block %q %s: look who made it, then remove it, ask for that mode, or "+
			"replace it with the flag REPLACE", a.name(), why)
	} else if why != "" {
		difference = why
	}
	if locked && !abandoned && difference == "" {
		p, err := adopt(a, c)
		if CodeOf(err) != Corrupt || c.Flags&Replace == 0 {
			return p, err == nil, err
		}
	}
	if locked && !abandoned && c.Flags&Replace == 0 && unlike != nil {
		if CodeOf(unlike) == Schema {
			a.countMismatch()
		}
		return nil, false, unlike
	}
	if locked && !abandoned && c.Flags&Replace == 0 {
		return nil, false, fail(Geometry, "block %q exists with another geometry: %s; ask for what it has, or "+
			"replace it with the flag REPLACE", a.name(), difference)
	}
	if err := a.lockReplace(); err != nil {
		return nil, false, err
	}
	if err := a.stillNamed(); err != nil {
		return nil, false, err
	}
	if err := a.mayEnd(); err != nil {
		return nil, false, err
	}
	p, err := createBlock(a.location, c, a.block)
	return p, false, err
}

// stranger returns how the files differ from what this program would have made, "" if they do not.
// Any user may create a name in a shared directory first.
func (b *block) stranger(c Config) string {
	mode, _ := modes(c.Mode)
	if b.dataInfo.Mode&^mode != 0 {
		return fmt.Sprintf("has mode 0%o, and 0%o was asked for", b.dataInfo.Mode, mode)
	}
	if me := platform.EffectiveUID(); b.dataInfo.UID != me && mode&0o020 == 0 {
		return fmt.Sprintf("belongs to uid %d, this program runs as uid %d, and no group was asked to write",
			b.dataInfo.UID, me)
	}
	return ""
}

// adopt takes over the block of a producer that closed or died. The caller holds the lease of row
// 0.
func adopt(a *attachment, c Config) (*Producer, error) {
	before := a.state.Load()
	if before == layout.StateReplacing || before == layout.StateSuperseded {
		return nil, errMoved
	}
	p := newProducer(a, c)
	if err := p.recoverRing(); err != nil {
		return nil, err
	}
	for _, slot := range p.retired[:p.retireCount] {
		mark := a.data.plain64(a.slotHeader(slot) + layout.SlotClaim)
		*mark &^= layout.ClaimOpen
	}
	p.clearFences()
	crash.Point("adopt.recovered")
	if !p.begin(before) {
		return nil, errMoved
	}
	return p, nil
}

// clearFences removes fences that no claim reacts to any more, which damage may leave: the fences
// of all entries but that of the next message. The claim of the next message clears that entry's
// fence.
func (p *Producer) clearFences() {
	for i := range p.entries {
		for e := &p.entries[i]; uint32(i) != p.place() && p.expected[i]&layout.EntryFence != 0; {
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
	inRing := make([]bool, p.slots())
	for i := range p.entries {
		e := p.entries[i].Load()
		if layout.EntryEmpty(e) {
			continue
		}
		slot := layout.EntrySlot(e)
		if slot >= p.slots() || inRing[slot] {
			return fail(Corrupt, "block %q: ring entry %d names slot %d, which is impossible; %s", p.name(), i, slot,
				lookFirst(p.name()))
		}
		inRing[slot] = true
		id := *p.data.plain64(p.slotHeader(slot) + layout.SlotID)
		if id%uint64(p.slotCount) != uint64(i) || layout.EntryID(e, id) != id {
			return fail(Corrupt, "block %q: ring entry %d and the header of slot %d disagree about the message; %s",
				p.name(), i, slot, lookFirst(p.name()))
		}
		p.next = max(p.next, id+1)
		empty = false
	}
	if empty {
		p.next = p.commit()
	}
	p.minCursor = p.next - uint64(p.slotCount)
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
	epoch := p.data.plain64(layout.Epoch)
	p.abandonLocks(lockMark(layout.ProducerRow, uint32(*epoch)))
	crash.Point("adopt.locks")
	*epoch++
	p.epoch = *epoch
	p.locks.mark = lockMark(layout.ProducerRow, uint32(p.epoch))
	crash.Point("adopt.epoch")
	who := platform.Self()
	*p.data.plain64(layout.ProducerPID) = who.PID
	*p.data.plain64(layout.ProducerStart) = who.StartTime
	*p.data.plain64(layout.ProducerPIDNS) = who.PIDNamespace
	*p.data.plain64(layout.ProducerClock) = clockWord(who.ClockAhead, who.ClockKnown)
	*p.data.plain64(layout.Heartbeat) = platform.Monotonic()
	*p.data.plain64(layout.ClaimID) = 0
	*p.data.plain64(layout.ClaimSince) = 0
	p.writeIdentity(layout.ProducerRow, layout.RoleProducer, 0, "")
	crash.Point("adopt.written")
	p.ctl.u32(p.header.row(layout.ProducerRow) + layout.RowStatus).Store(layout.RowActive)
	crash.Point("adopt.identity")
	p.producerWaiting.Store(0) // what a dead producer waited for
	crash.Point("adopt.waiting")
	*p.commitHint = p.next
	crash.Point("adopt.hint")
	ready := p.state.CompareAndSwap(before, layout.StateReady)
	crash.Point("adopt.ready")
	p.wakeConsumers()
	return ready
}

// modes derives the permissions of the two files. Only the owner and the owner's group can ever
// write messages. The group may write the control file if it may read the data file. Other users
// may write the control file only if the mode gives them read and write permission.
func modes(mode uint32) (data, control uint32) {
	control = 0o600
	if mode&0o040 != 0 {
		control |= 0o060
	}
	if mode&0o006 == 0o006 {
		control |= 0o006
	}
	return mode &^ 0o002, control
}

// createBlock makes a new block and gives it the name. The name is free, or createBlock takes it
// from the old block in one step. The caller has checked that the old block may be replaced.
func createBlock(l location, c Config, old *block) (*Producer, error) {
	var id blockID
	if err := platform.Random(id[:]); err != nil {
		return nil, systemError(err, "random block id")
	}
	h := newHeader(l, id, platform.Realtime(), c)
	b := &block{location: l, header: h}
	b.home, _ = platform.StatDirectory(l.directory)
	a := &attachment{block: b}
	var made []string
	published := false
	defer func() {
		if published {
			return
		}
		for i := range made { // the control file last: without it no process could tell that the rest is garbage
			_ = platform.Remove(made[len(made)-1-i])
		}
		a.closeLocks()
		b.unmap()
	}()

	dataMode, controlMode := modes(c.Mode)
	if err := a.createControl(controlMode, &made); err != nil {
		return nil, err
	}
	if err := b.createData(dataMode, c, &made); err != nil {
		return nil, err
	}
	b.resolveWords()
	for i := range b.entries {
		b.entries[i].Store(layout.EntryNone)
	}
	p := newProducer(a, c)
	for slot := range b.slots() { // no consumer has ever seen the block
		p.slot = slot
		p.giveBack()
	}
	p.begin(0)
	crash.Point("create.filled")
	var err error
	if old == nil {
		err = platform.Publish(l.temporary(id), l.data())
	} else {
		err = replaceBlock(old, p)
	}
	switch {
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return nil, errMoved // another process was faster
	case errors.Is(err, errMoved):
		return nil, err
	case err != nil:
		return nil, systemError(err, "block %q", l.name)
	}
	published = true
	b.closeFile()
	crash.Point("create.published")
	return p, nil
}

// createControl makes the control file and takes the lease of row 0 before anything else: other
// processes treat a control file whose row 0 is free as garbage.
func (a *attachment) createControl(mode uint32, made *[]string) error {
	path := a.control(a.id)
	f, err := platform.CreateFile(path, mode)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return &Error{Code: NotFound, Cause: err,
				Detail: fmt.Sprintf("block %q: there is no directory %s: create it, or use another", a.name(),
					a.directory)}
		}
		return systemError(err, "block %q", a.name())
	}
	defer f.Close()
	*made = append(*made, path)
	crash.Point("create.control")
	if a.ctlInfo, err = f.Stat(); err != nil {
		return systemError(err, "block %q", a.name())
	}
	if a.own, err = openLocks(a.block, true); err != nil {
		return err
	}
	if a.ask, err = openLocks(a.block, true); err != nil {
		return err
	}
	locked, err := a.lockRow(layout.ProducerRow)
	if err != nil {
		return err
	}
	// A garbage collector may have run between creation and lock. Then the collector holds the
	// file, or has removed it.
	answer, err := follow(path, a.ctlInfo, a.home)
	if !locked || answer.no() {
		return errMoved
	}
	if err != nil {
		return systemError(err, "block %q", a.name())
	}
	crash.Point("create.locked")
	if err := f.Reserve(int64(a.controlSize)); err != nil {
		return systemError(err, "block %q needs %d bytes", a.name(), a.controlSize)
	}
	crash.Point("create.control-reserved")
	m, err := f.Map(int64(a.controlSize), true, false)
	if err != nil {
		return systemError(err, "block %q", a.name())
	}
	a.ctl = m
	copy(a.ctl, a.encodeControl())
	return nil
}

// createData makes the data file under its temporary name, filled and with its space reserved.
func (b *block) createData(mode uint32, c Config, made *[]string) error {
	path := b.temporary(b.id)
	f, err := platform.CreateFile(path, mode)
	if err != nil {
		return systemError(err, "block %q", b.name())
	}
	b.dataFile = f
	*made = append(*made, path)
	crash.Point("create.data")
	if err := f.Reserve(int64(b.dataSize)); err != nil {
		return systemError(err, "block %q needs %d bytes, for %d messages and %d spare slots of %d bytes", b.name(),
			b.dataSize, b.slotCount, b.spareSlots, b.slotSize)
	}
	crash.Point("create.data-reserved")
	if b.dataInfo, err = f.Stat(); err != nil {
		return systemError(err, "block %q", b.name())
	}
	if b.data, err = f.Map(int64(b.dataSize), true, true); err != nil {
		return systemError(err, "block %q", b.name())
	}
	copy(b.data, b.encode())
	if c.Schema != nil {
		copy(b.data[b.messageSchema.offset:], c.Schema.Canonical())
	}
	if c.ZoneSchema != nil {
		copy(b.data[b.zoneSchema.offset:], c.ZoneSchema.Canonical())
	}
	crash.Point("create.header")
	return nil
}

// replaceBlock puts a new block in the place of the old one. The order is mark, fence, exchange:
// whatever a hung producer of the old block does next, it cannot commit into a block that no
// consumer reads any more. The caller holds REPLACE on the old block and has found it under the
// name. A failure after the exchange does not count: the new block is there.
func replaceBlock(old *block, replacement *Producer) error {
	temporary := replacement.temporary(replacement.id)
	if err := platform.CanExchange(temporary); err != nil {
		return err
	}
	if err := old.mayEnd(); err != nil {
		return err
	}
	before := old.supersede()
	crash.Point("replace.fenced")
	if err := platform.Exchange(temporary, old.location.data()); err != nil {
		if !old.lostName() {
			old.state.CompareAndSwap(layout.StateSuperseded, before) // still allowed: this process holds REPLACE
		}
		return err
	}
	crash.Point("replace.exchanged")
	old.wakeConsumers()
	old.wakeProducer()
	old.removeControl()
	// The displaced block. If it is not the old one, another program removed the old file in
	// between.
	_ = remains{location: old.location, id: replacement.id}.removeTemporary()
	return nil
}

// mayEnd checks that this program may take the block's name from it, before anything is done to the
// block. A user who may write both files may still not be allowed to remove them, as in a directory
// with the sticky bit.
func (b *block) mayEnd() error {
	if err := platform.MayRemove(b.location.data()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return systemError(err, "block %q", b.name())
	}
	return nil
}

// removeControl removes the control file of a block that has just lost its name for good. No
// process finds the block any more, and attached participants have the file open. If the removal
// were left to the last participant, the file would stay when that participant is killed.
func (b *block) removeControl() {
	path := b.control(b.id)
	if answer, _ := follow(path, b.ctlInfo, b.home); answer == leadsThere {
		_ = platform.Remove(path)
	}
}

// supersede ends a block for good and returns the state that it had. The mark comes first. A
// producer that claims after the mark sees it, because a claim loads the state after it has
// remembered the entry. A producer that claimed earlier loses its compare-and-swap to the fence, or
// has published by then. Only afterwards may consumers conclude that no message follows.
func (b *block) supersede() (before uint32) {
	before = b.state.Load()
	for before != layout.StateReplacing && before != layout.StateSuperseded &&
		!b.state.CompareAndSwap(before, layout.StateReplacing) {
		before = b.state.Load()
	}
	crash.Point("replace.marked")
	b.fenceNext()
	crash.Point("replace.fence")
	b.state.Store(layout.StateSuperseded)
	crash.Point("replace.superseded")
	return before
}

// fenceNext sets FENCE on the entry of the next id. The compare-and-swap succeeds only while that
// id is unpublished.
func (b *block) fenceNext() {
	for range openTries { // a living producer publishes at most one more message after the mark
		next := b.next()
		e := b.entry(next)
		v := e.Load()
		if !layout.EntryEmpty(v) && layout.EntryID(v, next) >= next {
			continue
		}
		if v&layout.EntryFence != 0 || e.CompareAndSwap(v, v|layout.EntryFence) {
			return
		}
	}
}
