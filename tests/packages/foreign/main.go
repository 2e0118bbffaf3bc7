// Command foreign is exchange.c in Go: foreign produce|consume NAME COUNT. The tests build it in a
// module of its own, outside of this source tree.
package main

import (
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"os"
	"strconv"
	"time"

	"datablock"
)

const size = 16 // a number and a float64

func main() {
	log.SetFlags(0)
	log.SetPrefix("exchange.go: ")
	if len(os.Args) != 4 {
		log.Fatal("usage: foreign produce|consume NAME COUNT")
	}
	count, err := strconv.ParseUint(os.Args[3], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	run := consume
	if os.Args[1] == "produce" {
		run = produce
	}
	if err := run(os.Args[2], count); err != nil {
		log.Fatal(err)
	}
}

func produce(name string, count uint64) error {
	config := datablock.DefaultConfig(datablock.Ring)
	config.SlotSize, config.SlotCount, config.MinConsumers = size, 64, 1
	config.Flags |= datablock.UnlinkOnClose
	producer, err := datablock.OpenProducer(name, config)
	if err != nil {
		return err
	}
	for i := range count {
		slot, err := producer.Claim(30 * time.Second)
		if err != nil {
			return err
		}
		binary.NativeEndian.PutUint64(slot.Data(), i)
		binary.NativeEndian.PutUint64(slot.Data()[8:], math.Float64bits(float64(i)/2))
		if err := producer.Commit(slot, size); err != nil {
			return err
		}
	}
	return producer.Close()
}

func consume(name string, count uint64) error {
	options := datablock.ConsumerOptions{
		Delivery: datablock.Lossless, Start: datablock.StartOldest, Wait: 30 * time.Second,
	}
	consumer, err := datablock.OpenConsumer(name, options)
	if err != nil {
		return err
	}
	read := uint64(0)
	for message, err := range consumer.Messages(datablock.Forever) {
		if err != nil {
			return err
		}
		data := message.Data()
		if len(data) != size || binary.NativeEndian.Uint64(data) != read ||
			math.Float64frombits(binary.NativeEndian.Uint64(data[8:])) != float64(read)/2 {
			return fmt.Errorf("message %d has other contents", read)
		}
		read++
	}
	fmt.Printf("read %d of %d\n", read, count)
	if read != count {
		return fmt.Errorf("messages are missing")
	}
	return consumer.Close()
}
