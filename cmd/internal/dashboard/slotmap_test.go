package dashboard

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

func TestTheSlotMapOfALargeBlockIsSmall(t *testing.T) {
	slots := make([]datablock.SlotDiagnosis, 1<<20)
	for i := range slots {
		slots[i].Index = uint32(i)
		if i < 1<<19 {
			slots[i].State = datablock.SlotCommitted
		}
	}
	reader := []datablock.Holder{{Row: 3, Name: "viewer", PID: 7, Alive: true}}
	for i := range 300 {
		slots[i*1000].Holders = reader
	}
	stuck := &slots[1<<20-1]
	stuck.Stuck, stuck.StuckFor, stuck.Holders = true, time.Second, []datablock.Holder{{Row: 2, Name: "dead"}}
	m := slotMap(slots, func(s datablock.SlotDiagnosis) string { return strings.Repeat("advice", int(s.Index&1)) })
	assert.Equal(t, 1<<20, m.Count)
	assert.Equal(t, 256, m.PerCell)
	require.Len(t, m.Cells, cellsMost)
	assert.Equal(t, byte('S'), m.Cells[cellsMost-1], "the most urgent slot of a cell counts")
	assert.Equal(t, byte('H'), m.Cells[0])
	assert.Equal(t, map[string]int{"F": 1<<19 - 1, "C": 1<<19 - 300, "H": 300, "S": 1}, m.States)
	require.Len(t, m.Held, heldMost)
	assert.EqualValues(t, 1<<20-1, m.Held[0].Slot, "the stuck ones come first")
	assert.True(t, m.Held[0].DeadReader)
	assert.Equal(t, "advice", m.Held[0].Advice)
	assert.Equal(t, 301-heldMost, m.More)
}

func TestTheSlotMapOfASmallBlockHasACellForEachSlot(t *testing.T) {
	slots := []datablock.SlotDiagnosis{
		{State: datablock.SlotFree}, {State: datablock.SlotCommitted}, {State: datablock.SlotWriting},
		{State: datablock.SlotDraining, Holders: []datablock.Holder{{Row: 1}}},
		{State: datablock.SlotCommitted, Holders: []datablock.Holder{{Row: 1}}},
		{State: datablock.SlotWriting, Stuck: true, AgeUnknown: true, Holders: []datablock.Holder{{Row: 0}}},
	}
	m := slotMap(slots, func(datablock.SlotDiagnosis) string { return "" })
	assert.Equal(t, "FCWDHS", m.Cells)
	assert.Len(t, m.Held, 3)
	assert.Nil(t, m.Held[0].StuckForMs)
	assert.True(t, m.Held[0].DeadWriter)
	assert.Equal(t, 0, slotMap(nil, nil).Count)
}
