package command

import (
	"github.com/spf13/cobra"

	"datablock"
)

func (a *app) schemaRegister() *cobra.Command {
	return &cobra.Command{
		Use: "register SCHEMA", Short: "Add a schema to the registry, by the version rules", Args: exactly("SCHEMA"),
		Example: "  datablock-admin schema register reading.schema",
		Long: `Puts a schema into the registry. Programs take it from there by its name and version. A change that
readers of older versions do not understand needs another major version. An added field needs another
minor version. The command refuses a schema that breaks this rule (exit code 5), and says which
version it needs.`,
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.readSchema(args[0])
			if err == nil {
				err = datablock.RegisterSchema(s, a.registry)
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"name": s.Name, "version": s.Version.String()})
			}
			a.print("registered %s@%s\n", s.Name, s.Version)
			return nil
		},
	}
}
