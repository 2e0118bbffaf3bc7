package recovery

import (
	"fmt"
	"slices"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// StepKind is the kind of a step of AutoRecover. The values are those of DATABLOCK_STEP_*.
type StepKind uint32

// The kinds.
const (
	StepRepair        StepKind = 1 // damage, by Repair
	StepReleaseReader StepKind = 2 // a dead consumer's row
	StepReleaseWriter StepKind = 3 // a dead producer's claim
	StepCollect       StepKind = 4 // files that dead processes left under this name
	// Not done without a request: a participant lives, or a producer has to be started.
	StepAttend StepKind = 5
)

// String returns the kind as the admin tool prints it.
func (k StepKind) String() string {
	return [...]string{"", "repair", "release-reader", "release-writer", "collect", "attend"}[min(k, StepAttend)]
}

// RecoveryStep is one step that AutoRecover does, or would do.
type RecoveryStep struct {
	Kind   StepKind
	Target uint32 // the row or slot; 0 for the block
	PID    uint64 // of the dead, or of the living one to attend to; 0 unknown
	Done   bool   // false in a dry run, after a failure, and for StepAttend
	Result RecoveryResult
	Text   string
}

// autoRecovery is one walk.
type autoRecovery struct {
	name, directory string
	dry             bool
	waiting         time.Duration // as in DiagnoseAfter
	report          func(RecoveryStep)
	steps           int
}

// AutoRecover walks a block's diagnosis, recovers everything that is stuck or damaged, and reports
// each step after it. It touches no living participant: it reports what would need force as
// StepAttend. A dry run only reports what AutoRecover would do, and changes no byte. It returns the
// number of steps, StepAttend not counted. Errors: Invalid, NotFound, Access, Version, Corrupt (not
// a regular file), System.
func AutoRecover(name, directory string, dryRun bool, report func(RecoveryStep)) (int, error) {
	return AutoRecoverAfter(name, directory, dryRun, WaitingAfter, report)
}

// AutoRecoverAfter is AutoRecover with another time for WaitingAfter.
func AutoRecoverAfter(name, directory string, dryRun bool, waiting time.Duration,
	report func(RecoveryStep)) (int, error) {
	a := &autoRecovery{name: name, directory: directory, dry: dryRun, waiting: waiting, report: report}
	l, err := segment.Locate(name, directory)
	if err != nil {
		return 0, err
	}
	d, err := a.damage(l)
	if err != nil {
		return 0, err
	}
	if d.readable {
		if err := a.stuck(l); err != nil {
			return a.steps, err
		}
	}
	if d.sound {
		a.garbage(l, d.id)
	}
	return a.steps, nil
}

// step does one step, unless this is a dry run, and reports it.
func (a *autoRecovery) step(s RecoveryStep, do func() (RecoveryResult, error)) {
	a.steps++
	if !a.dry {
		var err error
		s.Result, err = do()
		switch {
		case s.Result == RecoverySuccess || err == nil:
		case s.Kind == StepRepair: // the error names the problem itself
			s.Text = "repair: " + err.Error()
		default:
			s.Text += ": " + err.Error()
		}
		s.Done = s.Result == RecoverySuccess
	}
	a.report(s)
}

func (a *autoRecovery) attend(target uint32, pid uint64, result RecoveryResult, format string, args ...any) {
	a.report(RecoveryStep{Kind: StepAttend, Target: target, PID: pid, Result: result,
		Text: fmt.Sprintf(format, args...)})
}

// afterDamage is the state of a block after its damage was handled.
type afterDamage struct {
	readable bool
	// Nothing is left that needs an operator. Only then does AutoRecover remove files: what looks
	// like garbage may be what the operator needs.
	sound bool
	id    segment.BlockID // of the block under the name
}

// damage repairs first: whether something is stuck can be diagnosed only in a block that can be
// read.
func (a *autoRecovery) damage(l segment.Location) (after afterDamage, err error) {
	x, err := openInspection(l, false)
	if err != nil {
		return after, err
	}
	x.inspect()
	mendable, hopeless := x.prospects()
	if x.Header != nil {
		after.id = x.ID
	}
	x.close()
	after.sound = len(hopeless) == 0
	if len(mendable) > 0 {
		s := RecoveryStep{Kind: StepRepair, Text: "repair: " + several(mendable[0].Problem, len(mendable))}
		a.step(s, func() (RecoveryResult, error) {
			result, _, err := Repair(a.name, a.directory, false)
			if result == RecoveryNotStuck { // another process has repaired the damage
				return RecoverySuccess, nil
			}
			if result != RecoverySuccess && len(hopeless) > 0 && allMended(l) {
				result = RecoverySuccess // everything that was possible; the rest is reported below
			}
			after.sound = after.sound && result == RecoverySuccess
			return result, err
		})
	}
	if len(hopeless) > 0 {
		f := hopeless[0]
		result, pid := RecoveryFailed, uint64(0)
		if f.inUse != 0 {
			result, pid = RecoveryUnsafe, f.inUse
		}
		a.attend(f.Index, pid, result, "%s", several(f.Problem, len(hopeless))+": "+f.Advice)
	}
	if len(mendable)+len(hopeless) == 0 {
		after.readable = true
		return after, nil
	}
	_, err = Diagnose(a.name, a.directory)
	after.readable = err == nil
	return after, nil
}

// several appends the number of further problems.
func several(problem string, n int) string {
	if n > 1 {
		return fmt.Sprintf("%s (and %d more)", problem, n-1)
	}
	return problem
}

// prospect is a finding that Repair leaves, and the pid of the living producer if that is the
// reason.
type prospect struct {
	Finding
	inUse uint64
}

// prospects returns the findings that Repair without force puts right, and those that it leaves.
func (x *inspection) prospects() (mendable []Finding, hopeless []prospect) {
	alive := x.mapped() && segment.Probe(x.ask, layout.ProducerRow) == segment.OwnerAlive
	for _, f := range x.damaged {
		ring := f.Part == PartRing || f.Part == PartSlot || f.Part == PartPayload
		switch {
		case x.idsUnknown || !f.mendable:
			hopeless = append(hopeless, prospect{f, 0})
		case ring && alive:
			pid := *x.Data.Plain64(layout.ProducerPID)
			f.Advice = fmt.Sprintf("its producer lives (pid %d), and its ring is not touched while it does: stop it, "+
				"then repair", pid)
			hopeless = append(hopeless, prospect{f, pid})
		default:
			mendable = append(mendable, f)
		}
	}
	return mendable, hopeless
}

// allMended reports whether nothing is left that another repair could put right.
func allMended(l segment.Location) bool {
	x, err := openInspection(l, false)
	if err != nil {
		return false
	}
	defer x.close()
	x.inspect()
	mendable, _ := x.prospects()
	return len(mendable) == 0
}

// stuck releases what dead participants hold.
func (a *autoRecovery) stuck(l segment.Location) error {
	d, err := DiagnoseAfter(a.name, a.directory, a.waiting)
	if err != nil {
		return err
	}
	for _, r := range d.Rows {
		if r.Role != layout.RoleConsumer || r.Alive {
			continue
		}
		if rests := r.Durable && r.Status == layout.RowDead && len(r.Pins) == 0; rests && !a.expired(l, r.Row) {
			a.attend(r.Row, r.PID, RecoveryNotStuck, "row %d: the durable consumer %q died and keeps its place: "+
				"start it again, or give its place up with cleanup-heartbeats", r.Row, r.Name)
			continue
		}
		a.step(RecoveryStep{Kind: StepReleaseReader, Target: r.Row, PID: r.PID,
			Text: fmt.Sprintf("release row %d of the dead consumer %q (%s)", r.Row, r.Name,
				segment.ProcessName(r.PID, r.PIDNamespace))},
			func() (RecoveryResult, error) { return releaseRow(l, r) })
	}
	for i := range d.Slots {
		s := &d.Slots[i]
		switch {
		case s.State == SlotWriting && s.Stuck && len(s.Holders) > 0 && !s.Holders[0].Alive:
			a.step(RecoveryStep{Kind: StepReleaseWriter, Target: s.Index, PID: s.WriteLock,
				Text: fmt.Sprintf("end the claim of a dead producer (%s) on slot %d",
					segment.ProcessName(s.WriteLock, s.Holders[0].PIDNamespace), s.Index)},
				func() (RecoveryResult, error) { return ReleaseZombieWriter(a.name, a.directory, s.Index) })
		case s.Stuck:
			a.living(s)
		}
	}
	if d.Block.State == layout.StateReplacing {
		a.attend(0, 0, RecoveryNotStuck, "the block was being replaced when its producer died: start the producer, "+
			"which finishes that")
	}
	return nil
}

// living reports the living holders of a stuck slot. A slot with a dead holder is stuck because of
// that holder.
func (a *autoRecovery) living(s *SlotDiagnosis) {
	if slices.ContainsFunc(s.Holders, func(h Holder) bool { return !h.Alive }) {
		return
	}
	for _, h := range s.Holders {
		a.attend(s.Index, h.PID, RecoveryUnsafe, "slot %d is held by %s for %s: is that process stopped, hung or too "+
			"slow? Only force takes it away", s.Index, h, s.StuckText())
	}
}

// expired reports whether the retention of a dead durable row is over.
func (a *autoRecovery) expired(l segment.Location, row uint32) bool {
	v, err := openView(l)
	if err != nil {
		return false
	}
	defer v.close()
	return v.Segment.Expired(*v.Ctl.Plain64(v.Header.RowOffset(row) + layout.RowDied))
}

// releaseRow cleans the row of a dead consumer. A durable consumer keeps its place until its
// retention is over.
func releaseRow(l segment.Location, was RowInfo) (RecoveryResult, error) {
	r, err := openSession(l.Name, l.Directory, segment.Consume)
	if err != nil {
		return RecoveryFailed, err
	}
	defer r.close()
	if was.Row > r.ConsumerLimit || !r.CleanRow(r.ask, was.Row, r.Expired) {
		return RecoveryNotStuck, status.Errorf(status.Busy, "block %q: row %d is another's by now, or somebody else "+
			"has released it",
			r.BlockName(), was.Row)
	}
	if r.RowStatus(was.Row) != layout.RowDead {
		appendLog(r.Segment, actionCleanup, uint64(was.Row), [4]uint64{was.PID})
		return RecoverySuccess, nil
	}
	for _, slot := range was.Pins { // the row of a durable consumer stays
		appendLog(r.Segment, actionReleaseReader, uint64(slot), [4]uint64{uint64(was.Row), was.PID, was.Cursor,
			uint64(len(was.Pins))})
	}
	return RecoverySuccess, nil
}

// garbage removes what dead creators, replacing processes and last participants of this name left.
func (a *autoRecovery) garbage(l segment.Location, id segment.BlockID) {
	left := leftovers(l, id)
	if len(left) == 0 {
		return
	}
	a.step(RecoveryStep{Kind: StepCollect, Text: fmt.Sprintf("remove %d files that dead processes left, such as %s",
		len(left), left[0])}, func() (RecoveryResult, error) {
		segment.CollectName(l)
		if still := leftovers(l, id); len(still) > 0 {
			return RecoveryFailed, status.Errorf(status.System, "%s could not be removed", still[0])
		}
		return RecoverySuccess, nil
	})
}

// leftovers returns the files of a name that collect would remove when the file under that name is
// the block with that id, or has been repaired to be it.
func leftovers(l segment.Location, id segment.BlockID) (left []string) {
	all, _ := platform.ReadDirectory(l.Directory)
	others := &segment.Census{Directory: l.Directory, Repaired: l.Name}
	seen := map[segment.BlockID]bool{}
	for _, file := range all {
		if name, its, _, ok := segment.ParseControl(file.Name); ok && name == l.Name && !seen[its] {
			seen[its] = true
			left = append(left, segment.Remains{Location: l, ID: its, Others: others, Under: id}.Left()...)
		}
	}
	return left
}
