package channel

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// With ENFORCED checksums a changed message is reported once and counted, and the stream continues.
// With MANUAL checksums the holder verifies.
func TestChecksums(t *testing.T) {
	for _, algorithm := range []segment.ChecksumAlgorithm{segment.AlgorithmCRC32C, segment.AlgorithmBLAKE2b} {
		t.Run(algorithm.String(), func(t *testing.T) { exchangeWithChecksums(t, algorithm) })
	}
}

func exchangeWithChecksums(t *testing.T, algorithm segment.ChecksumAlgorithm) {
	t.Helper()
	for _, delivery := range []segment.Delivery{segment.Lossless, segment.Ordered, segment.Latest} {
		t.Run("enforced_"+delivery.String(), func(t *testing.T) {
			b := newFixture(t)
			config := b.config(segment.Ring, 8)
			config.Checksum, config.Algorithm = segment.ChecksumEnforced, algorithm
			p := b.producer(config)
			c := b.consumer(segment.ConsumerOptions{Delivery: delivery})
			for i := range 3 {
				s, err := p.Claim(0)
				require.NoError(t, err)
				copy(s.Data(), fmt.Sprint("message ", i))
				require.NoError(t, p.Commit(s, 9))
				if i == 1 {
					s.Data()[0] ^= 1
				}
				r, err := c.Next(0)
				if i == 1 {
					assert.Equal(t, status.Checksum, status.CodeOf(err))
					assert.EqualValues(t, 1, *c.hot.checksums)
					continue
				}
				require.NoError(t, err)
				assert.EqualValues(t, i, r.ID())
				require.NoError(t, c.Verify(r))
				require.NoError(t, c.Release(r))
			}
			_, err := c.ReadAt(1)
			assert.Equal(t, status.Checksum, status.CodeOf(err))
			assert.Zero(t, c.held)
		})
	}
	t.Run("enforced_latest_with_messages_missed", func(t *testing.T) {
		b := newFixture(t)
		config := b.config(segment.Ring, 8)
		config.Checksum, config.Algorithm = segment.ChecksumEnforced, algorithm
		p := b.producer(config)
		c := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
		write(t, p, 3)
		p.Data[p.Payload(layout.EntrySlot(p.Entry(2).Load()))] ^= 1
		s, err := c.Next(0)
		assert.Equal(t, status.Checksum, status.CodeOf(err))
		assert.Zero(t, s)
		assert.EqualValues(t, 2, *c.hot.missed)
	})
	t.Run("manual", func(t *testing.T) {
		b := newFixture(t)
		config := b.config(segment.Ring, 2)
		config.Checksum, config.Algorithm = segment.ChecksumManual, algorithm
		p := b.producer(config)
		c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
		for i := range 100 { // slots are reused: a checksum belongs to its own message
			s, err := p.Claim(0)
			require.NoError(t, err)
			copy(s.Data(), fmt.Sprint(i))
			if i%2 == 0 {
				require.NoError(t, p.Seal(s, 4))
			}
			require.NoError(t, p.Commit(s, 4))
			if i%4 == 2 {
				s.Data()[3] ^= 1
			}
			r, err := c.Next(0)
			require.NoError(t, err)
			want := []status.Code{status.OK, status.Invalid, status.Checksum, status.Invalid}[i%4]
			assert.Equal(t, want, status.CodeOf(c.Verify(r)), i)
			require.NoError(t, c.Release(r))
		}
		assert.EqualValues(t, 25, *c.hot.checksums)
	})
}

// The values are those of other programs: tests/format/vectors/check.py computes them in Python.
func TestChecksumVectors(t *testing.T) {
	text, err := os.ReadFile("../../../tests/format/vectors/checksums.json")
	require.NoError(t, err)
	var vectors []struct {
		ID           uint64
		Payload, Sum string
	}
	require.NoError(t, json.Unmarshal(text, &vectors))
	require.NotEmpty(t, vectors)
	b := newFixture(t)
	config := b.config(segment.Ring, 8)
	config.Checksum = segment.ChecksumManual
	p := b.producer(config)
	for _, v := range vectors {
		payload, err := hex.DecodeString(v.Payload)
		require.NoError(t, err)
		sum := p.SumOf(v.ID, payload)
		assert.Equal(t, v.Sum, hex.EncodeToString(sum[:]), "%d %s", v.ID, v.Payload)
	}
}

// The value for random lengths, by the definition: a bit at a time.
func TestChecksumOfEveryLength(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 8)
	config.Checksum = segment.ChecksumManual
	p := b.producer(config)
	for i := range 300 {
		payload := make([]byte, i)
		if i > 200 {
			payload = make([]byte, rand.IntN(70001))
		}
		for k := range payload {
			payload[k] = byte(rand.Uint32())
		}
		crc := ^uint32(0)
		for _, c := range payload {
			crc ^= uint32(c)
			for range 8 {
				crc = crc>>1 ^ 0x82f63b78&-(crc&1)
			}
		}
		sum := p.SumOf(uint64(i), payload)
		require.EqualValues(t, ^crc, binary.LittleEndian.Uint64(sum[layout.CRCPayload:]))
		require.EqualValues(t, i+1, binary.LittleEndian.Uint64(sum[layout.CRCMessage:]))
		require.EqualValues(t, len(payload), binary.LittleEndian.Uint64(sum[layout.CRCLength:]))
	}
}
