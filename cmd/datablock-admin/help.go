package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"datablock/internal/core"
)

type failureJSON struct {
	Error    string `json:"error"`
	ExitCode int    `json:"exit_code"`
}

// asksForJSON is for arguments that could not be understood as a whole.
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

// withUsage says how a command is called where the command library only says what is wrong.
func withUsage(cmd *cobra.Command, err error) error {
	var usage usageError
	var status *core.Error
	if errors.As(err, &usage) || errors.As(err, &status) {
		return err
	}
	return fmt.Errorf("%w; use it as %s (%s --help says more)", err, cmd.UseLine(), cmd.CommandPath())
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

// group makes a command of one that only has others below it: alone it shows its help.
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
		Use: "help [COMMAND]...", Short: "The help of a command", Long: "Shows what COMMAND --help shows.", Example: "  datablock-admin help schema check",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("there is no command %q", strings.Join(args, " "))
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"command": about.CommandPath(), "help": about.Long, "usage": about.UsageString()})
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
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
