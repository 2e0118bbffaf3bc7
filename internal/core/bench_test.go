package core

import "testing"

func BenchmarkClaimCommit(b *testing.B) {
	bench := newBench(b)
	p := bench.producer(bench.config(Ring, 1024))
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
	for _, d := range []Delivery{Lossless, Ordered, Latest} {
		b.Run(d.String(), func(b *testing.B) {
			bench := newBench(b)
			p := bench.producer(bench.config(Ring, 1024))
			c := bench.consumer(ConsumerOptions{Delivery: d})
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
	bench := newBench(b)
	bench.producer(bench.config(Ring, 1024))
	for b.Loop() {
		c, err := OpenConsumer("x", ConsumerOptions{Directory: bench.dir})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAdopt(b *testing.B) {
	bench := newBench(b)
	config := bench.config(Ring, 1024)
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
	bench := newBench(b)
	bench.producer(bench.config(Ring, 1024-25))
	bench.consumer(ConsumerOptions{})
	for b.Loop() {
		if _, err := Diagnose("x", bench.dir); err != nil {
			b.Fatal(err)
		}
	}
}
