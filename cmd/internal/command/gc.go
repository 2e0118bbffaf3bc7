package command

import (
	"github.com/spf13/cobra"

	"datablock"
)

func (a *app) collect() *cobra.Command {
	return &cobra.Command{
		Use: "gc", Short: "Remove files that dead processes left behind",
		Long: `Removes control files that no block names, and data files that never got a name. A process leaves
them when it is killed while it creates or replaces a block. The command never touches a file that a
living process uses, a block, or a file that a repair or a rename could make a block again.`,
		Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions, Example: "  datablock-admin gc",
		RunE: func(*cobra.Command, []string) error {
			removed, err := datablock.CollectGarbage(a.directory)
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
