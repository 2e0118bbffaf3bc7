package main

import (
	"github.com/spf13/cobra"

	"datablock/internal/core"
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
				flags = core.Force
			}
			if err := core.Unlink(name, a.directory, flags); err != nil {
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

func (a *app) collect() *cobra.Command {
	return &cobra.Command{
		Use: "gc", Short: "Remove files that dead processes left behind",
		Long: `Removes control files that no block names, and data files that never got a name. A process leaves
them when it is killed while it creates or replaces a block. The command never touches a file that a
living process uses, a block, or a file that a repair or a rename could make a block again.`,
		Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions, Example: "  datablock-admin gc",
		RunE: func(*cobra.Command, []string) error {
			removed, err := core.CollectGarbage(a.directory)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(append([]string{}, removed...))
			}
			for _, file := range removed {
				a.print("removed %s\n", file)
			}
			if len(removed) == 0 {
				a.print("nothing to remove\n")
			}
			return nil
		},
	}
}
