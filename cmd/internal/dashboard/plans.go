package dashboard

import (
	"fmt"
	"strings"
	"time"

	"datablock"
)

// actions are all actions. Each one is a function of the package datablock, which writes what it
// did into the block's recovery log.
var actions = []action{
	{name: "auto-recover", plan: (*Server).planRecovery, do: (*Server).recover},
	{name: "cleanup", olderMay: true, plan: (*Server).planCleanup,
		do: func(s *Server, block string, r *actionRequest) ([]string, error) {
			n, err := datablock.CleanupDeadConsumers(block, s.Directory, r.olderThan())
			return []string{fmt.Sprintf("removed %d", n)}, err
		}},
	{name: "release-zombie-readers", slot: true, plan: (*Server).planReaders,
		do: bySlot(datablock.ReleaseZombieReaders)},
	{name: "release-zombie-writer", slot: true, plan: (*Server).planWriter,
		do: bySlot(datablock.ReleaseZombieWriter)},
	{name: "evict", row: true, force: true, plan: (*Server).planEviction,
		do: func(s *Server, block string, r *actionRequest) ([]string, error) {
			return said(datablock.EvictConsumer(block, s.Directory, *r.Row, r.Force))
		}},
	{name: "reset-slot", slot: true, force: true, plan: (*Server).planReset,
		do: func(s *Server, block string, r *actionRequest) ([]string, error) {
			return said(datablock.ForceResetSlot(block, s.Directory, *r.Slot, r.Force))
		}},
}

func (r *actionRequest) olderThan() time.Duration {
	return time.Duration(r.OlderThanMs) * time.Millisecond
}

func bySlot(do func(name, directory string, slot uint32) (datablock.RecoveryResult, error)) func(*Server, string,
	*actionRequest) ([]string, error) {
	return func(s *Server, block string, r *actionRequest) ([]string, error) {
		return said(do(block, s.Directory, *r.Slot))
	}
}

// said is the result of a recovery in words.
func said(result datablock.RecoveryResult, err error) ([]string, error) {
	if result == datablock.RecoveryNotStuck && err != nil {
		return []string{"nothing to do: " + err.Error()}, nil
	}
	return []string{"done"}, err
}

func (s *Server) planRecovery(block string, _ *actionRequest) (plan, error) {
	var p plan
	attended := []string{}
	_, err := datablock.AutoRecover(block, s.Directory, true, func(step datablock.RecoveryStep) {
		if step.Kind == datablock.StepAttend {
			attended = append(attended, "not done, attend: "+step.Text)
		} else {
			p.steps = append(p.steps, step.Text)
		}
	})
	if len(p.steps) > 0 {
		p.steps = append(p.steps, attended...)
	}
	return p, err
}

func (s *Server) recover(block string, _ *actionRequest) (result []string, err error) {
	_, err = datablock.AutoRecover(block, s.Directory, false, func(step datablock.RecoveryStep) {
		how := "done: "
		switch {
		case step.Kind == datablock.StepAttend:
			how = "attend: "
		case !step.Done:
			how = "failed: "
		}
		result = append(result, how+step.Text)
	})
	return result, err
}

func (s *Server) planCleanup(block string, r *actionRequest) (p plan, err error) {
	_, participants, err := datablock.ReadMetrics(block, s.Directory)
	for i := range participants {
		c := &participants[i]
		waits := c.Durable && !c.Died.IsZero() && time.Since(c.Died) < r.olderThan()
		if c.Role == datablock.RoleConsumer && !c.Alive && !waits {
			p.steps = append(p.steps, fmt.Sprintf("remove %v", c.RowInfo))
		}
	}
	return p, err
}

func (s *Server) planReaders(block string, r *actionRequest) (p plan, err error) {
	slot, err := datablock.DiagnoseSlot(block, s.Directory, *r.Slot)
	for _, h := range slot.Holders {
		if h.Row != 0 && !h.Alive && !h.Durable {
			p.steps = append(p.steps, fmt.Sprintf("release %v from slot %d", h, slot.Index))
		}
	}
	return p, err
}

func (s *Server) planWriter(block string, r *actionRequest) (p plan, err error) {
	slot, err := datablock.DiagnoseSlot(block, s.Directory, *r.Slot)
	for _, h := range slot.Holders {
		if slot.State == datablock.SlotWriting && h.Row == 0 && !h.Alive {
			p.steps = append(p.steps, fmt.Sprintf("end the claim of %v on slot %d", h, slot.Index))
		}
	}
	return p, err
}

func (s *Server) planEviction(block string, r *actionRequest) (p plan, err error) {
	metrics, participants, err := datablock.ReadMetrics(block, s.Directory)
	if err != nil {
		return p, err
	}
	if limit := metrics.Block.ConsumerLimit; *r.Row == 0 || *r.Row > limit {
		return p, wrong("block %q has consumer rows 1 to %d", block, limit)
	}
	for i := range participants {
		c := &participants[i]
		if c.Row != *r.Row {
			continue
		}
		if c.Alive && !r.Force {
			return p, &datablock.Error{Code: datablock.ErrBusy, Detail: fmt.Sprintf("block %q: %v lives: end that "+
				"program, or use force, and the program gets FENCED at its next call", block, c.RowInfo)}
		}
		how := "dead"
		if c.Alive {
			how = "ALIVE: it gets FENCED at its next call"
		}
		p.steps = []string{fmt.Sprintf("evict %v (%s)", c.RowInfo, how)}
		p.target = fmt.Sprint(c.Row, c.PID, c.StartTime, c.Attached.UnixNano())
	}
	return p, nil
}

func (s *Server) planReset(block string, r *actionRequest) (p plan, err error) {
	slot, err := datablock.DiagnoseSlot(block, s.Directory, *r.Slot)
	if err != nil {
		return p, err
	}
	living := false
	holders := make([]string, 0, len(slot.Holders))
	for _, h := range slot.Holders {
		living = living || h.Alive
		holders = append(holders, fmt.Sprint(h.Row, h.PID))
	}
	if living && !r.Force {
		return p, &datablock.Error{Code: datablock.ErrBusy, Detail: fmt.Sprintf("block %q: slot %d is held by %s: end "+
			"that program, or use force", block, slot.Index, slot.HeldBy())}
	}
	held := "held by nobody"
	if len(slot.Holders) > 0 {
		held = "held by " + slot.HeldBy()
	}
	if r.Force || len(slot.Holders) > 0 {
		p.steps = []string{fmt.Sprintf("reset slot %d: %v, %s", slot.Index, slot.State, held)}
	}
	if r.Force && slot.State == datablock.SlotCommitted {
		p.steps = append(p.steps, fmt.Sprintf("discard message %d: its readers get LOST", slot.MessageID))
	}
	if r.Force {
		p.target = fmt.Sprint(slot.State, slot.Generation, slot.MessageID, strings.Join(holders, ","))
	}
	return p, nil
}
