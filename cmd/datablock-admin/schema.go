package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"go/format"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"datablock/internal/core"
	"datablock/internal/schema"
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
		"$DATABLOCK_SCHEMAS, else datablock/schemas in $XDG_DATA_HOME or ~/.local/share)")
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
		ask, of := core.BlockSchema, ""
		if a.zone {
			ask, of = core.BlockZoneSchema, "the flexible zone of "
		}
		s, err := ask(name, a.directory)
		if err == nil && s == nil {
			err = &core.Error{Code: core.Schema, Detail: fmt.Sprintf("%sblock %q has no schema", of, name)}
		}
		return s, err
	}
	if reference, ok := strings.CutPrefix(from, "registered:"); ok {
		return core.LookupSchema(reference, a.registry)
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
				err = core.RegisterSchema(s, a.registry)
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

func (a *app) schemaList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "The schemas of the registry", Args: exactly(), Example: "  datablock-admin schema list",
		Long: `Shows every schema of the registry, by name and version, with its size and hash. If a file is
damaged, the others are shown, and the command fails with the name of the damaged file.`,
		RunE: func(*cobra.Command, []string) error {
			all, damaged := core.RegisteredSchemas(a.registry)
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

func jsonOf(s *schema.Schema) schemaJSON {
	hash := s.Hash()
	return schemaJSON{s.Name, s.Version.String(), hex.EncodeToString(hash[:]), s.Size, s.Align, s.Canonical(), s.Text()}
}

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
