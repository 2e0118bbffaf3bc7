package main

import (
	"errors"
	"fmt"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/schema"
)

type consumer struct {
	*channel.Consumer
	timeout  time.Duration
	poll     bool
	any      bool // wait with WaitAny
	echo     bool
	capacity uint64 // capacity of the block's slots, 0: lengths are not checked
	held     []channel.ReadSlot
}

func consumerOpener(name string, o options) func() (participant, error) {
	deliveries := map[string]segment.Delivery{"": segment.DeliveryDefault, "lossless": segment.Lossless,
		"ordered": segment.Ordered,
		"latest":  segment.Latest}
	starts := map[string]segment.Start{"": segment.StartLatest, "latest": segment.StartLatest,
		"oldest": segment.StartOldest}
	delivery, known := deliveries[o.text("delivery")]
	start, knownToo := starts[o.text("start")]
	if !known || !knownToo {
		usage("--delivery=%s --start=%s: unknown", o.text("delivery"), o.text("start"))
	}
	options := segment.ConsumerOptions{
		Delivery: delivery, Start: start, MaxPins: uint32(o.number("pins", 0)), Durable: o.given("durable"),
		Name:      o.text("name"),
		Directory: o.text("dir"), Secret: []byte(o.text("secret")), Schema: o.schema("schema"),
		ZoneSchema: o.schema("zone-schema"), Registered: o.text("registered"), Registry: o.text("registry"),
	}
	if o.given("exact") {
		options.SchemaMode = schema.Exact
	}
	c := consumer{timeout: o.timeout(), poll: o.given("poll"), any: o.given("any"), echo: o.given("echo"),
		capacity: o.number("slot-size", 0)}
	return func() (participant, error) {
		var err error
		c.Consumer, err = channel.OpenConsumer(name, options)
		return &c, err
	}
}

func (c *consumer) patience() time.Duration { return c.timeout }

func (c *consumer) close() error { return c.Close() }

func (c *consumer) command(word string, n uint64) bool {
	switch word {
	case "read":
		c.read(n)
	case "hold":
		c.hold(c.next())
	case "hold-at":
		c.hold(c.ReadAt(n))
	case "check", "smash", "release":
		if len(c.held) == 0 {
			say("error INVALID nothing is held")
			return true
		}
		c.withHeld(word, c.held[0])
	default:
		return false
	}
	return true
}

func (c *consumer) hold(s channel.ReadSlot, err error) {
	if err != nil {
		sayError(err)
		return
	}
	c.held = append(c.held, s)
	say("holding %d", s.ID())
}

func (c *consumer) withHeld(word string, s channel.ReadSlot) {
	switch word {
	case "check":
		salt, good := c.verified(s)
		say("checked %d %d %v", s.ID(), salt, good)
	case "smash":
		s.Data()[:1][0] ^= 0xff
		say("smashed %d", s.ID())
	case "release":
		c.held = c.held[1:]
		if err := c.Release(s); err != nil {
			sayError(err)
			return
		}
		say("released %d", s.ID())
	}
}

// next reads a message. A polling consumer repeats the call until there is one.
func (c *consumer) next() (channel.ReadSlot, error) {
	for failed := 1; ; failed++ {
		timeout := c.timeout
		if c.any {
			if err := channel.WaitAny(timeout, []*channel.Consumer{c.Consumer}, make([]bool, 1)); err != nil {
				return channel.ReadSlot{}, err
			}
		}
		if c.poll || c.any {
			timeout = 0
		}
		s, err := c.Next(timeout)
		if !(c.poll || c.any) || !errors.Is(err, status.Timeout) && !errors.Is(err, status.NoProducer) {
			return s, err
		}
		afterFailedPoll(failed)
	}
}

func (c *consumer) verified(s channel.ReadSlot) (salt uint64, good bool) {
	salt, good = verify(s.Data(), s.ID())
	return salt, good && (c.capacity == 0 || uint64(len(s.Data())) == payloadLength(s.ID(), c.capacity))
}

// read reads n messages, or all messages of the stream if n is 0, and prints the result. A message
// is bad if a byte is wrong, or if the id does not follow from the number of missed messages.
func (c *consumer) read(n uint64) {
	var count, missed, bad, sum, last uint64
	first, err := "-", error(nil)
	for n == 0 || count < n {
		var s channel.ReadSlot
		if s, err = c.next(); err != nil {
			break
		}
		salt, good := c.verified(s)
		if !good || count > 0 && s.ID() != last+1+s.Missed() {
			bad++
		}
		if c.echo {
			say("message %d %d %d %v", s.ID(), salt, s.Missed(), good)
		}
		if count == 0 {
			first = fmt.Sprint(s.ID())
		}
		count++
		missed += s.Missed()
		last = s.ID()
		sum += mix(s.ID() ^ mix(salt))
		if err = c.Release(s); err != nil {
			break
		}
	}
	end := "-"
	if count > 0 {
		end = fmt.Sprint(last)
	}
	say("read=%d missed=%d first=%s last=%s bad=%d sum=%x end=%s", count, missed, first, end, bad, sum, statusName(err))
}
