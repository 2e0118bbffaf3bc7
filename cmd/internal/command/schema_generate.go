package command

import (
	"errors"
	"go/format"
	"strings"

	"github.com/spf13/cobra"

	"datablock/schema"
)

// formatted returns Go source in the format of gofmt. The code is here and not where the source is
// made, because the library does not need a Go parser.
func formatted(source string) (string, error) {
	text, err := format.Source([]byte(source))
	return string(text), err
}

func (a *app) schemaGenerate() *cobra.Command {
	language := ""
	c := &cobra.Command{
		Use: "generate --lang LANGUAGE SCHEMA", Short: "Source of a type with this layout: c, cpp, go or python",
		Args:    exactly("SCHEMA"),
		Long:    `Writes the source of a struct or class to standard output, laid out as the schema says.`,
		Example: "  datablock-admin schema generate --lang c block:camera > camera.h",
		RunE: func(_ *cobra.Command, args []string) error {
			if language == "" {
				return usageError{errors.New("--lang is missing: use one of " + strings.Join(schema.Languages, ", "))}
			}
			s, err := a.readSchema(args[0])
			if err != nil {
				return err
			}
			text, err := schema.Generate(s, language)
			if err == nil && language == "go" {
				text, err = formatted(text)
			}
			switch {
			case err != nil:
				return usageError{err}
			case a.json:
				return a.printJSON(map[string]string{"language": language, "source": text})
			}
			a.print("%s", text)
			return nil
		},
	}
	c.Flags().StringVar(&language, "lang", "", "c, cpp, go or python")
	completeFlag(c, "lang", cobra.FixedCompletions(schema.Languages, cobra.ShellCompDirectiveNoFileComp))
	return c
}
