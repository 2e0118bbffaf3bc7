package command

import (
	"time"

	"github.com/spf13/cobra"

	"datablock"
)

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
			n, err := datablock.CleanupDeadConsumers(name, a.directory, timeout)
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
