package datablock_test

import (
	"testing"

	"datablock"
)

func BenchmarkMessage(b *testing.B) {
	config := datablock.DefaultConfig(datablock.Ring)
	config.SlotCount, config.SlotSize, config.Directory = 1024, slotSize, directory(b)
	p, err := datablock.OpenProducer("x", config)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	c, err := datablock.OpenConsumer("x", datablock.ConsumerOptions{Directory: config.Directory})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for _, way := range []struct {
		name        string
		write, read func() error
	}{
		{"plain", func() error {
			s, err := p.Claim(0)
			if err != nil {
				return err
			}
			return p.Commit(s, 8)
		}, func() error {
			s, err := c.Next(0)
			if err != nil {
				return err
			}
			return c.Release(s)
		}},
		{"transaction", func() error {
			_, err := datablock.WithWriteTransaction(p, 0, func(s *writeSlot) (int, error) { return 0, s.Commit(8) })
			return err
		}, func() error {
			_, _, err := datablock.WithNextSlot(c, 0, length)
			return err
		}},
		{"guard", func() (err error) {
			guard, err := p.BeginWrite(0)
			if err != nil {
				return err
			}
			defer guard.End(&err)
			return guard.Slot().Commit(8)
		}, func() (err error) {
			guard, err := c.BeginNext(0)
			if err != nil {
				return err
			}
			defer guard.End(&err)
			return nil
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				if err := way.write(); err != nil {
					b.Fatal(err)
				}
				if err := way.read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
