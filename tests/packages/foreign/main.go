// Command foreign is exchange.c in Go: foreign produce|consume NAME COUNT [STOP [CONSUMERS]]. The
// tests build it in a module of its own, outside of this source tree.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"datablock"
)

const (
	own, writers = 4, 6
	part         = 100 * time.Millisecond
	parts        = 600
)

var version = datablock.Version{Major: 1}

// Message is the struct of exchange.c.
type Message struct {
	Number  uint64
	Half    float64
	Writer  uint32
	Inverse uint32
	Words   [16]uint64
}

func messageOf(number uint64, writer uint32) Message {
	m := Message{Number: number, Half: float64(number) / 2, Writer: writer, Inverse: ^writer}
	for i := range m.Words {
		m.Words[i] = number*1024 + uint64(i)*8 + uint64(writer)
	}
	return m
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("exchange.go: ")
	if len(os.Args) < 4 || len(os.Args) > 6 {
		log.Fatal("usage: foreign produce|consume NAME COUNT [STOP [CONSUMERS]]")
	}
	numbers := []uint64{0, 0, 1}
	for i, word := range os.Args[3:] {
		number, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			log.Fatal(err)
		}
		numbers[i] = number
	}
	if len(os.Args) == 4 {
		numbers[1] = numbers[0] // no stop
	}
	var err error
	if os.Args[1] == "produce" {
		err = produce(os.Args[2], numbers[0], numbers[1], uint32(numbers[2]))
	} else {
		err = consume(os.Args[2], numbers[0], numbers[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// stopped waits until the input is closed, and ends the program.
func stopped(number uint64) {
	fmt.Println("stopped at", number)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

func produce(name string, count, stop uint64, consumers uint32) error {
	config := datablock.DefaultConfig(datablock.Ring)
	config.SlotCount, config.MinConsumers = 64, consumers
	config.Flags |= datablock.UnlinkOnClose
	producer, err := datablock.OpenTypedProducer[Message](name, version, config)
	if err != nil {
		return err
	}
	next := producer.NextID()
	fmt.Println("open at", next)
	for waited := 0; next < count; waited++ {
		_, err := producer.Write(part, func(message *Message) error {
			whole := messageOf(next, own)
			if next == stop {
				message.Number, message.Half, message.Writer, message.Inverse = next, whole.Half, own, whole.Inverse
				copy(message.Words[:7], whole.Words[:])
				stopped(next)
			}
			*message = whole
			return nil
		})
		switch {
		case err == nil:
			next++
			waited = -1
		case !errors.Is(err, datablock.ErrTimeout) || waited == parts:
			return err
		case waited == 0:
			fmt.Println("waiting at", next)
		}
	}
	return producer.Close()
}

func consume(name string, count, stop uint64) error {
	consumer, err := datablock.OpenTypedConsumer[Message](name, version, datablock.ConsumerOptions{
		Delivery: datablock.Lossless, Start: datablock.StartOldest, Wait: 30 * time.Second,
		SchemaMode: datablock.SchemaExact,
	})
	if err != nil {
		return err
	}
	fmt.Println("open at", 0)
	var read uint64
	var from [writers + 1]uint64
	for waited := 0; waited < parts; waited++ {
		message, slot, err := consumer.Next(part)
		if errors.Is(err, datablock.ErrClosed) {
			fmt.Println("from", from[1], from[2], from[3], from[4], from[5], from[6])
			fmt.Printf("read %d of %d\n", read, count)
			if count != 0 && read != count {
				return errors.New("messages are missing")
			}
			return consumer.Close()
		}
		if errors.Is(err, datablock.ErrNoProducer) {
			fmt.Println("gone at", read)
			continue
		}
		if errors.Is(err, datablock.ErrTimeout) {
			continue
		}
		if err != nil {
			return err
		}
		waited = 0
		if slot.ID() != read || slot.Missed() != 0 || slot.Size() != 152 || message.Writer < 1 ||
			message.Writer > writers || *message != messageOf(read, message.Writer) {
			return fmt.Errorf("message %d has other contents", read)
		}
		from[message.Writer]++
		if read == stop {
			stopped(read)
		}
		read++
		if read%1000 == 0 {
			fmt.Println("at", read)
		}
		if err := consumer.Release(slot); err != nil {
			return err
		}
	}
	return errors.New("nothing to read for a minute")
}
