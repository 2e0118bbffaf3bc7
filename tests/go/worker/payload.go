package main

import "encoding/binary"

// The payload of a message is a pseudo-random function of its id, the same in every language: see
// tests/README.md.

const golden = 0x9e3779b97f4a7c15

// mix is the output function of splitmix64.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func payloadLength(id, capacity uint64) uint64 { return mix(id^0x6874676e656c) % (capacity + 1) }

// salted reports whether a payload identifies its writer. Shorter payloads have no salt, because
// the rest would not be enough to check that the payload is complete.
func salted(length int) bool { return length >= 16 }

func fill(payload []byte, id, salt uint64) {
	if !salted(len(payload)) {
		salt = 0
	}
	state := mix(id)
	for len(payload) >= 8 {
		state += golden
		binary.LittleEndian.PutUint64(payload, mix(state)^salt)
		payload = payload[8:]
	}
	var last [8]byte
	binary.LittleEndian.PutUint64(last[:], mix(state+golden)^salt)
	copy(payload, last[:])
}

// verify returns the salt of the writer, and whether every byte is right for this writer and id.
func verify(payload []byte, id uint64) (salt uint64, good bool) {
	state := mix(id)
	if salted(len(payload)) {
		salt = binary.LittleEndian.Uint64(payload) ^ mix(state+golden)
	}
	difference := uint64(0)
	for len(payload) >= 8 {
		state += golden
		difference |= binary.LittleEndian.Uint64(payload) ^ mix(state) ^ salt
		payload = payload[8:]
	}
	var last, want [8]byte
	binary.LittleEndian.PutUint64(want[:], mix(state+golden)^salt)
	copy(last[:], want[:])
	copy(last[:], payload)
	return salt, difference == 0 && last == want
}
