package command

import (
	"github.com/spf13/cobra"

	"datablock/schema"
)

func (a *app) schemaCheck() *cobra.Command {
	exact := false
	c := &cobra.Command{
		Use:   "check PRODUCER CONSUMER",
		Short: "Whether a consumer of one schema can read what a producer of the other writes",
		Args:  exactly("PRODUCER", "CONSUMER"),
		Long: `Says whether a consumer may attach. The consumer may expect fewer fields than the producer writes,
and no field that differs. Exit code 1: it may not, and the message names the fields.`,
		Example: "  datablock-admin schema check block:camera my-reader.schema",
		RunE: func(_ *cobra.Command, args []string) error {
			both, err := a.readSchemas(args)
			if err != nil {
				return err
			}
			mode := schema.Compatible
			if exact {
				mode = schema.Exact
			}
			why := schema.Check(both[0], both[1], mode)
			if a.json {
				err = a.printJSON(a.difference(both[0], both[1]))
			} else if why == nil {
				a.print("%s\n", good("fits"))
			} else {
				a.print("%v\n", why)
			}
			if err == nil && why != nil {
				err = errProblems
			}
			return err
		},
	}
	c.Flags().BoolVar(&exact, "exact", false, "require equal hashes, not only a compatible schema")
	return c
}

func (a *app) difference(producer, consumer *schema.Schema) schemaDiffJSON {
	d := schemaDiffJSON{Exact: schema.Check(producer, consumer, schema.Exact) == nil,
		Differences: append([]schema.Difference{}, schema.Diff(producer, consumer)...)}
	why := schema.Check(producer, consumer, schema.Compatible)
	if d.Compatible = why == nil; why != nil {
		d.Why = why.Error()
	}
	return d
}
