package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"datablock"
)

func (a *app) evict() *cobra.Command {
	var row uint32
	cmd := a.byForce("evict", "--row N", "Remove a consumer's row",
		`Removes the row of a dead consumer. A durable consumer then loses its place. With --force it removes
the row of a living consumer, for example one that hangs and holds the producer up. This consumer
gets an error at its next call and may attach again.`,
		func(name string, force bool) (datablock.RecoveryResult, error) {
			return datablock.EvictConsumer(name, a.directory, row, force)
		},
		func(name string) error { return findRow(name, a.directory, row) },
		func() string { return fmt.Sprintf("evict the consumer in row %d", row) })
	return required(cmd, "row", &row, "the row, as diagnose and status show it", a.completeRow)
}

// findRow returns the error for a block that is not there, or for a row that none of its consumers
// can have.
func findRow(name, directory string, row uint32) error {
	d, err := datablock.Diagnose(name, directory)
	if err != nil {
		return err
	}
	if limit := d.Block.ConsumerLimit; row == 0 || row > limit {
		return &datablock.Error{Code: datablock.ErrInvalid, Detail: fmt.Sprintf(
			"block %q has consumer rows 1 to %d, there is no row %d", d.Block.Name, limit, row)}
	}
	return nil
}
