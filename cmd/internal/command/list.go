package command

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"datablock/internal/core/segment"

	"github.com/spf13/cobra"

	"datablock"
)

type blockJSON struct {
	Name          string `json:"name"`
	State         string `json:"state"`
	Policy        string `json:"policy,omitempty"`
	SlotCount     uint32 `json:"slot_count"`
	SpareSlots    uint32 `json:"spare_slots"`
	SlotSize      uint64 `json:"slot_size"`
	TotalBytes    uint64 `json:"total_bytes"`
	NextID        uint64 `json:"next_id"`
	ProducerPID   uint64 `json:"producer_pid"`
	ProducerPIDNS uint64 `json:"producer_pid_namespace"`
	Consumers     uint32 `json:"consumers"`
	ConsumerLimit uint32 `json:"consumer_limit"`
	Problem       string `json:"problem,omitempty"`   // in a list: why the block is UNREADABLE, and what to do
	Checksum      string `json:"checksum,omitempty"`  // MANUAL, ENFORCED
	Algorithm     string `json:"algorithm,omitempty"` // of the checksums
	Reclaims      bool   `json:"reclaims,omitempty"`  // messages that every LOSSLESS consumer has released
}

// checksumName returns how the messages of a block are checked, "" if they are not.
func checksumName(i datablock.BlockInfo) string {
	if i.Checksum == uint32(datablock.ChecksumNone) {
		return ""
	}
	return datablock.ChecksumPolicy(i.Checksum).String()
}

func algorithmName(i datablock.BlockInfo) string {
	if i.Checksum == uint32(datablock.ChecksumNone) {
		return ""
	}
	return datablock.ChecksumAlgorithm(i.Algorithm).String()
}

func blockOf(i datablock.BlockInfo) blockJSON {
	return blockJSON{i.Name, stateName(i.State), policyName(i.Policy), i.SlotCount, i.SpareSlots, i.SlotSize,
		i.TotalBytes, i.NextID, i.ProducerPID, i.ProducerPIDNS, i.Consumers, i.ConsumerLimit, "", checksumName(i),
		algorithmName(i), i.Reclaims}
}

func (a *app) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "The blocks of a directory", Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
		Long: `Shows every block of a directory: its state, the number and the size of its slots, how many messages
were written, and its participants. A block that cannot be read is UNREADABLE: a line below the table
says why and what to do, as validate does, and the exit code is 1.`,
		Example: `  datablock-admin list
  datablock-admin list --directory /run/blocks --json`,
		RunE: func(*cobra.Command, []string) error {
			blocks, err := datablock.List(a.directory)
			if err != nil {
				return err
			}
			all, problems := a.described(blocks)
			if a.json {
				if err := a.printJSON(all); err != nil {
					return err
				}
				return problems
			}
			if len(blocks) == 0 {
				a.print("no blocks\n")
				return nil
			}
			a.table("NAME\tSTATE\tPOLICY\tSLOTS\tSLOT SIZE\tMEMORY\tWRITTEN\tPRODUCER\tCONSUMERS",
				func(w *tabwriter.Writer) {
					for _, b := range blocks {
						if b.State == 0 { // nothing is known of it
							fmt.Fprintf(w, "%s\t%s%s\n", b.Name, stateName(b.State), strings.Repeat("\t-", 7))
							continue
						}
						producer := "none"
						if b.ProducerPID != 0 {
							producer = segment.ProcessName(b.ProducerPID, b.ProducerPIDNS)
						}
						fmt.Fprintf(w, "%s\t%s\t%s\t%d+%d\t%s\t%s\t%d\t%s\t%d of %d\n", b.Name, stateName(b.State),
							policyName(b.Policy),
							b.SlotCount, b.SpareSlots, size(b.SlotSize), size(b.TotalBytes), b.NextID, producer,
							b.Consumers, b.ConsumerLimit)
					}
				})
			for _, b := range all {
				if b.Problem != "" {
					a.print("%s: %s\n", bad(b.Name), printable(b.Problem))
				}
			}
			return problems
		},
	}
}
