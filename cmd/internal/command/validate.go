package command

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"datablock"
)

type findingJSON struct {
	Part    string  `json:"part"`
	Index   uint32  `json:"index"`
	Slot    *uint32 `json:"slot,omitempty"`
	Problem string  `json:"problem"`
	Advice  string  `json:"advice"`
}

type integrityJSON struct {
	Name            string        `json:"name"`
	Healthy         bool          `json:"healthy"`
	HeaderValid     bool          `json:"header_valid"`
	SlotStatesValid bool          `json:"slot_states_valid"`
	ChecksumValid   bool          `json:"checksum_valid"`
	CorruptedSlots  uint32        `json:"corrupted_slots"`
	Found           int           `json:"found"`
	Findings        []findingJSON `json:"findings"`
	Result          string        `json:"result,omitempty"`
	Repaired        []string      `json:"repaired,omitempty"`
	Repairs         int           `json:"repairs,omitempty"` // how many there were; repaired has the first ones
}

func integrityOf(i *datablock.Integrity) integrityJSON {
	j := integrityJSON{
		Name: i.Block, Healthy: i.Healthy(), HeaderValid: i.HeaderValid, SlotStatesValid: i.SlotStatesValid,
		ChecksumValid:  i.ChecksumValid,
		CorruptedSlots: i.CorruptedSlots, Found: i.Found, Findings: []findingJSON{}, Repaired: i.Repaired,
		Repairs: i.Mended,
	}
	for _, f := range i.Findings {
		one := findingJSON{Part: f.Part.String(), Index: f.Index, Problem: f.Problem, Advice: f.Advice}
		if f.Slot != datablock.NoSlot {
			one.Slot = &f.Slot
		}
		j.Findings = append(j.Findings, one)
	}
	return j
}

func (a *app) validate() *cobra.Command {
	var name string
	var repair, force, yes bool
	cmd := &cobra.Command{
		Use:   "validate --shm-name NAME [--repair [--force]]",
		Short: "Check every byte of a block that has to be right, and repair it",
		Long: `Recomputes everything about a block from its bytes: the header's digest, the sizes of the files,
ring entries, slot headers, checksums, participants' rows, the recovery log. It changes nothing and
may run while the block is in use. Exit code 1: something is wrong, and each line says what and what
to do.

With --repair it rebuilds in place what follows from the rest, and resets everything else that is
damaged. No participant has to attach again. A message that cannot be saved is marked LOST. While a
producer lives the command does not touch the ring (exit code 4) unless --force is given. If the
producer would then use a slot twice, the command says so: stop the producer first. With --force,
and while no process is attached, a truncated control file is rebuilt.`,
		Example: `  datablock-admin validate --shm-name camera
  datablock-admin validate --shm-name camera --repair --yes`,
		RunE: func(*cobra.Command, []string) error {
			if force && !repair {
				return usageError{errors.New("--force goes with --repair")}
			}
			found, err := datablock.ValidateIntegrity(name, a.directory)
			if err != nil {
				return err
			}
			if !repair || found.Healthy() {
				return a.showIntegrity(found, "")
			}
			if !a.json {
				a.printFindings(found)
			}
			if err := confirm(yes, fmt.Sprintf("repair block %q", found.Block)); err != nil {
				return err
			}
			return a.repair(name, force)
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "repair what is wrong")
	cmd.Flags().BoolVar(&force, "force", false,
		"with --repair: also the ring of a living producer, whose damaged messages are discarded and whose open "+
			"claim may be fenced, and a truncated control file")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return a.blockFlag(cmd, &name)
}

func (a *app) repair(name string, force bool) error {
	result, left, err := datablock.Repair(name, a.directory, force)
	if result != datablock.RecoverySuccess && result != datablock.RecoveryNotStuck {
		if left != nil && a.json {
			j := integrityOf(left)
			j.Result = err.Error()
			_ = a.printJSON(j)
		}
		return err
	}
	return a.showIntegrity(left, "repaired")
}

func (a *app) showIntegrity(i *datablock.Integrity, result string) error {
	if a.json {
		j := integrityOf(i)
		j.Result = result
		if err := a.printJSON(j); err != nil {
			return err
		}
	} else {
		for k, done := range i.Repaired {
			if k == shownLines {
				a.print("and %d more repairs\n", i.Mended-k)
				break
			}
			a.print("%s\n", printable(done))
		}
		a.printFindings(i)
	}
	if !i.Healthy() {
		return errProblems
	}
	return nil
}

func (a *app) printFindings(i *datablock.Integrity) {
	if i.Healthy() {
		a.print("block %q is %s\n", i.Block, good("healthy"))
		return
	}
	for k, f := range i.Findings {
		if k == shownLines {
			a.print("and %d more (--json shows %d)\n", i.Found-k, len(i.Findings))
			return
		}
		a.print("%s: %s\n", bad(f.Part.String()), printable(f.String()))
	}
}

// shownLines is how many findings, or repairs, the text output shows.
const shownLines = 20

// confirm asks on a terminal before a command changes something. Without a terminal the user has to
// give --yes.
func confirm(yes bool, what string) error {
	if yes {
		return nil
	}
	if !isatty.IsTerminal(os.Stdin.Fd()) {
		return usageError{fmt.Errorf("to %s without a terminal, say --yes", what)}
	}
	fmt.Fprintf(os.Stderr, "%s? [y/N] ", what)
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return usageError{fmt.Errorf("not confirmed, nothing was changed")}
	}
	return nil
}
