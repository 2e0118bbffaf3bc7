// Package command has the commands of datablock-admin.
package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"datablock"
	"datablock/cmd/internal/faults"
)

// Exit codes; the help of every command lists them.
const (
	exitOK       = 0
	exitProblems = 1 // the command worked and found something that needs attention
	exitUsage    = 2
	exitMissing  = 3
	exitRefused  = 4 // it would harm a living process
	exitFailed   = 5
)

var exitMeanings = [...]string{
	exitOK:       "healthy or done",
	exitProblems: "problems found",
	exitUsage:    "wrong usage",
	exitMissing:  "no such block",
	exitRefused:  "refused because somebody alive uses it",
	exitFailed:   "failed",
}

// errProblems ends a command whose output has reported everything.
var errProblems = errors.New("problems found")

// app has the state that all commands share.
type app struct {
	out       *output
	directory string
	registry  string // of schemas
	zone      bool
	json      bool
	printed   bool // JSON, of which there is one document
	mayBreak  bool // the output may end before the command does
}

// release is the version of the build, "" if the build did not make the program.
var release = ""

// version returns the release. For a program that the build did not make it returns what Go knows:
// (devel), or the installed version.
func version() string {
	if info, ok := debug.ReadBuildInfo(); release == "" && ok {
		return info.Main.Version
	}
	return release
}

// Main runs the program's command line and returns the exit code. releaseOfBuild is the version of
// the build, or "".
func Main(releaseOfBuild string) int {
	release = releaseOfBuild
	return run(os.Args[1:], os.Stdout, os.Stderr)
}

func run(args []string, out, errOut io.Writer) (code int) {
	a := &app{out: &output{to: out}}
	out = a.out
	fail := func(c int, text string) {
		code = c
		fmt.Fprintf(errOut, "datablock-admin: %s\n", text)
		if (a.json || asksForJSON(args)) && !a.printed {
			_ = a.printJSON(failureJSON{text, c})
		}
	}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)

	var cmd *cobra.Command
	err := faults.Catch(func() (err error) { // a file may be truncated while it is read
		cmd, err = root.ExecuteC()
		return err
	})
	code = exitCode(err)
	var truncated *faults.Truncated
	switch lost := a.out.err; {
	case errors.As(err, &truncated):
		fail(exitFailed, err.Error())
	case a.mayBreak && errors.Is(lost, syscall.EPIPE):
		code = exitOK
	case lost != nil:
		fail(exitFailed, fmt.Sprintf("the output could not be written, and is incomplete: %v", lost))
	case code > exitProblems:
		fail(code, withUsage(cmd, err).Error())
	}
	return code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "datablock-admin",
		Short: "See and repair DataBlock's shared-memory blocks",
		Long: `datablock-admin shows the shared-memory blocks of this machine: their participants, the holder of
each slot and since when, and what a dead process left behind. Commands that only show change
nothing, and are safe while everything runs.

With --json a command prints one JSON document, also when it fails: {"error": TEXT, "exit_code": N}.`,
		Example: `  datablock-admin list
  datablock-admin diagnose --shm-name camera
  datablock-admin status --shm-name camera --json`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&a.directory, "directory", "",
		"where the blocks are (default $DATABLOCK_DIR, else /dev/shm, or on Windows a folder of the user)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, for programs")
	root.AddCommand(a.list(), a.diagnose(), a.status(), a.echo(), a.releaseReaders(), a.releaseWriter(), a.cleanup(),
		a.validate(), a.autoRecover(), a.forceResetSlot(), a.forceResetAll(), a.evict(), a.history(), a.schema(),
		a.unlink(), a.collect(), a.rate(), a.check(), a.top(), a.serve(),
		a.completion(), a.generate())
	root.SetHelpCommand(a.help())
	completeDirectory(root, "directory")
	a.group(root)
	showVersion := root.Flags().Bool("version", false, "the version of DataBlock that this is of")
	help := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case !*showVersion:
			return help(cmd, args)
		case a.json:
			return a.printJSON(map[string]string{"version": version()})
		}
		a.print("datablock-admin %s\n", version())
		return nil
	}
	addExitCodes(root)
	root.SetFlagErrorFunc(flagError)
	missingOptions(root)
	return root
}

// usageError is the error of a request that could not be parsed.
type usageError struct{ error }

func exitCode(err error) int {
	var usage usageError
	var status *datablock.Error
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errProblems):
		return exitProblems
	case errors.As(err, &usage), !errors.As(err, &status): // the library's errors are about the arguments
		return exitUsage
	}
	switch status.Code {
	case datablock.ErrNotFound:
		return exitMissing
	case datablock.ErrInvalid:
		return exitUsage
	case datablock.ErrProducerActive, datablock.ErrBusy:
		return exitRefused
	}
	return exitFailed
}

// blockFlag adds --shm-name to a command on one block. The name may also be the command's only
// argument.
func (a *app) blockFlag(cmd *cobra.Command, name *string) *cobra.Command {
	cmd.Flags().StringVar(name, "shm-name", "", "the block: its name, or the absolute path of its data file")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if *name == "" && len(args) == 1 {
			*name, args = args[0], nil
		}
		if *name == "" || len(args) > 0 {
			return usageError{fmt.Errorf("name one block: %s (datablock-admin list shows them)", cmd.UseLine())}
		}
		return nil
	}
	cmd.ValidArgsFunction = a.completeBlock
	completeFlag(cmd, "shm-name",
		func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return a.completeBlock(cmd, nil, typed)
		})
	return cmd
}
