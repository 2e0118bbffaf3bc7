package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"datablock/internal/core/recovery"
)

const (
	patience  = 10 * time.Second       // the time limit of each expected event; a loaded machine is slow
	lookEvery = 300 * time.Microsecond // the resolution of a time measurement, at first
	coarsely  = 5 * time.Millisecond   // the resolution later
)

// until waits for a diagnosis that fulfils `wanted`, and returns it. It fails after the time limit,
// on Ctrl-C, and when a program that should run has ended.
func (d *demo) until(what string, wanted func(*recovery.Diagnosis) bool) (*recovery.Diagnosis, error) {
	begin, step := time.Now(), lookEvery
	for {
		look, err := recovery.Diagnose(d.block, "")
		if err == nil && wanted(look) {
			return look, nil
		}
		passed := time.Since(begin)
		if passed > patience {
			return nil, errors.Join(fmt.Errorf("waited %v in vain for %s", patience, what), err)
		}
		if passed > 10*coarsely {
			step = coarsely
		}
		if err := d.pause(step); err != nil {
			return nil, err
		}
	}
}

// untilEnded waits until a program has ended by itself with success.
func (d *demo) untilEnded(p *process) error {
	select {
	case <-p.ended:
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	case <-time.After(patience):
		return fmt.Errorf("%s did not end within %v", p.name, patience)
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s ended with %v", p.name, p.cmd.ProcessState)
	}
	return nil
}

func (d *demo) pause(t time.Duration) error {
	for _, p := range []*process{d.producer, d.checker, d.slow, d.live, d.again} {
		if p != nil && p.hasEnded() {
			return fmt.Errorf("%s should have gone on and ended with %v", p.name, p.cmd.ProcessState)
		}
	}
	select {
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	case <-time.After(t):
		return nil
	}
}

// watch lets the demo run for a while, and checks that messages are exchanged.
func (d *demo) watch(t time.Duration) error {
	for end := time.Now().Add(t); time.Now().Before(end); {
		if err := d.goOn(); err != nil {
			return err
		}
		if err := d.pause(50 * time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// goOn waits until each survivor has read another message.
func (d *demo) goOn() error {
	now, err := recovery.Diagnose(d.block, "")
	if err != nil {
		return err
	}
	for _, p := range []*process{d.checker, d.slow, d.live, d.again} {
		if p == nil {
			continue
		}
		before := reader(now, p).Read
		if _, err := d.until(p.name+" to read on",
			func(look *recovery.Diagnosis) bool { return reader(look, p).Read > before }); err != nil {
			return err
		}
	}
	return nil
}

// reader returns the row of a program's consumer, or an empty row.
func reader(look *recovery.Diagnosis, p *process) recovery.RowInfo {
	for _, row := range look.Rows {
		if row.Row != 0 && row.PID == uint64(p.pid()) {
			return row
		}
	}
	return recovery.RowInfo{}
}

// healthy checks that nothing is left of the dead processes.
func (d *demo) healthy() error {
	_, err := d.until("the last traces of the dead to go", func(look *recovery.Diagnosis) bool {
		for _, row := range look.Rows {
			if !row.Alive {
				return false
			}
		}
		for _, s := range look.Slots {
			if s.Stuck || heldByDead(s) {
				return false
			}
		}
		return true
	})
	return err
}

func heldByDead(s recovery.SlotDiagnosis) bool {
	return slices.ContainsFunc(s.Holders, func(h recovery.Holder) bool { return !h.Alive })
}
