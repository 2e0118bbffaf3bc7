package channel

import "datablock/schema"

// Schema returns the schema of the block's messages. nil: the producer specified none. Errors:
// Closed, Corrupt.
func (c *Consumer) Schema() (*schema.Schema, error) {
	if c.Data == nil {
		return nil, c.closedError()
	}
	return c.Segment.ParseSchema(&c.MessageSchemaText)
}

// ZoneSchema returns the schema of the flexible zone. Otherwise as Schema.
func (c *Consumer) ZoneSchema() (*schema.Schema, error) {
	if c.Data == nil {
		return nil, c.closedError()
	}
	return c.Segment.ParseSchema(&c.ZoneSchemaText)
}
