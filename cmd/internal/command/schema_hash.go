package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) schemaHash() *cobra.Command {
	return &cobra.Command{
		Use: "hash SCHEMA", Short: "The hash alone", Args: exactly("SCHEMA"),
		Example: "  datablock-admin schema hash reading.schema",
		Long: `Shows the hash that a block stores of its schema. The same struct has the same hash in every
language.`,
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.readSchema(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(fmt.Sprintf("%x", s.Hash()))
			}
			a.print("%x\n", s.Hash())
			return nil
		},
	}
}
