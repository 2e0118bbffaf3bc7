package command

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"datablock/internal/core"
)

func (a *app) forceResetSlot() *cobra.Command {
	var slot uint32
	cmd := a.byForce("force-reset-slot", "--slot N", "Make a slot usable again",
		`Releases what dead processes hold of a slot. Without --force it does not touch what a living program
holds (exit code 4). With --force it fences an open claim, so that the commit publishes nothing. It
discards the message of the slot: LOSSLESS readers get LOST. It evicts a reader that still holds a
slot which has left the ring. Only evict takes the row of a reader that keeps the producer waiting:
the command then fails, and says so (exit code 1).`,
		func(name string, force bool) (core.RecoveryResult, error) {
			return core.ForceResetSlot(name, a.directory, slot, force)
		},
		func() string { return fmt.Sprintf("reset slot %d", slot) })
	return required(cmd, "slot", &slot, "the slot, as diagnose shows it", a.completeSlot)
}

func (a *app) forceResetAll() *cobra.Command {
	return a.byForce("force-reset-all", "", "Reset every slot of a block",
		`Does for every slot what force-reset-slot does. With --force every message in the block is
discarded. Only evict takes the row of a reader that still keeps the producer waiting, and only
validate --repair mends damage: the command then fails, and says what is left (exit code 1).`,
		func(name string, force bool) (core.RecoveryResult, error) {
			return core.ForceResetAllSlots(name, a.directory, force)
		},
		func() string { return "reset all slots" })
}

func (a *app) evict() *cobra.Command {
	var row uint32
	cmd := a.byForce("evict", "--row N", "Remove a consumer's row",
		`Removes the row of a dead consumer. A durable consumer then loses its place. With --force it removes
the row of a living consumer, for example one that hangs and holds the producer up. This consumer
gets an error at its next call and may attach again.`,
		func(name string, force bool) (core.RecoveryResult, error) {
			return core.EvictConsumer(name, a.directory, row, force)
		},
		func() string { return fmt.Sprintf("evict the consumer in row %d", row) })
	return required(cmd, "row", &row, "the row, as diagnose and status show it", a.completeRow)
}

func required(cmd *cobra.Command, flag string, value *uint32, usage string,
	complete cobra.CompletionFunc) *cobra.Command {
	cmd.Flags().Uint32Var(value, flag, 0, usage)
	completeFlag(cmd, flag, complete)
	if err := cmd.MarkFlagRequired(flag); err != nil {
		panic(err) // the flag was added just now
	}
	return cmd
}

// byForce is a command that asks before it acts. It distinguishes "nothing to do" from a refusal.
func (a *app) byForce(use, arguments, short, long string,
	act func(name string, force bool) (core.RecoveryResult, error), what func() string) *cobra.Command {
	var name string
	var force, yes bool
	if arguments != "" {
		arguments = " " + arguments
	}
	cmd := &cobra.Command{
		Use: use + " --shm-name NAME" + arguments + " [--force]", Short: short, Long: long,
		Example: "  datablock-admin " + use + " --shm-name camera" + strings.Replace(arguments, "N", "3", 1) +
			" --force --yes",
		RunE: func(*cobra.Command, []string) error {
			how := ""
			if force {
				how = " by force, whoever uses it"
			}
			if err := confirm(yes, fmt.Sprintf("%s of block %q%s", what(), name, how)); err != nil {
				return err
			}
			result, err := act(name, force)
			said := "done"
			switch result {
			case core.RecoveryNotStuck:
				said, err = "nothing to do: "+err.Error(), nil
			case core.RecoveryInvalidSlot:
				return usageError{err}
			}
			left := errors.Is(err, core.ErrLeft)
			if left {
				said, err = "done, and something is left: "+err.Error(), errProblems
			}
			if err != nil && !left {
				return err
			}
			if a.json {
				if failed := a.printJSON(map[string]string{"result": said}); failed != nil {
					return failed
				}
				return err
			}
			a.print("%s\n", printable(said))
			return err
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also what a living program holds; the program gets an error later")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return a.blockFlag(cmd, &name)
}

type recordJSON struct {
	Number uint64    `json:"number"`
	Time   time.Time `json:"time"`
	PID    uint64    `json:"pid"`
	UID    uint32    `json:"uid"`
	Action string    `json:"action"`
	Target uint64    `json:"target"`
	Text   string    `json:"text"`
}

func (a *app) history() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "history --shm-name NAME", Short: "The recoveries of a block: what was done, and by whom",
		Long: `Shows the block's recovery log, oldest record first: when, which user and process, and what was
done. The log is in the block and outlives the processes that wrote it. It keeps the newest records.`,
		Example: "  datablock-admin history --shm-name camera",
		RunE: func(*cobra.Command, []string) error {
			records, err := core.RecoveryLog(name, a.directory)
			if err != nil {
				return err
			}
			if a.json {
				all := make([]recordJSON, 0, len(records))
				for _, r := range records {
					all = append(all, recordJSON{r.Number, r.Time, r.PID, r.UID, r.ActionName(), r.Target, r.String()})
				}
				return a.printJSON(all)
			}
			for _, r := range records {
				a.print("%s  pid %d, uid %d  %s\n", r.Time.Format("2006-01-02 15:04:05.000"), r.PID, r.UID,
					printable(r.String()))
			}
			if len(records) == 0 {
				a.print("nothing was recovered\n")
			}
			return nil
		},
	}
	return a.blockFlag(cmd, &name)
}
