package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"datablock/internal/core/segment"

	"github.com/spf13/cobra"

	"datablock"
)

// shells are the supported shells, with the names that their completion files have where they look.
var shells = []struct {
	name, file string
	generate   func(root *cobra.Command, w io.Writer) error
}{
	{"bash", "datablock-admin.bash", func(root *cobra.Command,
		w io.Writer) error {
		return root.GenBashCompletionV2(w, true)
	}},
	{"zsh", "_datablock-admin", func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) }},
	{"fish", "datablock-admin.fish", func(root *cobra.Command,
		w io.Writer) error {
		return root.GenFishCompletion(w, true)
	}},
}

func (a *app) completion() *cobra.Command {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	return &cobra.Command{
		Use: "completion SHELL", Short: "Completion of commands, blocks, slots and rows for bash, zsh or fish",
		Long: `Prints a script with which the shell completes the commands and options of datablock-admin. It also
completes the current names of blocks, numbers of held slots and rows of consumers. make install
puts the script where the shell finds it without help.`,
		Example: `  source <(datablock-admin completion bash)
  source <(datablock-admin completion zsh)
  datablock-admin completion fish | source`,
		ValidArgs: names, Args: exactly("SHELL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, s := range shells {
				if s.name != args[0] {
					continue
				}
				var script bytes.Buffer
				if err := s.generate(cmd.Root(), &script); err != nil {
					return &datablock.Error{Code: datablock.ErrSystem, Detail: err.Error()}
				}
				if a.json {
					return a.printJSON(map[string]string{"shell": s.name, "script": script.String()})
				}
				a.print("%s", script.String())
				return nil
			}
			return usageError{errors.New("there is completion for " + strings.Join(names, ", ") + ", not for " +
				strconv.Quote(args[0]))}
		},
	}
}

func completeFlag(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the flag was added just now
	}
}

func completeDirectory(cmd *cobra.Command, flag string) {
	completeFlag(cmd, flag, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	})
}

// blocks returns the blocks whose names the completion offers.
func (a *app) blocks() (all []datablock.BlockInfo) {
	found, err := datablock.List(a.directory)
	if err != nil {
		return nil // a shell shows no errors
	}
	for _, b := range found {
		if printable(b.Name) == b.Name {
			all = append(all, b)
		}
	}
	return all
}

// completeBlock lists the existing blocks or, after a slash, files.
func (a *app) completeBlock(_ *cobra.Command, args []string, typed string) (all []cobra.Completion,
	_ cobra.ShellCompDirective) {
	if strings.HasPrefix(typed, "/") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, b := range a.blocks() {
		all = append(all, cobra.CompletionWithDesc(b.Name,
			fmt.Sprintf("%s, %d messages written, %d consumers", stateName(b.State), b.NextID, b.Consumers)))
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeBlocks lists the blocks that the command line does not name yet.
func (a *app) completeBlocks(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion,
	cobra.ShellCompDirective) {
	all, directive := a.completeBlock(cmd, nil, typed)
	return slices.DeleteFunc(all, func(c cobra.Completion) bool {
		name, _, _ := strings.Cut(c, "\t")
		return slices.Contains(args, name)
	}), directive
}

// named returns the block that the command line names so far.
func named(cmd *cobra.Command, args []string) string {
	name, err := cmd.Flags().GetString("shm-name")
	if (err != nil || name == "") && len(args) > 0 {
		return args[0]
	}
	return name
}

// completeSlot lists the slots that are held.
func (a *app) completeSlot(cmd *cobra.Command, args []string, _ string) (all []cobra.Completion,
	_ cobra.ShellCompDirective) {
	if d, err := datablock.Diagnose(named(cmd, args), a.directory); err == nil {
		for _, s := range d.Slots {
			if s.Stuck || len(s.Holders) > 0 {
				all = append(all, cobra.CompletionWithDesc(strconv.Itoa(int(s.Index)),
					printable(fmt.Sprintf("%v, held by %s", s.State, s.HeldBy()))))
			}
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeRow lists the consumers.
func (a *app) completeRow(cmd *cobra.Command, args []string, _ string) (all []cobra.Completion,
	_ cobra.ShellCompDirective) {
	if _, participants, err := datablock.ReadMetrics(named(cmd, args), a.directory); err == nil {
		for _, p := range participants {
			if p.Role == datablock.RoleProducer {
				continue
			}
			state := "alive"
			if !p.Alive {
				state = "dead"
			}
			all = append(all, cobra.CompletionWithDesc(strconv.Itoa(int(p.Row)),
				printable(fmt.Sprintf("%q, %s, %s", p.Name, segment.ProcessName(p.PID, p.PIDNamespace), state))))
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeSchema lists the schemas of blocks and of the registry. A shell adds files where none
// matches.
func (a *app) completeSchema(*cobra.Command, []string, string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
	for _, b := range a.blocks() {
		if s, err := datablock.BlockSchema(b.Name, a.directory); err == nil && s != nil {
			all = append(all, cobra.CompletionWithDesc("block:"+b.Name, s.Name+"@"+s.Version.String()))
		}
	}
	registered, _ := datablock.RegisteredSchemas(a.registry) // the commands report damaged files
	for _, s := range registered {
		all = append(all, fmt.Sprintf("registered:%s@%s", s.Name, s.Version))
	}
	return all, cobra.ShellCompDirectiveDefault
}
