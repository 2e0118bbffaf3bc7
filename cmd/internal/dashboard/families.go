package dashboard

import (
	"datablock/cmd/internal/monitor"

	"datablock"
)

// blockFamilies are the metrics of a block.
func blockFamilies() []family[*monitor.Block] {
	type block = *monitor.Block
	type figures = *datablock.Metrics
	return []family[block]{
		{name: "datablock_block_readable", help: "1: the block can be read. 0: it is damaged, or not this user's.",
			kind: gauge, value: fixed(func(b block) float64 { return truth(b.Problem == nil) })},
		{name: "datablock_producer_alive", help: "1: a living producer is attached.", kind: gauge,
			value: fixed(func(b block) float64 { return truth(b.Info.ProducerPID != 0) })},
		{name: "datablock_consumers", help: "Living consumers.", kind: gauge,
			value: fixed(func(b block) float64 { return float64(b.Info.Consumers) })},
		{name: "datablock_dead_consumers", help: "Dead consumers whose row is still there, durable ones included.",
			kind: gauge, value: fixed(func(b block) float64 { return float64(len(deadConsumers(b))) })},
		{name: "datablock_consumers_limit", help: "Consumers that may be attached at once.", kind: gauge,
			value: fixed(func(b block) float64 { return float64(b.Info.ConsumerLimit) })},
		{name: "datablock_slots", help: "Messages that the block keeps.", kind: gauge,
			value: fixed(func(b block) float64 { return float64(b.Info.SlotCount) })},
		{name: "datablock_slot_size_bytes", help: "The largest size of a message.", kind: gauge,
			value: fixed(func(b block) float64 { return float64(b.Info.SlotSize) })},
		{name: "datablock_memory_bytes", help: "Memory of both files.", kind: gauge,
			value: fixed(func(b block) float64 { return float64(b.Info.TotalBytes) })},
		{name: "datablock_fill_ratio", help: "The part of the ring that the slowest LOSSLESS consumer has yet to " +
			"read, 0 to 1.", kind: gauge, value: fixed(func(b block) float64 { return b.Fill })},
		{name: "datablock_worst_lag_messages", help: "The largest lag of the LOSSLESS and ORDERED consumers.",
			kind: gauge, value: fixed(func(b block) float64 { return float64(b.WorstLag) })},
		{name: "datablock_messages_written_total", help: "Messages that producers committed.", kind: counter,
			value: figure(func(m figures) float64 { return float64(m.Written) })},
		{name: "datablock_written_bytes_total", help: "Payload that producers committed.", kind: counter,
			value: figure(func(m figures) float64 { return float64(m.Bytes) })},
		{name: "datablock_claims_aborted_total", help: "Claims that producers gave back.", kind: counter,
			value: figure(func(m figures) float64 { return float64(m.Aborted) })},
		{name: "datablock_claims_fenced_total", help: "Claims that a forced recovery took.", kind: counter,
			value: figure(func(m figures) float64 { return float64(m.Fenced) })},
		{name: "datablock_producer_waits_total", help: "Claims that had to wait for a consumer.", kind: counter,
			value: figure(func(m figures) float64 { return float64(m.Waits) })},
		{name: "datablock_producer_wait_seconds_total", help: "Time that claims waited.", kind: counter,
			value: figure(func(m figures) float64 { return m.Waited.Seconds() })},
		{name: "datablock_producer_timeouts_total", help: "Claims that waited in vain.", kind: counter,
			value: figure(func(m figures) float64 { return float64(m.Timeouts) })},
		{name: "datablock_producer_idle_seconds", help: "Time since the producer's last call.", kind: gauge,
			value: figure(func(m figures) float64 { return m.Idle.Seconds() })},
		{name: "datablock_block_age_seconds", help: "Time since the block was made.", kind: gauge,
			value: figure(func(m figures) float64 { return m.Age.Seconds() })},
		{name: "datablock_dead_rows_cleaned_total", help: "Rows of dead consumers that were removed.", kind: counter,
			value: figure(func(m figures) float64 { return float64(m.Cleaned) })},
		{name: "datablock_recoveries_total", help: "Records that the recovery log ever had.", kind: counter,
			value: figure(func(m figures) float64 { return float64(m.Recoveries) })},
		{name: "datablock_schema_mismatches_total", help: "Opens that were refused because of the schema.",
			kind: counter, value: figure(func(m figures) float64 { return float64(m.SchemaMismatches) })},
	}
}

// consumerFamilies are the metrics of a consumer.
func consumerFamilies() []family[*monitor.Consumer] {
	type consumer = *monitor.Consumer
	return []family[consumer]{
		{name: "datablock_consumer_alive", help: "1: the consumer's process lives. 0: it is dead, and its row is " +
			"still there.", kind: gauge, value: fixed(func(c consumer) float64 { return truth(c.Alive) })},
		{name: "datablock_consumer_lag_messages", help: "Messages that the consumer has yet to read.", kind: gauge,
			value: fixed(func(c consumer) float64 { return float64(c.Behind) })},
		{name: "datablock_consumer_lag_seconds", help: "Age of the oldest message that the consumer has yet to read. " +
			"It is at least this if the message is older than the readings.", kind: gauge,
			value: fixed(func(c consumer) float64 { return c.LagTime.Seconds() })},
		{name: "datablock_consumer_backpressure_seconds_total", help: "Time for which the consumer kept the producer " +
			"waiting, while the server looked.", kind: counter,
			value: fixed(func(c consumer) float64 { return c.HeldUp.Seconds() })},
		{name: "datablock_consumer_silent_seconds", help: "Time since the consumer's last call.", kind: gauge,
			value: func(c consumer) (float64, bool) { return c.Silent.Seconds(), !c.AgeUnknown }},
		{name: "datablock_consumer_held_slots", help: "Slots that the consumer holds.", kind: gauge,
			value: fixed(func(c consumer) float64 { return float64(len(c.Pins)) })},
		{name: "datablock_consumer_messages_read_total", help: "Messages that the consumer read.", kind: counter,
			value: fixed(func(c consumer) float64 { return float64(c.Read) })},
		{name: "datablock_consumer_read_bytes_total", help: "Payload that the consumer read.", kind: counter,
			value: fixed(func(c consumer) float64 { return float64(c.Bytes) })},
		{name: "datablock_consumer_messages_missed_total", help: "Messages that were overwritten before the consumer " +
			"read them.", kind: counter, value: fixed(func(c consumer) float64 { return float64(c.Missed) })},
		{name: "datablock_consumer_messages_lost_total", help: "Messages that an operator discarded.", kind: counter,
			value: fixed(func(c consumer) float64 { return float64(c.Lost) })},
		{name: "datablock_consumer_overruns_total", help: "Messages that were overwritten while the consumer read " +
			"them.", kind: counter, value: fixed(func(c consumer) float64 { return float64(c.Overruns) })},
		{name: "datablock_consumer_checksum_failures_total", help: "Messages that were not what was written.",
			kind: counter, value: fixed(func(c consumer) float64 { return float64(c.ChecksumFailures) })},
		{name: "datablock_consumer_waits_total", help: "Reads that had to wait.", kind: counter,
			value: fixed(func(c consumer) float64 { return float64(c.Waits) })},
		{name: "datablock_consumer_wait_seconds_total", help: "Time that reads waited.", kind: counter,
			value: fixed(func(c consumer) float64 { return c.Waited.Seconds() })},
		{name: "datablock_consumer_timeouts_total", help: "Reads that waited in vain.", kind: counter,
			value: fixed(func(c consumer) float64 { return float64(c.Timeouts) })},
	}
}
