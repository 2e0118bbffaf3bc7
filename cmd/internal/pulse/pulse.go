// Package pulse is the producer and the consumers of tests: processes that write and read blocks at
// a steady pace. A test program becomes one of them when it is started with the environment of
// [Command].
package pulse

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"time"

	"datablock"
)

// Plan says what one process does. It ends when its standard input does.
type Plan struct {
	Directory string
	Produce   []string      // blocks to make
	Consume   string        // block to read
	Every     time.Duration // between two messages
	Slots     uint32        // of each block; default 16
	Schema    bool          // messages are Readings
	Flags     uint32        // of the blocks, beside those by default
	Delivery  datablock.Delivery
	Name      string // of the consumer
	Durable   bool
	Count     int // messages; 0: no limit
}

// Reading is the message of a block with a schema.
type Reading struct {
	Count    uint64
	Position [3]float64
	Pose     struct{ X, Y, Angle float32 }
	Label    [8]byte `datablock:"label,char"`
}

const environment = "DATABLOCK_TEST_PULSE"

// Main is called by TestMain: it does what the environment says, and ends the process then.
func Main() {
	text := os.Getenv(environment)
	if text == "" {
		return
	}
	var plan Plan
	err := json.Unmarshal([]byte(text), &plan)
	if err == nil {
		err = plan.run()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Command is the command that starts program, this test program, with a plan. The process prints
// "ready" when its blocks exist and its consumer is attached.
func Command(program string, plan Plan) *exec.Cmd {
	text, err := json.Marshal(plan)
	if err != nil {
		panic(err) // a Plan has only plain values
	}
	c := exec.Command(program)
	c.Env = append(os.Environ(), environment+"="+string(text))
	return c
}

func (p *Plan) run() error {
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	if p.Consume != "" {
		return p.consume(ended)
	}
	return p.produce(ended)
}

func (p *Plan) produce(ended <-chan struct{}) error {
	config := datablock.DefaultConfig(datablock.Ring)
	config.Directory, config.SlotSize, config.SlotCount = p.Directory, 64, max(p.Slots, 4)
	if p.Slots == 0 {
		config.SlotCount = 16
	}
	config.Flags |= p.Flags
	if p.Schema {
		s, err := datablock.SchemaOf[Reading](datablock.Version{Major: 1})
		if err != nil {
			return err
		}
		config.Schema = s
	}
	var producers []*datablock.Producer
	for _, name := range p.Produce {
		producer, err := datablock.OpenProducer(name, config)
		if err != nil {
			return err
		}
		producers = append(producers, producer)
	}
	fmt.Println("ready")
	return p.pace(ended, func(n int) error {
		for _, producer := range producers {
			if err := p.write(producer, n); err != nil && !errors.Is(err, datablock.ErrTimeout) {
				return err
			}
		}
		return nil
	})
}

func (p *Plan) write(producer *datablock.Producer, n int) error {
	slot, err := producer.Claim(100 * time.Millisecond)
	if err != nil {
		return err
	}
	length := 8
	if p.Schema {
		r, err := datablock.As[Reading](slot.Data())
		if err != nil {
			return err
		}
		*r = Reading{Count: uint64(n)}
		r.Position = [3]float64{float64(n), math.Sin(float64(n) / 10), -1.5}
		r.Pose.X = float32(n % 10)
		copy(r.Label[:], "pulse")
		length = len(slot.Data())
	}
	return producer.Commit(slot, min(length, 64))
}

func (p *Plan) consume(ended <-chan struct{}) error {
	c, err := datablock.OpenConsumer(p.Consume, datablock.ConsumerOptions{Directory: p.Directory, Name: p.Name,
		Delivery: p.Delivery, Durable: p.Durable, Start: datablock.StartOldest, Wait: 10 * time.Second})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return p.pace(ended, func(int) error {
		slot, err := c.Next(10 * time.Millisecond)
		if err != nil {
			return nil // there is none now
		}
		return c.Release(slot)
	})
}

// pace calls a function every so often until the input ends. After the last message it waits.
func (p *Plan) pace(ended <-chan struct{}, do func(n int) error) error {
	ticker := time.NewTicker(max(p.Every, time.Microsecond))
	defer ticker.Stop()
	for n := 0; ; n++ {
		if p.Every <= 0 && n > 0 || p.Count > 0 && n >= p.Count {
			<-ended
			return nil
		}
		if err := do(n); err != nil {
			return err
		}
		select {
		case <-ended:
			return nil
		case <-ticker.C:
		}
	}
}
