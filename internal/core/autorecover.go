package core

import (
	"fmt"
	"slices"
	"time"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// StepKind is what a step of AutoRecover does. The values are those of DATABLOCK_STEP_*.
type StepKind uint32

// The kinds.
const (
	StepRepair        StepKind = 1 // damage, as Repair does it
	StepReleaseReader StepKind = 2 // a dead consumer's row
	StepReleaseWriter StepKind = 3 // a dead producer's claim
	StepCollect       StepKind = 4 // files that dead processes left under this name
	StepAttend        StepKind = 5 // nothing that may be done without being asked: somebody lives, or a producer has to be started
)

// String is the kind as the admin tool prints it.
func (k StepKind) String() string {
	return [...]string{"", "repair", "release-reader", "release-writer", "collect", "attend"}[min(k, StepAttend)]
}

// RecoveryStep is one thing that AutoRecover does, or would do.
type RecoveryStep struct {
	Kind   StepKind
	Target uint32 // the row or slot; 0 where it is the block
	PID    uint64 // of the dead, or of the living one to attend to; 0 unknown
	Done   bool   // false in a dry run, when it failed, and for StepAttend
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

// AutoRecover walks a block's diagnosis, does for everything that is stuck or damaged what is right for it, and reports each step after it. Nobody who lives is touched: what would take
// force is reported as StepAttend. A dry run only says what it would do, and changes no byte. It returns the number of steps, StepAttend not counted. Errors: Invalid, NotFound, Access, Version, Corrupt (not a regular file), System.
func AutoRecover(name, directory string, dryRun bool, report func(RecoveryStep)) (int, error) {
	return AutoRecoverAfter(name, directory, dryRun, WaitingAfter, report)
}

// AutoRecoverAfter is AutoRecover with another time for WaitingAfter.
func AutoRecoverAfter(name, directory string, dryRun bool, waiting time.Duration, report func(RecoveryStep)) (int, error) {
	a := &autoRecovery{name: name, directory: directory, dry: dryRun, waiting: waiting, report: report}
	l, err := locate(name, directory)
	if err != nil {
		return 0, err
	}
	readable, err := a.damage()
	if err != nil {
		return 0, err
	}
	if readable {
		if err := a.stuck(l); err != nil {
			return a.steps, err
		}
	}
	a.garbage(l)
	return a.steps, nil
}

// step reports one, after it was done unless this is a dry run.
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
	a.report(RecoveryStep{Kind: StepAttend, Target: target, PID: pid, Result: result, Text: fmt.Sprintf(format, args...)})
}

// damage comes first: what is stuck can only be told of a block that can be read.
func (a *autoRecovery) damage() (readable bool, err error) {
	i, err := ValidateIntegrity(a.name, a.directory)
	if err != nil {
		return false, err
	}
	if i.Healthy() {
		return true, nil
	}
	text := "repair: " + i.Findings[0].Problem
	if i.Found > 1 {
		text += fmt.Sprintf(" (and %d more)", i.Found-1)
	}
	a.step(RecoveryStep{Kind: StepRepair, Text: text}, func() (RecoveryResult, error) {
		result, _, err := Repair(a.name, a.directory, false)
		if result == RecoveryNotStuck { // another process has mended it
			return RecoverySuccess, nil
		}
		return result, err
	})
	_, err = Diagnose(a.name, a.directory)
	return err == nil, nil
}

// stuck releases what the dead hold.
func (a *autoRecovery) stuck(l location) error {
	d, err := DiagnoseAfter(a.name, a.directory, a.waiting)
	if err != nil {
		return err
	}
	for _, r := range d.Rows {
		if r.Role != layout.RoleConsumer || r.Alive {
			continue
		}
		if rests := r.Durable && r.Status == layout.RowDead && len(r.Pins) == 0; rests && !a.expired(l, r.Row) {
			a.attend(r.Row, r.PID, RecoveryNotStuck, "row %d: the durable consumer %q died and keeps its place: start it again, or give its place up with cleanup-heartbeats", r.Row, r.Name)
			continue
		}
		a.step(RecoveryStep{Kind: StepReleaseReader, Target: r.Row, PID: r.PID, Text: fmt.Sprintf("release row %d of the dead consumer %q (%s)", r.Row, r.Name, ProcessName(r.PID, r.PIDNamespace))},
			func() (RecoveryResult, error) { return releaseRow(l, r) })
	}
	for i := range d.Slots {
		s := &d.Slots[i]
		switch {
		case s.State == SlotWriting && s.Stuck && len(s.Holders) > 0 && !s.Holders[0].Alive:
			a.step(RecoveryStep{Kind: StepReleaseWriter, Target: s.Index, PID: s.WriteLock, Text: fmt.Sprintf("end the claim of a dead producer (%s) on slot %d", ProcessName(s.WriteLock, s.Holders[0].PIDNamespace), s.Index)},
				func() (RecoveryResult, error) { return ReleaseZombieWriter(a.name, a.directory, s.Index) })
		case s.Stuck:
			a.living(s)
		}
	}
	if d.Block.State == layout.StateReplacing {
		a.attend(0, 0, RecoveryNotStuck, "the block was being replaced when its producer died: start the producer, which finishes that")
	}
	return nil
}

// living names those who hold a stuck slot and live. A slot that somebody dead holds is stuck for that reason.
func (a *autoRecovery) living(s *SlotDiagnosis) {
	if slices.ContainsFunc(s.Holders, func(h Holder) bool { return !h.Alive }) {
		return
	}
	for _, h := range s.Holders {
		a.attend(s.Index, h.PID, RecoveryUnsafe, "slot %d is held by %s for %s: is that process stopped, hung or too slow? Only force takes it away", s.Index, h, s.StuckText())
	}
}

// expired reports whether a dead durable row's retention time is over.
func (a *autoRecovery) expired(l location, row uint32) bool {
	v, err := openView(l)
	if err != nil {
		return false
	}
	defer v.close()
	return v.block.expired(*v.ctl.plain64(v.header.row(row) + layout.RowDied))
}

// releaseRow cleans the row of a dead consumer; a durable one keeps its place until its retention time is over.
func releaseRow(l location, was RowInfo) (RecoveryResult, error) {
	r, err := openRepairer(l.name, l.directory, consume)
	if err != nil {
		return RecoveryFailed, err
	}
	defer r.close()
	if was.Row > r.consumerLimit || !r.cleanRow(r.ask, was.Row, r.expired) {
		return RecoveryNotStuck, fail(Busy, "block %q: row %d is another's by now, or somebody else has released it", r.name(), was.Row)
	}
	r.log(actionReleaseReader, uint64(was.Row), [4]uint64{uint64(was.Row), was.PID, was.Cursor, uint64(len(was.Pins))})
	return RecoverySuccess, nil
}

// garbage removes what dead creators, replacers and last participants of this name left.
func (a *autoRecovery) garbage(l location) {
	left := leftovers(l)
	if len(left) == 0 {
		return
	}
	a.step(RecoveryStep{Kind: StepCollect, Text: fmt.Sprintf("remove %d files that dead processes left, such as %s", len(left), left[0])}, func() (RecoveryResult, error) {
		collectName(l)
		if still := leftovers(l); len(still) > 0 {
			return RecoveryFailed, fail(System, "%s could not be removed", still[0])
		}
		return RecoverySuccess, nil
	})
}

// leftovers are the files of a name that collect would remove.
func leftovers(l location) (left []string) {
	all, _ := platform.ReadDirectory(l.directory)
	for _, file := range all {
		name, id, temporary, ok := parseControl(file.Name)
		if ok && name == l.name && abandoned(l, id, temporary) {
			left = append(left, file.Name)
		}
	}
	return left
}

// abandoned reports whether nobody has a file that the name does not lead to. It only asks.
func abandoned(l location, id blockID, temporary bool) bool {
	if leadsTo(l, id) {
		return temporary
	}
	locks, err := platform.OpenLocks(l.control(id), false)
	if err != nil {
		return temporary // its creator removes the control file last
	}
	defer locks.Close()
	held, err := locks.Held(layout.LockRows, layout.LockStride*(layout.MaxConsumers+1))
	return err == nil && !held
}
