package command

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"datablock"
)

type failureJSON struct {
	Error    string `json:"error"`
	ExitCode int    `json:"exit_code"`
}

// asksForJSON reports whether arguments that could not be parsed ask for JSON.
func asksForJSON(args []string) bool {
	for _, arg := range args {
		if arg == "--" {
			return false
		}
		if value, ok := strings.CutPrefix(arg, "--json="); ok {
			if yes, err := strconv.ParseBool(value); err == nil && yes {
				return true
			}
		} else if arg == "--json" {
			return true
		}
	}
	return false
}

// withUsage adds how a command is called, where the command library only says what is wrong.
func withUsage(cmd *cobra.Command, err error) error {
	var usage usageError
	var status *datablock.Error
	if errors.As(err, &usage) || errors.As(err, &status) {
		return err
	}
	return fmt.Errorf("%w; use it as %s (%s --help says more)", err, cmd.UseLine(), cmd.CommandPath())
}

// flagError puts the errors of the flag library into the words of this program.
func flagError(_ *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value):
		return fmt.Errorf("--%s %s: %s", value.GetFlag().Name, value.GetValue(), wanted(value.GetFlag()))
	case errors.As(err, &missing):
		return fmt.Errorf("--%s: a value is missing: %s", missing.GetFlag().Name, missing.GetFlag().Usage)
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return fmt.Errorf("there is no option -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		return fmt.Errorf("there is no option --%s", unknown.GetSpecifiedName())
	}
	return err
}

// wanted returns what a flag takes.
func wanted(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "uint32":
		return fmt.Sprintf("not a whole number from 0 to %d", uint32(math.MaxUint32))
	case "uint64":
		return "not a whole number from 0 on"
	case "float64":
		return "not a number"
	case "duration":
		return "not a time: say 500ms, 5s or 24h"
	case "bool":
		return "say true or false, or only --" + f.Name
	}
	return f.Usage
}

// exactly requires one argument for each name.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args)+1 < len(names):
			return errors.New(strings.Join(names[len(args):], " and ") + " are missing")
		case len(args) < len(names):
			return errors.New(names[len(args)] + " is missing")
		case len(args) > len(names):
			return fmt.Errorf("%q is one argument too many", args[len(names)])
		}
		return nil
	}
}

// missingOptions names the options that a command requires, where the command library would only
// list them.
func missingOptions(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		missingOptions(c)
	}
	arguments := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) (err error) {
		if arguments != nil {
			err = arguments(cmd, args)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if _, required := f.Annotations[cobra.BashCompOneRequiredFlag]; required && !f.Changed && err == nil {
				err = fmt.Errorf("--%s is missing: %s", f.Name, f.Usage)
			}
		})
		return err
	}
}

func exitHelp() string {
	all := make([]string, len(exitMeanings))
	for code, meaning := range exitMeanings {
		all[code] = fmt.Sprintf("%d %s", code, meaning)
	}
	return "\n\nExit codes: " + strings.Join(all, ", ") + "."
}

func addExitCodes(cmd *cobra.Command) {
	cmd.Long += exitHelp()
	for _, c := range cmd.Commands() {
		addExitCodes(c)
	}
}

// group makes a command that only has subcommands: alone it shows its help.
func (a *app) group(cmd *cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return fmt.Errorf("there is no command %q: did you mean %s?", args[0], strings.Join(near, " or "))
		}
		return fmt.Errorf("there is no command %q", args[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if a.json {
			return errors.New("a command is missing")
		}
		return cmd.Help()
	}
	return cmd
}

func (a *app) help() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]...", Short: "The help of a command", Long: "Shows what COMMAND --help shows.",
		Example: "  datablock-admin help schema check",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("there is no command %q", strings.Join(args, " "))
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"command": about.CommandPath(), "help": about.Long,
					"usage": about.UsageString()})
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (all []cobra.Completion,
			_ cobra.ShellCompDirective) {
			if about, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, c := range about.Commands() {
					if c.IsAvailableCommand() {
						all = append(all, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			return all, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
