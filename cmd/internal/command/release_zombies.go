package command

import (
	"github.com/spf13/cobra"

	"datablock"
)

func (a *app) releaseReaders() *cobra.Command {
	return a.release("release-zombie-readers", "Remove the dead readers of a slot, and no living one",
		datablock.ReleaseZombieReaders)
}

func (a *app) releaseWriter() *cobra.Command {
	return a.release("release-zombie-writer", "End a dead producer's claim on a slot; no message is touched",
		datablock.ReleaseZombieWriter)
}

func (a *app) release(
	use, short string, action func(name, directory string, slot uint32) (datablock.RecoveryResult, error),
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
			if result == datablock.RecoveryNotStuck {
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
