package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"datablock"
)

func acquire(count uint64, rate float64) (err error) {
	config := datablock.DefaultConfig(datablock.Ring)
	config.SlotCount = 4096 // the time that the recorder may be away before the instrument has to wait
	config.MinConsumers = 1 // nothing is overwritten before the first recorder has attached
	if config.Schema, err = schema(); err != nil {
		return err
	}
	producer, err := datablock.OpenProducer(block, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close()) }() // the end of the stream

	for started, taken := time.Now(), 0; ; taken++ {
		due := started.Add(time.Duration(float64(taken) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > time.Millisecond {
			time.Sleep(wait)
		}
		slot, err := producer.Claim(patience)
		if errors.Is(err, datablock.ErrTimeout) {
			fmt.Fprintln(os.Stderr, err) // names the consumer that does not read
			continue
		}
		if err != nil {
			return err
		}
		if slot.ID() >= count {
			return producer.Abort(slot)
		}
		// Ids continue where a killed producer stopped.
		if err := write(producer, slot); err != nil {
			return err
		}
	}
}

func write(producer *datablock.Producer, slot datablock.WriteSlot) error {
	sample, err := datablock.As[Sample](slot.Data())
	if err != nil {
		return errors.Join(err, producer.Abort(slot))
	}
	*sample = measure(slot.ID())
	return producer.Commit(slot, sampleBytes)
}
