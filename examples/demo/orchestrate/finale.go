package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
)

// finale ends the stream, and checks the balance of each consumer.
func (d *demo) finale() error {
	d.print("\nThe producer closes the block: the consumers read what is left and end.\n")
	producer := d.producer
	balances := []*balance{
		{process: d.checker, language: "Python", delivery: segment.Lossless},
		{process: d.slow, language: "C", delivery: segment.Ordered},
		{process: d.live, language: "Go", delivery: segment.Latest},
	}
	d.producer, d.checker, d.slow, d.live = nil, nil, nil, nil
	producer.signal(syscall.SIGTERM)
	ended := d.untilEnded(producer)
	for _, b := range balances {
		ended = errors.Join(ended, d.untilEnded(b.process))
	}

	look, err := recovery.Diagnose(d.block, "")
	if err != nil {
		return errors.Join(ended, err)
	}
	for _, b := range balances {
		if !b.scan("result: read %d first %d next %d skipped %d crc_failures %d", &b.read, &b.first, &b.next,
			&b.skipped, &b.damaged) {
			return errors.Join(ended, fmt.Errorf("%s did not tell its result", b.name))
		}
	}
	written := look.Block.NextID
	d.showBalance(written, balances)
	for _, b := range balances {
		if missed := b.missed(written); missed != 0 || b.damaged != 0 {
			ended = errors.Join(ended, fmt.Errorf("%s: %d messages missed, %d damaged", b.name, missed, b.damaged))
		}
	}
	if ended != nil {
		return ended
	}
	return d.healthy()
}

// balance is the result that a consumer prints at its end.
type balance struct {
	*process
	language string
	delivery segment.Delivery

	read        uint64
	first, next uint64 // the ids of its first message, and after its last one
	skipped     uint64 // messages that the library reported as missed
	damaged     uint64
}

// missed returns the number of messages that are neither read nor reported as missed. Any number
// but 0 is an error.
func (b *balance) missed(written uint64) int64 {
	end, told := written, b.skipped
	switch b.delivery {
	case segment.Lossless:
		told = 0 // the checker skips nothing
	case segment.Latest:
		end = b.next // the last messages do not count
	}
	return int64(end - b.first - b.read - told)
}

func (d *demo) showBalance(written uint64, balances []*balance) {
	row := func(what string, value func(*balance) any) {
		line := fmt.Sprintf("  %-40s", what)
		for _, b := range balances {
			line += fmt.Sprintf(" %10v", value(b))
		}
		d.print("%s", line)
	}
	d.print("")
	row("", func(b *balance) any { return b.name })
	row("", func(b *balance) any { return b.language })
	row("", func(b *balance) any { return b.delivery })
	row("messages written", func(*balance) any { return written })
	row("of these before it came", func(b *balance) any { return b.first })
	row("read", func(b *balance) any { return b.read })
	row("skipped, as it was told", func(b *balance) any { return b.skipped })
	row("missed", func(b *balance) any { return b.missed(written) })
	row("CRC failures", func(b *balance) any { return b.damaged })
	d.print("")
	d.print("  %-52s %10s", "killed with -9", "others on after")
	for _, k := range d.kills {
		d.print("  %-52s %7.1f ms", k.what, milliseconds(k.others))
	}
	d.print("")
}

func milliseconds(t time.Duration) float64 { return float64(t.Microseconds()) / 1e3 }
