package command

import (
	"github.com/spf13/cobra"
)

func (a *app) schemaShow() *cobra.Command {
	return &cobra.Command{
		Use: "show SCHEMA", Short: "The text form, with the hash", Args: exactly("SCHEMA"),
		Example: "  datablock-admin schema show block:camera\n  datablock-admin schema show block:camera --zone",
		Long: `Shows a schema in the text form that every command here takes. The first line has the size, the
alignment and the hash.`,
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := a.readSchema(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(jsonOf(s))
			}
			a.print("// %d bytes, alignment %d, hash %x\n%s", s.Size, s.Align, s.Hash(), s.Text())
			return nil
		},
	}
}
