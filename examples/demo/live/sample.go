package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// sample is struct sample of ../sample.h, where the fields are described.
type sample struct {
	ID                 uint64
	SampledNs          uint64
	CPUBusyTicks       uint64
	CPUTotalTicks      uint64
	MemoryTotalKiB     uint64
	MemoryAvailableKiB uint64
	ReceivedBytes      uint64
	SentBytes          uint64
	Load1mPercent      uint32
	Load5mPercent      uint32
	Load15mPercent     uint32
	TasksRunnable      uint32
	Tasks              uint32
	CRC                uint32
}

const (
	sampleSize = 88
	crcOffset  = 84
)

// decode decodes message id. An error means a damaged message.
func decode(id uint64, data []byte) (s sample, err error) {
	if len(data) != sampleSize {
		return s, fmt.Errorf("message %d has %d bytes instead of %d", id, len(data), sampleSize)
	}
	if _, err := binary.Decode(data, binary.LittleEndian, &s); err != nil {
		return s, fmt.Errorf("message %d: %w", id, err)
	}
	if crc := crc32.ChecksumIEEE(data[:crcOffset]); s.ID != id || s.CRC != crc {
		return s, fmt.Errorf("message %d says it is %d with CRC %08x, its CRC is %08x", id, s.ID, s.CRC, crc)
	}
	return s, nil
}
