package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

var policies = map[string]datablock.Policy{"SINGLE": datablock.Single, "DOUBLE_BUFFER": datablock.DoubleBuffer,
	"RING": datablock.Ring}

// made creates the block. It returns the output of `datablock-admin list` for the block, and the
// sizes and modes of the two files.
func made(t *testing.T, config datablock.Config) (info datablock.BlockInfo, sizes, modes [2]string) {
	t.Helper()
	config.Directory = t.TempDir()
	producer, err := datablock.OpenProducer("block", config)
	require.NoError(t, err)
	defer func() { assert.NoError(t, producer.Close()) }()
	blocks, err := datablock.List(config.Directory)
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	for i, pattern := range []string{"block", "block.*.ctl"} {
		files, err := filepath.Glob(filepath.Join(config.Directory, pattern))
		require.NoError(t, err)
		require.Len(t, files, 1)
		file, err := os.Stat(files[0])
		require.NoError(t, err)
		sizes[i], modes[i] = fmt.Sprint(file.Size()), fmt.Sprintf("0%o", file.Mode().Perm())
	}
	return blocks[0], sizes, modes
}

// table returns the rows of the table with that heading in docs/choosing.md.
func table(t *testing.T, heading string) [][]string {
	t.Helper()
	_, after, found := strings.Cut(read(t, "docs/choosing.md"), heading+"\n")
	require.True(t, found, "docs/choosing.md has no table %s", heading)
	var rows [][]string
	for _, line := range strings.Split(after, "\n")[1:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	require.GreaterOrEqual(t, len(rows), 3)
	return rows
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 0, 64)
	require.NoError(t, err)
	return n
}

func TestBlocksTakeTheMemoryThatThePageSays(t *testing.T) {
	for _, row := range table(t,
		"| policy | `slot_size` | `slot_count` | `consumer_limit` | `spare_slots` | data file | control file |") {
		t.Run(strings.Join(row[:4], "_"), func(t *testing.T) {
			config := datablock.DefaultConfig(policies[row[0]])
			config.SlotSize, config.SlotCount, config.ConsumerLimit = number(t, row[1]), uint32(number(t, row[2])),
				uint32(number(t, row[3]))
			info, sizes, _ := made(t, config)
			assert.Equal(t, row[4:], []string{fmt.Sprint(info.SpareSlots), sizes[0], sizes[1]},
				"spare slots, data file, control file")
		})
	}
}

func TestTheFormulaOfThePageIsTheLibrarys(t *testing.T) {
	up := func(n, to uint64) uint64 { return (n + to - 1) / to * to }
	schema, err := datablock.ParseSchema("schema Long 1.0.0 { a: u8[4096]; b: u64[100]; }")
	require.NoError(t, err)
	for _, c := range []datablock.Config{
		{SlotSize: 1}, {SlotSize: 4000, Alignment: 4096, SlotCount: 600, ZoneSize: 5000},
		{SlotSize: 100000, ConsumerLimit: 40, SpareSlots: 3}, {Schema: schema, SlotCount: 1000},
	} {
		text := uint64(0)
		if c.Schema != nil {
			c.SlotSize, text = c.Schema.Size, uint64(len(c.Schema.Canonical()))
		}
		info, sizes, _ := made(t, c)
		alignment, zone := max(uint64(c.Alignment), 64), c.ZoneSize
		if zone == 0 {
			zone = 4032
		}
		n, s := uint64(info.SlotCount), uint64(info.SpareSlots)
		stride := up(64+c.SlotSize, alignment)
		data := up(up(8192+up(text, 4096)+up(8*n, 4096)+64, alignment)+(n+s)*stride, 4096)
		control := 4096 + up(512*(uint64(info.ConsumerLimit)+1), 4096) + up(64+zone, 4096) + 4096
		assert.Equal(t, [2]string{fmt.Sprint(data), fmt.Sprint(control)}, sizes, "%+v", c)
	}
}

func TestFilesHaveTheModesThatThePageSays(t *testing.T) {
	for _, row := range table(t, "| `mode` | data file | control file | owner | group | others |") {
		_, _, modes := made(t, datablock.Config{SlotSize: 64, Mode: uint32(number(t, row[0]))})
		assert.Equal(t, row[1:3], modes[:], "mode %s", row[0])
	}
}

func TestPoliciesHaveTheDefaultsThatThePageSays(t *testing.T) {
	for _, row := range table(t, "| policy | messages kept (`slot_count`) | default delivery | LOSSLESS |") {
		t.Run(row[0], func(t *testing.T) {
			config := datablock.DefaultConfig(policies[row[0]])
			config.SlotSize, config.Directory = 64, t.TempDir()
			producer, err := datablock.OpenProducer("block", config)
			require.NoError(t, err)
			defer producer.Close()
			consumer, err := datablock.OpenConsumer("block", datablock.ConsumerOptions{Directory: config.Directory})
			require.NoError(t, err)
			defer consumer.Close()
			blocks, err := datablock.List(config.Directory)
			require.NoError(t, err)
			_, participants, err := datablock.ReadMetrics("block", config.Directory)
			require.NoError(t, err)
			require.Len(t, participants, 2)
			lossless, err := datablock.OpenConsumer("block",
				datablock.ConsumerOptions{Directory: config.Directory, Delivery: datablock.Lossless})
			verdict := "allowed"
			if err != nil {
				require.ErrorIs(t, err, datablock.ErrInvalid)
				verdict = "refused"
			} else {
				defer lossless.Close()
			}
			kept, _, _ := strings.Cut(row[1], ",")
			assert.Equal(t, []string{kept, row[2], row[3]}, []string{fmt.Sprint(blocks[0].SlotCount),
				datablock.Delivery(participants[1].Delivery).String(), verdict})
		})
	}
}
