package dashboard

import (
	"datablock"
)

const (
	cellsMost = 4096 // of the slot map; a larger block has several slots in a cell
	heldMost  = 256  // slots that are listed
)

// slotsJSON is the slot map. A cell is F free, C committed, W being written, D draining, H held by
// a consumer, or S stuck. Of several slots in a cell the most urgent one counts.
type slotsJSON struct {
	Count   int            `json:"count"`
	PerCell int            `json:"per_cell"`
	Cells   string         `json:"cells"`
	States  map[string]int `json:"states"` // how many slots, by the letter
	Held    []heldJSON     `json:"held"`   // at most 256, the stuck ones first
	More    int            `json:"more"`   // held slots that are not listed
}

type heldJSON struct {
	Slot       uint32   `json:"slot"`
	State      string   `json:"state"`
	MessageID  uint64   `json:"message_id"`
	Stuck      bool     `json:"stuck"`
	StuckForMs *float64 `json:"stuck_for_ms"` // null: not known
	HeldBy     string   `json:"held_by"`
	DeadWriter bool     `json:"dead_writer"`
	DeadReader bool     `json:"dead_reader"` // one that releasing helps: not a durable one
	Advice     string   `json:"advice"`
}

// urgency orders the letters, the least urgent one first.
const urgency = "FCDHWS"

func letterOf(s *datablock.SlotDiagnosis) byte {
	readers := false
	for _, h := range s.Holders {
		readers = readers || h.Row != 0
	}
	switch {
	case s.Stuck:
		return 'S'
	case s.State == datablock.SlotWriting:
		return 'W'
	case s.State == datablock.SlotDraining:
		return 'D'
	case readers:
		return 'H'
	case s.State == datablock.SlotCommitted:
		return 'C'
	}
	return 'F'
}

func (n *snapshot) slots(name string) (*slotsJSON, error) {
	d, err := datablock.Diagnose(name, n.directory)
	if err != nil {
		return nil, err
	}
	return slotMap(d.Slots, func(s datablock.SlotDiagnosis) string {
		if n.advise == nil {
			return ""
		}
		return n.advise(s, n.reference(name))
	}), nil
}

func slotMap(slots []datablock.SlotDiagnosis, advise func(datablock.SlotDiagnosis) string) *slotsJSON {
	m := &slotsJSON{Count: len(slots), PerCell: max(1, (len(slots)+cellsMost-1)/cellsMost), States: map[string]int{},
		Held: []heldJSON{}}
	ranks := [256]int{}
	for rank := range urgency {
		ranks[urgency[rank]] = rank
	}
	var counts [len(urgency)]int
	cells := make([]byte, 0, len(slots)/m.PerCell+1)
	var held [2][]heldJSON // the stuck ones, the others
	for i := range slots {
		s := &slots[i]
		letter := letterOf(s)
		counts[ranks[letter]]++
		if i%m.PerCell == 0 {
			cells = append(cells, letter)
		} else if last := &cells[len(cells)-1]; ranks[letter] > ranks[*last] {
			*last = letter
		}
		if !s.Stuck && len(s.Holders) == 0 {
			continue
		}
		list := &held[1]
		if s.Stuck {
			list = &held[0]
		}
		if len(*list) < heldMost {
			*list = append(*list, heldOf(s, advise))
		} else {
			m.More++
		}
	}
	for rank := range urgency {
		if counts[rank] > 0 {
			m.States[urgency[rank:rank+1]] = counts[rank]
		}
	}
	m.Cells, m.Held = string(cells), append(m.Held, append(held[0], held[1]...)...)
	if extra := len(m.Held) - heldMost; extra > 0 {
		m.Held, m.More = m.Held[:heldMost], m.More+extra
	}
	return m
}

func heldOf(s *datablock.SlotDiagnosis, advise func(datablock.SlotDiagnosis) string) heldJSON {
	h := heldJSON{Slot: s.Index, State: s.State.String(), MessageID: s.MessageID, Stuck: s.Stuck, HeldBy: s.HeldBy(),
		Advice: advise(*s)}
	if !s.AgeUnknown || s.StuckFor != 0 {
		since := milliseconds(s.StuckFor)
		h.StuckForMs = &since
	}
	for _, holder := range s.Holders {
		h.DeadWriter = h.DeadWriter || holder.Row == 0 && !holder.Alive && s.State == datablock.SlotWriting
		h.DeadReader = h.DeadReader || holder.Row != 0 && !holder.Alive && !holder.Durable
	}
	return h
}
