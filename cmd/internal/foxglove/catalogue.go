package foxglove

import (
	"maps"

	"datablock"
	"datablock/cmd/internal/ros2"
)

// channel is a block with one schema. It never changes: a block that gets another schema is another
// channel, because clients keep what they know about an id.
type channel struct {
	id      uint32
	name    string
	schema  [32]byte // the hash, zero without a schema
	message *ros2.Message
}

func hashOf(s *datablock.Schema) [32]byte {
	if s == nil {
		return [32]byte{}
	}
	return s.Hash()
}

// catalogue has the channels of all blocks.
type catalogue struct {
	byID   map[uint32]*channel
	lastID uint32
}

// update replaces the blocks, and reports whether anything changed.
func (c *catalogue) update(blocks []Block) bool {
	known := make(map[string]*channel, len(c.byID))
	for _, ch := range c.byID {
		known[ch.name] = ch
	}
	now := make(map[uint32]*channel, len(blocks))
	for _, b := range blocks {
		ch := known[b.Name]
		if ch == nil || ch.schema != hashOf(b.Schema) {
			c.lastID++
			ch = &channel{c.lastID, b.Name, hashOf(b.Schema), ros2.New(b.Schema)}
		}
		now[ch.id] = ch
	}
	if c.byID != nil && maps.Equal(now, c.byID) {
		return false
	}
	c.byID = now
	return true
}
