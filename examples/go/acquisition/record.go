package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"datablock"
)

// record appends every sample to the file. It releases a message after the message is in the file.
// A recorder that is killed in between gets the message again, and recognises its number.
func record(path string) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	next, err := resume(file)
	if err != nil {
		return err
	}
	consumer, err := attach()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "recording from sample %d on\n", next)
	err = errors.Join(drain(consumer, file, next), consumer.Close())
	if err != nil {
		return err
	}
	return remove()
}

// resume truncates the file after the last whole sample, and returns the number of the next one.
func resume(file *os.File) (uint64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	whole := info.Size() / sampleBytes * sampleBytes
	if err := file.Truncate(whole); err != nil {
		return 0, err
	}
	if _, err := file.Seek(whole, io.SeekStart); err != nil || whole == 0 {
		return 0, err
	}
	var last [sampleBytes]byte
	if _, err := file.ReadAt(last[:], whole-sampleBytes); err != nil {
		return 0, err
	}
	sample, err := datablock.As[Sample](last[:])
	if err != nil {
		return 0, err
	}
	return sample.Number + 1, nil
}

// attach waits for the instrument. The cursor belongs to the name, not to the process: a restarted
// recorder continues where the last one stopped.
func attach() (*datablock.Consumer, error) {
	expected, err := schema()
	if err != nil {
		return nil, err
	}
	options := datablock.ConsumerOptions{
		Delivery: datablock.Lossless, Start: datablock.StartOldest, Durable: true, Name: "recorder", Schema: expected,
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		consumer, err := datablock.OpenConsumer(block, options)
		if !errors.Is(err, datablock.ErrNotFound) || time.Now().After(deadline) {
			return consumer, err
		}
	}
}

func drain(consumer *datablock.Consumer, file *os.File, next uint64) error {
	batch := make([]datablock.ReadSlot, 512)
	for {
		n, err := consumer.NextBatch(patience, batch)
		switch {
		case errors.Is(err, datablock.ErrClosed):
			return file.Sync() // the stream has ended, and every sample is in the file
		case errors.Is(err, datablock.ErrTimeout), errors.Is(err, datablock.ErrNoProducer):
			fmt.Fprintln(os.Stderr, err) // a restarted instrument continues
			continue
		case err != nil:
			return err
		}
		if next, err = store(file, batch[:n], next); err != nil {
			return err // the cursor stays before this batch
		}
		// Writes of a killed process are kept. To survive a power failure, call file.Sync() here.
		if err := consumer.ReleaseBatch(batch[:n]); err != nil {
			return err
		}
	}
}

func store(file *os.File, batch []datablock.ReadSlot, next uint64) (uint64, error) {
	var records []byte
	for _, message := range batch {
		sample, err := datablock.As[Sample](message.Data())
		if err != nil {
			return next, err
		}
		if sample.Number > next {
			return next, fmt.Errorf("samples %d to %d are missing", next, sample.Number-1)
		}
		if sample.Number == next { // a sample with a lower number is in the file already
			records = append(records, message.Data()...)
			next++
		}
	}
	_, err := file.Write(records)
	return next, err
}

// remove removes the block. The instrument and other consumers may not have closed it yet.
func remove() error {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := datablock.Unlink(block, "", 0)
		inUse := errors.Is(err, datablock.ErrProducerActive) || errors.Is(err, datablock.ErrBusy)
		if !inUse || time.Now().After(deadline) {
			return err
		}
	}
}
