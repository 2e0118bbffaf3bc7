// Command worker-go is one side of an exchange through DataBlock, in Go. bench/measure.h describes
// the protocol with run.py.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"
)

func main() {
	runtime.LockOSThread()
	calibrate()
	roles := map[string]func(){"pong": pong, "produce": produce, "consume": consume}
	if len(os.Args) < 2 || roles[os.Args[1]] == nil {
		die("usage: %s ROLE key=value...", os.Args[0])
	}
	roles[os.Args[1]]()
}

func die(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		die("%v", err)
	}
}

// Arguments.

func text(key string) string {
	for _, argument := range os.Args[2:] {
		if value, ok := strings.CutPrefix(argument, key+"="); ok {
			return value
		}
	}
	die("the argument %s=... is missing", key)
	return ""
}

func whole(key string) int {
	n, err := strconv.Atoi(text(key))
	check(err)
	return n
}

func seconds(key string) float64 {
	s, err := strconv.ParseFloat(text(key), 64)
	check(err)
	return s
}

// rendezvous prints that everything is prepared, and waits for the start.
func rendezvous() {
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		os.Exit(1)
	}
}

// Time.

var tickNs float64

func calibrate() {
	begun, first := time.Now(), ticks()
	for time.Since(begun) < 5*time.Millisecond {
	}
	tickNs = float64(time.Since(begun)) / float64(ticks()-first)
}

func ticksIn(seconds float64) uint64 { return uint64(seconds * 1e9 / tickNs) }

// A window is the time of a measurement. The time before `from` is the warm-up.
type window struct{ from, until uint64 }

func windowFrom(now uint64) window {
	from := now + ticksIn(seconds("warm"))
	return window{from, from + ticksIn(seconds("seconds"))}
}

func answerRate(messages, duration uint64) {
	fmt.Printf("{\"messages\": %d, \"seconds\": %.9f}\n", messages, float64(duration)*tickNs*1e-9)
}

// Messages.

// terms describes how messages are sent and received.
type terms struct {
	size, batch    int
	timeout        time.Duration
	source, target []byte
}

func termsGiven() *terms {
	t := &terms{size: whole("size"), batch: 64}
	t.source, t.target = make([]byte, t.size), make([]byte, t.size)
	if t.size >= 4096 {
		t.batch = 1
	}
	if text("block") == "1" {
		t.timeout = segment.Forever
	}
	return t
}

func openProducer(name string) *channel.Producer {
	p, err := channel.OpenProducer(name, segment.Config{
		Policy: segment.Ring, Flags: segment.AllowLossless, SlotCount: uint32(whole("slots")),
		SlotSize:      uint64(whole("size")),
		ConsumerLimit: uint32(whole("limit")), Directory: os.Getenv("DATABLOCK_DIR"),
	})
	check(err)
	return p
}

// openConsumer attaches as soon as the block exists.
func openConsumer(name string) *channel.Consumer {
	deliveries := map[string]segment.Delivery{"lossless": segment.Lossless, "ordered": segment.Ordered,
		"latest": segment.Latest}
	options := segment.ConsumerOptions{Delivery: deliveries[text("delivery")], Directory: os.Getenv("DATABLOCK_DIR")}
	for tries := 0; ; tries++ {
		c, err := channel.OpenConsumer(name, options)
		if err == nil {
			return c
		}
		if status.CodeOf(err) != status.NotFound || tries == 10000 {
			check(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func (t *terms) send(p *channel.Producer) {
	slot, err := p.Claim(t.timeout)
	for err != nil {
		if status.CodeOf(err) != status.Timeout {
			check(err)
		}
		slot, err = p.Claim(t.timeout)
	}
	copy(slot.Data(), t.source)
	check(p.Commit(slot, t.size))
}

// receive reports false when the stream is over.
func (t *terms) receive(c *channel.Consumer) bool {
	slot, err := c.Next(t.timeout)
	for err != nil {
		switch status.CodeOf(err) {
		case status.Timeout, status.NoProducer:
		case status.Closed:
			return false
		default:
			check(err)
		}
		slot, err = c.Next(t.timeout)
	}
	copy(t.target, slot.Data())
	check(c.Release(slot))
	return true
}

// Roles.

func pong() {
	t := termsGiven()
	if whole("side") == 1 {
		out := openProducer("back")
		in := openConsumer("there")
		rendezvous()
		for t.receive(in) {
			t.send(out)
		}
		check(out.Close())
		return
	}
	out := openProducer("there")
	in := openConsumer("back")
	samples := make([]uint32, int(seconds("seconds")*25e6)+1000)
	clear(samples) // touched now, so that no page fault is measured
	count := 0
	rendezvous()
	last := ticks()
	for w := windowFrom(last); last < w.until; {
		t.send(out)
		t.receive(in)
		now := ticks()
		if last >= w.from && count < len(samples) {
			samples[count] = uint32(min(now-last, 1<<32-1))
			count++
		}
		last = now
	}
	check(out.Close())
	file, err := os.Create(text("samples"))
	check(err)
	check(binary.Write(file, binary.LittleEndian, samples[:count]))
	check(file.Close())
	fmt.Printf("{\"unit_ns\": %.9f}\n", tickNs/2)
}

func produce() {
	t := termsGiven()
	p := openProducer("stream")
	rendezvous()
	begun, messages := ticks(), 0
	for w := windowFrom(begun); ticks() < w.until; messages += t.batch {
		for range t.batch {
			t.send(p)
		}
	}
	check(p.Close())
	answerRate(uint64(messages), ticks()-begun)
}

// consume measures the rate between the first and the last clock read after the warm-up.
func consume() {
	t := termsGiven()
	c := openConsumer("stream")
	var messages, firstMessages, lastMessages, from, first, last uint64
	rendezvous()
	for t.receive(c) {
		if messages++; messages%uint64(t.batch) != 0 {
			continue
		}
		now := ticks()
		switch {
		case from == 0:
			from = now + ticksIn(seconds("warm"))
		case first == 0 && now >= from:
			first, last, firstMessages, lastMessages = now, now, messages, messages
		case first != 0:
			last, lastMessages = now, messages
		}
	}
	answerRate(lastMessages-firstMessages, last-first)
}
