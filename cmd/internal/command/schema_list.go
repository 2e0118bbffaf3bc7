package command

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"datablock"
	"datablock/schema"
)

func (a *app) schemaList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "The schemas of the registry", Args: exactly(), Example: "  datablock-admin schema list",
		Long: `Shows every schema of the registry, by name and version, with its size and hash. If a file is
damaged, the others are shown, and the command fails with the name of the damaged file.`,
		RunE: func(*cobra.Command, []string) error {
			all, damaged := datablock.RegisteredSchemas(a.registry)
			if len(all) == 0 && damaged != nil {
				return damaged
			}
			if err := a.printSchemas(all); err != nil {
				return err
			}
			return damaged
		},
	}
}

func (a *app) printSchemas(all []*schema.Schema) error {
	if a.json {
		out := make([]schemaJSON, 0, len(all))
		for _, s := range all {
			out = append(out, jsonOf(s))
		}
		return a.printJSON(out)
	}
	if len(all) == 0 {
		a.print("no schemas\n")
		return nil
	}
	a.table("SCHEMA\tBYTES\tHASH", func(w *tabwriter.Writer) {
		for _, s := range all {
			fmt.Fprintf(w, "%s@%s\t%d\t%x\n", s.Name, s.Version, s.Size, s.Hash())
		}
	})
	return nil
}
