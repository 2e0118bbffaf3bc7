package main

import (
	"time"

	"github.com/spf13/cobra"

	"datablock/internal/core"
)

func (a *app) releaseReaders() *cobra.Command {
	return a.release("release-zombie-readers", "Remove the dead readers of a slot, and no living one",
		core.ReleaseZombieReaders)
}

func (a *app) releaseWriter() *cobra.Command {
	return a.release("release-zombie-writer", "End a dead producer's claim on a slot; no message is touched",
		core.ReleaseZombieWriter)
}

func (a *app) release(
	use, short string, action func(name, directory string, slot uint32) (core.RecoveryResult, error),
) *cobra.Command {
	var name string
	var slot uint32
	cmd := &cobra.Command{
		Use: use + " --shm-name NAME --slot N", Short: short,
		Long: short + ". A living process keeps what it holds: the command then fails\n(exit code 4), or has " +
			"nothing to do (exit code 0).",
		Example: "  datablock-admin " + use + " --shm-name camera --slot 3",
		RunE: func(*cobra.Command, []string) error {
			result, err := action(name, a.directory, slot)
			said := "released"
			if result == core.RecoveryNotStuck {
				said, err = "nothing to do: "+err.Error(), nil
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"result": said})
			}
			a.print("%s\n", said)
			return nil
		},
	}
	return required(a.blockFlag(cmd, &name), "slot", &slot, "the slot, as diagnose shows it", a.completeSlot)
}

func (a *app) cleanup() *cobra.Command {
	var name string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "cleanup-heartbeats --shm-name NAME --timeout 1h", Short: "Remove the rows of dead consumers",
		Long: `Removes the row of every dead consumer. A dead durable consumer keeps its place, to return there,
until it has been dead for longer than the timeout. The rows of living consumers stay, however
silent the consumers are.`,
		Example: "  datablock-admin cleanup-heartbeats --shm-name camera --timeout 1h",
		RunE: func(*cobra.Command, []string) error {
			n, err := core.CleanupDeadConsumers(name, a.directory, timeout)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]int{"removed": n})
			}
			a.print("removed %d\n", n)
			return nil
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0,
		"how long a durable consumer must have been dead, such as 5s or 24h")
	completeFlag(cmd, "timeout", cobra.NoFileCompletions)
	if err := cmd.MarkFlagRequired("timeout"); err != nil {
		panic(err) // the flag was added just now
	}
	return a.blockFlag(cmd, &name)
}
