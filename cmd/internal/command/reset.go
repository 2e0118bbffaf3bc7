package command

import (
	"errors"
	"fmt"
	"strings"

	"datablock/internal/core/recovery"

	"github.com/spf13/cobra"

	"datablock"
)

func (a *app) forceResetSlot() *cobra.Command {
	var slot uint32
	cmd := a.byForce("force-reset-slot", "--slot N", "Make a slot usable again",
		`Releases what dead processes hold of a slot. Without --force it does not touch what a living program
holds (exit code 4). With --force it fences an open claim, so that the commit publishes nothing. It
discards the message of the slot: LOSSLESS readers get LOST. It evicts a reader that still holds a
slot which has left the ring. Only evict takes the row of a reader that keeps the producer waiting:
the command then fails, and says so (exit code 1).`,
		func(name string, force bool) (datablock.RecoveryResult, error) {
			return datablock.ForceResetSlot(name, a.directory, slot, force)
		},
		func(name string) error {
			_, err := datablock.DiagnoseSlot(name, a.directory, slot)
			return err
		},
		func() string { return fmt.Sprintf("reset slot %d", slot) })
	return required(cmd, "slot", &slot, "the slot, as diagnose shows it", a.completeSlot)
}

func (a *app) forceResetAll() *cobra.Command {
	return a.byForce("force-reset-all", "", "Reset every slot of a block",
		`Does for every slot what force-reset-slot does. With --force every message in the block is
discarded. Only evict takes the row of a reader that still keeps the producer waiting, and only
validate --repair mends damage: the command then fails, and says what is left (exit code 1).`,
		func(name string, force bool) (datablock.RecoveryResult, error) {
			return datablock.ForceResetAllSlots(name, a.directory, force)
		},
		func(name string) error {
			_, err := datablock.Diagnose(name, a.directory)
			return err
		},
		func() string { return "reset all slots" })
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

// byForce is a command that asks before it acts. It first makes sure that what it is to act on is
// there. It distinguishes "nothing to do" from a refusal.
func (a *app) byForce(use, arguments, short, long string,
	act func(name string, force bool) (datablock.RecoveryResult, error), find func(name string) error,
	what func() string) *cobra.Command {
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
			if err := find(name); err != nil {
				return err
			}
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
			case datablock.RecoveryNotStuck:
				said, err = "nothing to do: "+err.Error(), nil
			case datablock.RecoveryInvalidSlot:
				return usageError{err}
			}
			left := errors.Is(err, recovery.ErrLeft)
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
