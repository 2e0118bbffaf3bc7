package command

import (
	"time"

	"github.com/spf13/cobra"

	"datablock"
)

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
		Long: `Shows the block's recovery log, oldest record first: when, by which process and user, what was done
and with which result. The log is in the block and outlives the processes that wrote it. It keeps the newest records.`,
		Example: "  datablock-admin history --shm-name camera",
		RunE: func(*cobra.Command, []string) error {
			records, err := datablock.RecoveryLog(name, a.directory)
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
				a.print("%s  by pid %d, uid %d: %s\n", r.Time.Format("2006-01-02 15:04:05.000"), r.PID, r.UID,
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
