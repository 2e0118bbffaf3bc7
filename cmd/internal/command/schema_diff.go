package command

import (
	"github.com/spf13/cobra"
)

func (a *app) schemaDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff PRODUCER CONSUMER", Short: "Every field that differs, with both sides",
		Args: exactly("PRODUCER", "CONSUMER"), Example: "  datablock-admin schema diff old.schema new.schema",
		Long: `Shows each field that only one side has, or that differs between both. Exit code 1: there is such a
field.`,
		RunE: func(_ *cobra.Command, args []string) error {
			both, err := a.readSchemas(args)
			if err != nil {
				return err
			}
			d := a.difference(both[0], both[1])
			if a.json {
				err = a.printJSON(d)
			} else if len(d.Differences) == 0 {
				a.print("%s\n", good("the same"))
			} else {
				for _, one := range d.Differences {
					a.print("%v\n", one)
				}
			}
			if err == nil && len(d.Differences) > 0 {
				err = errProblems
			}
			return err
		},
	}
}
