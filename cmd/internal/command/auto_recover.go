package command

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"datablock"
)

type stepJSON struct {
	Kind   string `json:"kind"`
	Target uint32 `json:"target"`
	PID    uint64 `json:"pid"`
	Done   bool   `json:"done"`
	Text   string `json:"text"`
}

func (a *app) autoRecover() *cobra.Command {
	var name string
	var dry, yes bool
	var waiting time.Duration
	cmd := &cobra.Command{
		Use:   "auto-recover --shm-name NAME [--dry-run] [--stuck-after 1s]",
		Short: "Recover everything that is stuck or damaged",
		Long: `Walks the diagnosis of a block: it repairs damage, releases what dead producers and consumers hold,
and removes the files that they left. It touches no living participant. A step that needs force, or
the decision of an operator, is named (attend) and not done. With --dry-run it only says what it
would do, and changes nothing; exit code 1 then means that there is something to do.`,
		Example: `  datablock-admin auto-recover --shm-name camera --dry-run
  datablock-admin auto-recover --shm-name camera --yes`,
		RunE: func(*cobra.Command, []string) error {
			if !dry {
				_, err := datablock.AutoRecoverAfter(name, a.directory, true, waiting, func(datablock.RecoveryStep) {})
				if err != nil {
					return err
				}
				if err := confirm(yes, fmt.Sprintf("recover block %q", name)); err != nil {
					return err
				}
			}
			steps := []stepJSON{}
			open := false
			_, err := datablock.AutoRecoverAfter(name, a.directory, dry, waiting, func(s datablock.RecoveryStep) {
				steps = append(steps, stepJSON{s.Kind.String(), s.Target, s.PID, s.Done, s.Text})
				open = open || !s.Done
			})
			if err != nil {
				return err
			}
			a.showSteps(steps, dry)
			if open {
				return errProblems
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	stuckAfterFlag(cmd, &waiting)
	return a.blockFlag(cmd, &name)
}

func (a *app) showSteps(steps []stepJSON, dry bool) {
	if a.json {
		_ = a.printJSON(steps)
		return
	}
	for _, s := range steps {
		how := good("done")
		switch {
		case s.Kind == datablock.StepAttend.String():
			how = bad("attend")
		case dry:
			how = "would"
		case !s.Done:
			how = bad("failed")
		}
		a.print("%s: %s\n", how, printable(s.Text))
	}
	if len(steps) == 0 {
		a.print("nothing to recover\n")
	}
}
