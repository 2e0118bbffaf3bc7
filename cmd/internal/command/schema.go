package command

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"datablock"
	"datablock/schema"
)

type schemaJSON struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Hash      string `json:"hash"`
	Size      uint64 `json:"size"`
	Alignment uint64 `json:"alignment"`
	Canonical string `json:"canonical"`
	Text      string `json:"text"`
}

type schemaDiffJSON struct {
	Compatible  bool                `json:"compatible"`
	Exact       bool                `json:"exact"`
	Why         string              `json:"why,omitempty"`
	Differences []schema.Difference `json:"differences"`
}

func (a *app) schema() *cobra.Command {
	c := &cobra.Command{
		Use: "schema", Short: "Schemas of blocks, files and the registry: show, hash, check, diff, generate, " +
			"register, list",
		Long: `A schema describes the messages of a block: names, types and places of a struct's fields. SCHEMA is
the name of a file with the text form, which docs/schema.md describes, or - for standard input.
block:NAME is the schema of a block, or with --zone the schema of its flexible zone.
registered:NAME@VERSION is a schema of the registry.`,
		Example: "  datablock-admin schema show block:camera\n" +
			"  datablock-admin schema check block:camera my-reader.schema\n" +
			"  datablock-admin schema generate --lang python block:camera",
	}
	c.PersistentFlags().StringVar(&a.registry, "registry", "", "where registered schemas are (default "+
		"$DATABLOCK_SCHEMAS, else datablock/schemas in $XDG_DATA_HOME or ~/.local/share; on Windows "+
		"DataBlock\\schemas in %LOCALAPPDATA%)")
	c.PersistentFlags().BoolVar(&a.zone, "zone", false,
		"block:NAME means the schema of its flexible zone, not that of its messages")
	c.AddCommand(a.schemaRegister(), a.schemaList(), a.schemaShow(), a.schemaHash(), a.schemaCheck(), a.schemaDiff(),
		a.schemaGenerate())
	completeDirectory(c, "registry")
	for _, one := range c.Commands() {
		one.ValidArgsFunction = a.completeSchema
	}
	return a.group(c)
}

// readSchema reads a schema from a file, standard input, or a block.
func (a *app) readSchema(from string) (*schema.Schema, error) {
	if name, ok := strings.CutPrefix(from, "block:"); ok {
		ask, of := datablock.BlockSchema, ""
		if a.zone {
			ask, of = datablock.BlockZoneSchema, "the flexible zone of "
		}
		s, err := ask(name, a.directory)
		if err == nil && s == nil {
			err = &datablock.Error{Code: datablock.ErrSchema, Detail: fmt.Sprintf("%sblock %q has no schema", of, name)}
		}
		return s, err
	}
	if reference, ok := strings.CutPrefix(from, "registered:"); ok {
		return datablock.LookupSchema(reference, a.registry)
	}
	file := os.Stdin
	if from != "-" {
		var err error
		if file, err = os.Open(from); err != nil {
			return nil, usageError{err}
		}
		defer file.Close()
	}
	text := make([]byte, schema.MaxText+1)
	n := 0
	for n < len(text) {
		k, err := file.Read(text[n:])
		if n += k; err != nil {
			break
		}
	}
	s, err := schema.Parse(string(text[:n]))
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", from, err)}
	}
	return s, nil
}

func (a *app) readSchemas(from []string) (all []*schema.Schema, err error) {
	for _, f := range from {
		s, err := a.readSchema(f)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func jsonOf(s *schema.Schema) schemaJSON {
	hash := s.Hash()
	return schemaJSON{s.Name, s.Version.String(), hex.EncodeToString(hash[:]), s.Size, s.Align, s.Canonical(), s.Text()}
}
