package datablock_test

import (
	"fmt"
	"log"
	"os"
	"time"

	"datablock"
)

func Example() {
	dir, err := os.MkdirTemp("", "datablock-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	config := datablock.DefaultConfig(datablock.Ring)
	config.SlotSize, config.Directory = 64, dir
	producer, err := datablock.OpenProducer("greetings", config)
	if err != nil {
		log.Fatal(err)
	}
	consumer, err := datablock.OpenConsumer("greetings", datablock.ConsumerOptions{Directory: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()

	id, err := datablock.WithWriteTransaction(producer, time.Second,
		func(s *datablock.WriteTransactionSlot) (uint64, error) {
			return s.ID(), s.Commit(copy(s.Data(), "hello"))
		})
	fmt.Println("wrote", id, err)
	_, err = datablock.WithWriteTransaction(producer, time.Second,
		func(s *datablock.WriteTransactionSlot) (uint64, error) {
			return 0, fmt.Errorf("the sensor is off: message %d is not written", s.ID())
		})
	fmt.Println(err)
	if err := producer.Close(); err != nil {
		log.Fatal(err)
	}

	for message, err := range consumer.Messages(datablock.Forever) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("message %d: %s\n", message.ID(), message.Data())
	}
	// Output:
	// wrote 0 <nil>
	// the sensor is off: message 1 is not written
	// message 0: hello
}

func ExampleWriteTransactionGuard() {
	type sample struct{ Value, Time float64 }

	send := func(producer *datablock.Producer, value float64) (err error) {
		guard, err := producer.BeginWrite(time.Second)
		if err != nil {
			return err
		}
		defer guard.End(&err) // publishes, unless this function returns an error or panics

		s, err := datablock.As[sample](guard.Slot().Data())
		if err != nil {
			return err
		}
		s.Value, s.Time = value, float64(time.Now().UnixMilli())
		return guard.Slot().Commit(16)
	}

	dir, err := os.MkdirTemp("", "datablock-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	producer, err := datablock.OpenProducer("samples", datablock.Config{SlotSize: 16, Directory: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close()
	fmt.Println(send(producer, 1.5))
	// Output: <nil>
}
