package process_test

import (
	"fmt"
	"testing"

	"datablock/internal/core/segment"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scaled returns the number of messages, which is smaller under -short.
func scaled(n int) int {
	if testing.Short() {
		return n / 100
	}
	return n
}

// TestExchange has every pair of languages with 100,000 messages (10,000 with Python), and a choice
// of pairs with each compiled language on both sides with a million. `make soak` has all pairs.
func TestExchange(t *testing.T) {
	for _, size := range []struct {
		name            string
		bytes, messages int
		pairs           func(*testing.T, func(t *testing.T, first, second string))
	}{{"varying", capacity, scaled(100_000), forAllPairs}, {"a_million", capacity, scaled(1_000_000), forCompiledPairs},
		{"one_byte", 1, scaled(100_000), forPairs}, {"one_megabyte", 1 << 20, scaled(1000), forPairs}} {
		t.Run(size.name, func(t *testing.T) {
			size.pairs(t, func(t *testing.T, producer, consumer string) {
				b := newFixture(t)
				b.slotSize = size.bytes
				n := fewer(size.messages, producer, consumer)
				p := b.producer(producer)
				c := b.consumer(consumer, "lossless")
				c.send("read 0")
				s := write(p, n)
				require.Equal(t, "OK", s["end"])
				assert.EqualValues(t, n-1, s.number(t, "last"))
				p.close()
				s = parseSummary(finished(c))
				assert.Equal(t, "CLOSED", s["end"])
				assert.EqualValues(t, 0, s.number(t, "first"))
				assert.EqualValues(t, n, s.number(t, "read"))
				assert.EqualValues(t, 0, s.number(t, "missed"))
				assert.EqualValues(t, 0, s.number(t, "bad"))
				c.close()
				b.leavesNoGarbage()
			})
		})
	}
}

// TestExchangeWithChecksums: each language makes and compares the checksums in both algorithms, and
// lengths vary.
func TestExchangeWithChecksums(t *testing.T) {
	for name, algorithm := range map[string]segment.ChecksumAlgorithm{"crc32c": segment.AlgorithmCRC32C,
		"blake2b": segment.AlgorithmBLAKE2b} {
		t.Run(name, func(t *testing.T) {
			forAllPairs(t, func(t *testing.T, producer, consumer string) {
				b := newFixture(t)
				n := fewer(scaled(20_000), producer, consumer)
				p := b.producer(producer, fmt.Sprintf("--checksum=%d", segment.ChecksumEnforced),
					fmt.Sprintf("--algorithm=%d", algorithm))
				deliveries := []string{"lossless", "ordered"}
				consumers := make([]*worker, len(deliveries))
				for i, delivery := range deliveries {
					consumers[i] = b.consumer(consumer, delivery)
					consumers[i].send("read 0")
				}
				require.Equal(t, "OK", write(p, n)["end"])
				p.close()
				for i, c := range consumers {
					s := parseSummary(finished(c))
					assert.Equal(t, "CLOSED", s["end"], deliveries[i])
					assert.EqualValues(t, n, s.number(t, "read")+s.number(t, "missed"), deliveries[i])
					assert.EqualValues(t, 0, s.number(t, "bad"), deliveries[i])
					c.close()
				}
				b.leavesNoGarbage()
			})
		})
	}
}

func TestExchangeByPolling(t *testing.T) {
	forPairs(t, func(t *testing.T, producer, consumer string) {
		b := newFixture(t)
		p := b.producer(producer, "--poll")
		c := b.consumer(consumer, "lossless", "--poll")
		c.send("read 0")
		n := fewer(scaled(20_000), producer, consumer)
		p.write(n)
		p.close()
		s := parseSummary(finished(c))
		assert.EqualValues(t, n, s.number(t, "read"))
		assert.EqualValues(t, 0, s.number(t, "bad"))
		c.close()
		b.leavesNoGarbage()
	})
}

func TestThreeDeliveriesOnOneBlock(t *testing.T) { threeDeliveries(t, 300_000) }

// TestThreeDeliveriesOnAReclaimingBlock: the producer uses slots again before the ring laps.
func TestThreeDeliveriesOnAReclaimingBlock(t *testing.T) {
	threeDeliveries(t, 50_000, "--flags=lossless,reclaim")
}

func threeDeliveries(t *testing.T, messages int, args ...string) {
	forPairs(t, func(t *testing.T, producer, consumer string) {
		b := newFixture(t)
		n := fewer(scaled(messages), producer, consumer)
		p := b.producer(producer, args...)
		consumers := map[string]*worker{}
		for _, delivery := range []string{"lossless", "ordered", "latest"} {
			consumers[delivery] = b.consumer(consumer, delivery)
			consumers[delivery].send("read 0")
		}
		s := write(p, n)
		require.Equal(t, "OK", s["end"])
		p.close()
		for delivery, c := range consumers {
			s := parseSummary(finished(c))
			t.Logf("%s: %v", delivery, s)
			assert.Equal(t, "CLOSED", s["end"], delivery)
			assert.EqualValues(t, 0, s.number(t, "bad"), "%s: ids rise by what was missed, and every byte is right",
				delivery)
			assert.EqualValues(t, n, s.number(t, "read")+s.number(t, "missed"),
				"%s: read and missed are all that was issued", delivery)
			assert.EqualValues(t, n-1, s.number(t, "last"), delivery)
			if delivery == "lossless" {
				assert.EqualValues(t, n, s.number(t, "read"))
			}
			c.close()
		}
		b.leavesNoGarbage()
	})
}

// TestFastProducerOnTheShortestRing: the ring has one or two slots, and one spare slot for each
// hazard pointer. So every slot is reused at once. There are more readers than processors, and they
// are slower than the producer.
func TestFastProducerOnTheShortestRing(t *testing.T) {
	for _, policy := range []string{"single", "double"} {
		t.Run(policy, func(t *testing.T) {
			forPairs(t, func(t *testing.T, producer, consumer string) {
				b := newFixture(t)
				b.slotSize = 4096
				n := fewer(scaled(200_000), producer, consumer)
				p := b.producer(producer, "--policy="+policy, "--slots=0", "--spare=7")
				readers := []*worker{}
				for i := range 6 {
					c := b.consumer(consumer, []string{"latest", "ordered"}[i%2])
					c.send("read 0")
					readers = append(readers, c)
				}
				require.Equal(t, "OK", write(p, n)["end"])
				p.close()
				for _, c := range readers {
					s := parseSummary(finished(c))
					assert.EqualValues(t, 0, s.number(t, "bad"), "nothing is torn")
					assert.EqualValues(t, n, s.number(t, "read")+s.number(t, "missed"))
					assert.EqualValues(t, n-1, s.number(t, "last"))
					c.close()
				}
				b.leavesNoGarbage()
			})
		})
	}
}

// write makes a producer write many messages, which may take longer than the usual answer.
func write(p *worker, n int) summary {
	p.t.Helper()
	p.send(fmt.Sprintf("write %d", n))
	return parseSummary(finished(p))
}

// finished waits for the end of a long exchange.
func finished(w *worker) string {
	w.t.Helper()
	return w.expectWithin(12*patience, "wrote=", "read=")
}
