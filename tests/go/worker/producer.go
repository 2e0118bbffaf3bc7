package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"
)

type producer struct {
	*channel.Producer
	timeout time.Duration
	poll    bool
	echo    bool
	rate    uint64 // messages a second, 0: as fast as possible
	salt    uint64
	claim   channel.WriteSlot
}

var flagNames = map[string]uint32{
	"lossless": segment.AllowLossless, "replace": segment.Replace, "force": segment.Force,
	"unlink":    segment.UnlinkOnClose,
	"timestamp": segment.Timestamp, "reclaim": segment.Reclaim,
}

func producerOpener(name string, o options) func() (participant, error) {
	policies := map[string]segment.Policy{"": segment.Ring, "ring": segment.Ring, "single": segment.Single,
		"double": segment.DoubleBuffer}
	policy, known := policies[o.text("policy")]
	if !known {
		usage("--policy=%s is unknown", o.text("policy"))
	}
	c := segment.DefaultConfig(policy)
	c.Checksum = segment.ChecksumPolicy(o.number("checksum", 0))
	c.Algorithm = segment.ChecksumAlgorithm(o.number("algorithm", 0))
	c.SlotCount, c.SlotSize, c.SpareSlots = uint32(o.number("slots", 0)), o.number("slot-size", 256),
		uint32(o.number("spare", 0))
	c.ConsumerLimit, c.MinConsumers, c.Mode = uint32(o.number("limit", 0)), uint32(o.number("min-consumers", 0)),
		uint32(o.number("mode", 0))
	c.Directory, c.Secret, c.Schema = o.text("dir"), []byte(o.text("secret")), o.schema("schema")
	c.ZoneSchema, c.Registered, c.Registry = o.schema("zone-schema"), o.text("registered"), o.text("registry")
	for _, f := range strings.FieldsFunc(o.text("flags"), func(r rune) bool { return r == ',' }) {
		if flagNames[f] == 0 {
			usage("--flags=%s is unknown", f)
		}
		c.Flags |= flagNames[f]
	}
	p := producer{timeout: o.timeout(), poll: o.given("poll"), echo: o.given("echo"), rate: o.number("rate", 0),
		salt: o.number("salt", 0)}
	return func() (participant, error) {
		var err error
		p.Producer, err = channel.OpenProducer(name, c)
		return &p, err
	}
}

func (p *producer) patience() time.Duration { return p.timeout }

func (p *producer) close() error { return p.Close() }

func (p *producer) command(word string, n uint64) bool {
	switch word {
	case "write":
		p.write(n)
	case "claim":
		if err := p.begin(); err != nil {
			sayError(err)
			return true
		}
		clear(p.claim.Data()[:len(p.claim.Data())/2]) // a kill from here on leaves a half-written message
		say("claimed %d", p.claim.ID())
	case "commit":
		if err := p.finish(); err != nil {
			sayError(err)
			return true
		}
		say("committed %d", p.claim.ID())
	case "abort":
		if err := p.Abort(p.claim); err != nil {
			sayError(err)
			return true
		}
		say("aborted %d", p.claim.ID())
	default:
		return false
	}
	return true
}

// afterFailedPoll pauses after failed poll number n in a row. runtime.Gosched would not leave the
// processor to another process, and the time slices of the two would alternate.
func afterFailedPoll(n int) {
	if n%200 == 0 {
		time.Sleep(50 * time.Microsecond)
	}
}

// begin claims a slot. A polling producer repeats the call until there is free capacity.
func (p *producer) begin() (err error) {
	for failed := 1; ; failed++ {
		timeout := p.timeout
		if p.poll {
			timeout = 0
		}
		p.claim, err = p.Claim(timeout)
		if !p.poll || !errors.Is(err, status.Timeout) {
			return err
		}
		afterFailedPoll(failed)
	}
}

func (p *producer) finish() error {
	s := p.claim
	length := payloadLength(s.ID(), uint64(len(s.Data())))
	fill(s.Data()[:length], s.ID(), p.salt)
	return p.Commit(s, int(length))
}

// write publishes n messages and prints their ids.
func (p *producer) write(n uint64) {
	first, last, count := "-", "-", uint64(0)
	err := error(nil)
	start := time.Now()
	for ; count < n; count++ {
		if err = p.begin(); err != nil {
			break
		}
		if err = p.finish(); err != nil {
			break
		}
		if p.echo {
			say("committed %d %d", p.claim.ID(), p.salt)
		}
		last = fmt.Sprint(p.claim.ID())
		if count == 0 {
			first = last
		}
		if p.rate > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(count+1) * time.Second / time.Duration(p.rate))))
		}
	}
	say("wrote=%d first=%s last=%s end=%s", count, first, last, statusName(err))
}
