package command

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"datablock/internal/core/segment"

	"github.com/spf13/cobra"

	"datablock"
	"datablock/internal/layout"
)

type holderJSON struct {
	Row   uint32 `json:"row"`
	Name  string `json:"name,omitempty"`
	PID   uint64 `json:"pid"`
	Alive bool   `json:"alive"`

	Durable           bool   `json:"durable"`
	PIDNamespace      uint64 `json:"pid_namespace"`       // inode, 0: not known
	OtherPIDNamespace bool   `json:"other_pid_namespace"` // not this tool's namespace: the pid is invalid here
}

type slotJSON struct {
	Slot          uint32 `json:"slot"`
	State         string `json:"state"`
	MessageID     uint64 `json:"message_id"`
	Readers       uint32 `json:"readers"`
	WriteLock     uint64 `json:"write_lock"`
	Generation    uint64 `json:"write_generation"`
	WriterWaiting bool   `json:"writer_waiting"`
	Stuck         bool   `json:"stuck"`
	StuckForMs    int64  `json:"stuck_for_ms"`
	// a holder's clock is of another time namespace, and cannot be compared
	AgeUnknown bool         `json:"age_unknown"`
	Holders    []holderJSON `json:"holders"`
	Advice     string       `json:"advice,omitempty"`
}

// described adds to each block that cannot be read why that is so. If there is such a block,
// problems is errProblems.
func (a *app) described(blocks []datablock.BlockInfo) (all []blockJSON, problems error) {
	all = make([]blockJSON, 0, len(blocks))
	for _, b := range blocks {
		j := blockOf(b)
		if b.State == 0 {
			j.Problem, problems = a.problem(b.Name), errProblems
		}
		all = append(all, j)
	}
	return all, problems
}

// problem says why a block cannot be read and what to do, in the words of validate.
func (a *app) problem(name string) string {
	found, err := datablock.ValidateIntegrity(name, a.directory)
	switch {
	case err != nil:
		return err.Error()
	case found.Healthy():
		return "it was being made or repaired a moment ago: list the blocks again"
	}
	return found.Message()
}

func (a *app) diagnose() *cobra.Command {
	var name string
	var slot uint32
	var one bool
	var waiting time.Duration
	cmd := &cobra.Command{
		Use:   "diagnose --shm-name NAME [--slot N] [--stuck-after 1s]",
		Short: "The holder of each slot, since when, and what to do about it",
		Long: `Shows every slot that is claimed, read, or stuck, with its holder and the command to run. Nothing is
changed. A slot is stuck when a dead process holds it. It is stuck when its reader has kept the
producer waiting for a second (--stuck-after): a reader that hangs does so, a healthy reader takes
microseconds. It is also stuck when it has been claimed for more than 30 seconds, or held for as long
by a silent reader while the producer does not wait.`,
		Example: `  datablock-admin diagnose --shm-name camera
  datablock-admin diagnose --shm-name camera --slot 3`,
		PreRun: func(cmd *cobra.Command, _ []string) { one = cmd.Flags().Changed("slot") },
		RunE: func(*cobra.Command, []string) error {
			d, err := datablock.DiagnoseAfter(name, a.directory, waiting)
			if err != nil {
				return err
			}
			slots := d.Slots
			if one {
				if slot >= uint32(len(slots)) {
					return usageError{fmt.Errorf("block %q has slots 0 to %d, there is no slot %d", d.Block.Name,
						len(slots)-1, slot)}
				}
				slots = slots[slot : slot+1]
			}
			if err := a.showDiagnosis(d, a.reference(name), slots, one, waiting); err != nil {
				return err
			}
			for _, s := range slots {
				if s.Stuck {
					return errProblems
				}
			}
			return nil
		},
	}
	cmd.Flags().Uint32Var(&slot, "slot", 0, "only this slot")
	completeFlag(cmd, "slot", a.completeSlot)
	stuckAfterFlag(cmd, &waiting)
	return a.blockFlag(cmd, &name)
}

// stuckAfterFlag adds the time after which a reader that keeps the producer waiting counts as
// stuck.
func stuckAfterFlag(cmd *cobra.Command, waiting *time.Duration) {
	cmd.Flags().DurationVar(waiting, "stuck-after", datablock.WaitingAfter,
		"for how long a living reader may keep the producer waiting, such as 1s or 200ms")
	completeFlag(cmd, "stuck-after", cobra.NoFileCompletions)
}

// reference returns the name by which another command finds the block: the plain name is enough in
// the default directory only.
func (a *app) reference(name string) string {
	if a.directory == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(a.directory, name)
}

func (a *app) showDiagnosis(d *datablock.Diagnosis, reference string, slots []datablock.SlotDiagnosis, every bool,
	waiting time.Duration) error {
	if a.json {
		all := make([]slotJSON, 0, len(slots))
		for _, s := range slots {
			all = append(all, slotOf(s, reference))
		}
		return a.printJSON(struct {
			Block blockJSON  `json:"block"`
			Slots []slotJSON `json:"slots"`
		}{blockOf(d.Block), all})
	}
	stuck, special := 0, 0
	for _, s := range slots {
		if s.Stuck {
			stuck++
		}
		if every || s.Stuck || len(s.Holders) > 0 {
			special++
		}
	}
	b := d.Block
	a.print("block %q: %s, %s, %d+%d slots of %s, %d messages written\n", b.Name, stateName(b.State),
		policyName(b.Policy), b.SlotCount, b.SpareSlots, size(b.SlotSize), b.NextID)
	verdict := good(fmt.Sprintf("%d stuck", stuck))
	if stuck > 0 {
		verdict = bad(fmt.Sprintf("%d stuck", stuck))
	}
	a.print("slots: %d healthy, %s\n", len(slots)-stuck, verdict)
	if special == 0 {
		return nil
	}
	a.table("\nSLOT\tSTATE\tMESSAGE\tSTUCK FOR\tHELD BY", func(w *tabwriter.Writer) {
		for _, s := range slots {
			if !every && !s.Stuck && len(s.Holders) == 0 {
				continue
			}
			fmt.Fprintf(w, "%d\t%v\t%d\t%s\t%s\n", s.Index, s.State, s.MessageID, stuckFor(s), printable(s.HeldBy()))
			if advice := advice(s, reference); advice != "" {
				fmt.Fprintf(w, "\t\t\t\t%s\n", bad(advice))
			}
		}
	})
	a.print("\n%s\n", dim(fmt.Sprintf("stuck is: what the dead hold; a reader that the producer has waited for %v "+
		"or longer; a claim, or another silent reader, after %v", waiting, datablock.SilentAfter)))
	return nil
}

// advice returns what to do about a stuck slot.
func advice(s datablock.SlotDiagnosis, block string) string {
	if !s.Stuck {
		return ""
	}
	for _, h := range s.Holders {
		switch {
		case h.Alive:
		case h.Durable:
			return fmt.Sprintf("the durable consumer %q died and keeps its place: start it again under that name, "+
				"or give its place up: datablock-admin cleanup-heartbeats --shm-name %s --timeout 0s", h.Name, block)
		case h.Row == layout.ProducerRow:
			return fmt.Sprintf("its producer died: start it again, it goes on where it stopped (readers are not "+
				"affected); or: datablock-admin release-zombie-writer --shm-name %s --slot %d", block, s.Index)
		default:
			return fmt.Sprintf("a reader died: the producer releases it when it needs the slot; or: datablock-admin "+
				"release-zombie-readers --shm-name %s --slot %d", block, s.Index)
		}
	}
	if len(s.Holders) == 0 {
		return ""
	}
	h := s.Holders[0]
	if h.Row == layout.ProducerRow {
		return fmt.Sprintf("%s has not finished writing: %s or hung? By force: datablock-admin force-reset-slot "+
			"--shm-name %s --slot %d --force", process(h), stopped(h), block, s.Index)
	}
	return fmt.Sprintf("%s keeps it: %s, hung or too slow? By force: datablock-admin evict --shm-name %s --row %d "+
		"--force", process(h), stopped(h), block, h.Row)
}

func process(h datablock.Holder) string {
	return strings.Replace(segment.ProcessName(h.PID, h.PIDNamespace), "pid", "process", 1)
}

// stopped asks whether the holder is stopped, and says how the holder resumes. A pid of another
// namespace is another process here.
func stopped(h datablock.Holder) string {
	if segment.OtherPIDNamespace(h.PIDNamespace) {
		return "is it stopped (that number is another process here: look in its container, lsns -t pid lists them)"
	}
	return fmt.Sprintf("is it stopped (kill -CONT %d)", h.PID)
}

// stuckFor returns the text of the column.
func stuckFor(s datablock.SlotDiagnosis) string {
	if s.AgeUnknown && s.StuckFor == 0 {
		return "unknown"
	}
	return duration(s.StuckFor)
}

func slotOf(s datablock.SlotDiagnosis, block string) slotJSON {
	j := slotJSON{
		Slot: s.Index, State: s.State.String(), MessageID: s.MessageID, Readers: s.ReaderCount, WriteLock: s.WriteLock,
		Generation:    s.Generation,
		WriterWaiting: s.WriterWaiting, Stuck: s.Stuck, StuckForMs: s.StuckFor.Milliseconds(), AgeUnknown: s.AgeUnknown,
		Holders: []holderJSON{}, Advice: advice(s, block),
	}
	for _, h := range s.Holders {
		j.Holders = append(j.Holders, holderJSON{h.Row, h.Name, h.PID, h.Alive, h.Durable, h.PIDNamespace,
			segment.OtherPIDNamespace(h.PIDNamespace)})
	}
	return j
}
