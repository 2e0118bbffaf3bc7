package channel

import (
	"testing"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
)

func BenchmarkClaimCommit(b *testing.B) {
	bench := newFixture(b)
	p := bench.producer(bench.config(segment.Ring, 1024))
	for b.Loop() {
		s, err := p.Claim(0)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Commit(s, 8); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	for _, d := range []segment.Delivery{segment.Lossless, segment.Ordered, segment.Latest} {
		b.Run(d.String(), func(b *testing.B) {
			bench := newFixture(b)
			p := bench.producer(bench.config(segment.Ring, 1024))
			c := bench.consumer(segment.ConsumerOptions{Delivery: d})
			for b.Loop() {
				s, err := p.Claim(0)
				if err != nil {
					b.Fatal(err)
				}
				if err := p.Commit(s, 8); err != nil {
					b.Fatal(err)
				}
				r, err := c.Next(0)
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Release(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAttach(b *testing.B) {
	bench := newFixture(b)
	bench.producer(bench.config(segment.Ring, 1024))
	for b.Loop() {
		c, err := OpenConsumer("x", segment.ConsumerOptions{Directory: bench.dir})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAdopt(b *testing.B) {
	bench := newFixture(b)
	config := bench.config(segment.Ring, 1024)
	for b.Loop() {
		p, err := OpenProducer("x", config)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDiagnose(b *testing.B) {
	bench := newFixture(b)
	bench.producer(bench.config(segment.Ring, 1024-25))
	bench.consumer(segment.ConsumerOptions{})
	for b.Loop() {
		if _, err := recovery.Diagnose("x", bench.dir); err != nil {
			b.Fatal(err)
		}
	}
}
