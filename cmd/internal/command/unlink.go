package command

import (
	"github.com/spf13/cobra"

	"datablock"
)

func (a *app) unlink() *cobra.Command {
	var name string
	var force bool
	cmd := &cobra.Command{
		Use: "unlink --shm-name NAME [--force]", Short: "Remove a block that no process uses",
		Long: `Removes a block and its control file. While a living process uses the block, the command fails
(exit code 4) unless --force is given. With --force the producer's open claim is fenced, so that the
producer publishes nothing more, and every participant has to attach again. --force also removes a
block that has lost its control file.`,
		Example: "  datablock-admin unlink --shm-name camera",
		RunE: func(*cobra.Command, []string) error {
			flags := uint32(0)
			if force {
				flags = datablock.Force
			}
			if err := datablock.Unlink(name, a.directory, flags); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"removed": name})
			}
			a.print("removed %s\n", name)
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "remove the block although a living process uses it")
	return a.blockFlag(cmd, &name)
}
