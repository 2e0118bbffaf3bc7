package main

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSampleIsAsLongAsTheMessage(t *testing.T) {
	require.Equal(t, sampleSize, binary.Size(sample{}))
}

func TestDecodeRefusesEveryDamagedByte(t *testing.T) {
	data, err := binary.Append(nil, binary.LittleEndian, sample{ID: 7, SampledNs: 1, MemoryTotalKiB: 1 << 20, Tasks: 3})
	require.NoError(t, err)
	binary.LittleEndian.PutUint32(data[crcOffset:], crc32.ChecksumIEEE(data[:crcOffset]))

	s, err := decode(7, data)
	require.NoError(t, err)
	require.EqualValues(t, 3, s.Tasks)

	_, err = decode(8, data)
	require.Error(t, err, "another id")
	_, err = decode(7, data[:sampleSize-1])
	require.Error(t, err, "cut off")
	for i := range data {
		data[i] ^= 0x10
		_, err := decode(7, data)
		require.Error(t, err, "byte %d", i)
		data[i] ^= 0x10
	}
}
