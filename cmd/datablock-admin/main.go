// Command datablock-admin shows operators the blocks of a machine, who holds what since when, and removes what is left over.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"datablock/internal/core"
)

// Exit codes; the help of every command lists them.
const (
	exitOK       = 0
	exitProblems = 1 // the command worked and found something that needs attention
	exitUsage    = 2
	exitMissing  = 3
	exitRefused  = 4 // somebody alive would be hurt
	exitFailed   = 5
)

const exitHelp = `Exit codes: 0 healthy or done, 1 problems found, 2 wrong usage, 3 no such block, 4 refused because somebody alive uses it, 5 failed.`

// errProblems ends a command whose output has already said everything.
var errProblems = errors.New("problems found")

// app is what all commands share.
type app struct {
	out       io.Writer
	directory string
	registry  string // of schemas
	zone      bool
	json      bool
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, errOut io.Writer) (code int) {
	debug.SetPanicOnFault(true) // a file that is truncated while it is looked at
	defer func() {
		r := recover()
		if fault, ok := r.(interface{ Addr() uintptr }); ok {
			fmt.Fprintf(errOut, "datablock-admin: one of the block's files was truncated meanwhile (nothing is at 0x%x any more): look again\n", fault.Addr())
			code = exitFailed
		} else if r != nil {
			panic(r)
		}
	}()
	a := &app{out: out}
	root := &cobra.Command{
		Use:   "datablock-admin",
		Short: "See and repair DataBlock's shared-memory blocks",
		Long: `datablock-admin shows the shared-memory blocks of this machine: who writes and reads them, which slots are held by whom and since when, and what a dead
process left behind. Looking changes nothing and is safe while everything runs.

` + exitHelp,
		Example: `  datablock-admin list
  datablock-admin diagnose --shm-name camera
  datablock-admin status --shm-name camera --json`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&a.directory, "directory", "", "where the blocks are (default $DATABLOCK_DIR, else /dev/shm)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, for programs")
	root.AddCommand(a.list(), a.diagnose(), a.status(), a.releaseReaders(), a.releaseWriter(), a.cleanup(), a.validate(), a.autoRecover(), a.forceResetSlot(), a.forceResetAll(), a.evict(), a.history(), a.schema(), a.unlink(), a.collect())
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })

	err := root.Execute()
	if err != nil && !errors.Is(err, errProblems) {
		fmt.Fprintf(errOut, "datablock-admin: %v\n", err)
	}
	return exitCode(err)
}

// usageError is a request that could not be understood.
type usageError struct{ error }

func exitCode(err error) int {
	var usage usageError
	var status *core.Error
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errProblems):
		return exitProblems
	case errors.As(err, &usage), !errors.As(err, &status): // cobra's own errors are about the arguments
		return exitUsage
	}
	switch status.Code {
	case core.NotFound:
		return exitMissing
	case core.Invalid:
		return exitUsage
	case core.ProducerActive, core.Busy:
		return exitRefused
	}
	return exitFailed
}

// blockFlag adds --shm-name to a command that is about one block; the name may also be its only argument.
func blockFlag(cmd *cobra.Command, name *string) *cobra.Command {
	cmd.Flags().StringVar(name, "shm-name", "", "the block: its name, or the absolute path of its data file")
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if *name == "" && len(args) == 1 {
			*name, args = args[0], nil
		}
		if *name == "" || len(args) > 0 {
			return usageError{fmt.Errorf("name one block: datablock-admin %s --shm-name NAME (datablock-admin list shows them)", cmd.Name())}
		}
		return nil
	}
	return cmd
}
