package main

import (
	"encoding/binary"

	"datablock/internal/core/channel"
)

// sharedCommand handles the commands of both roles.
func sharedCommand(p participant, word string, n uint64) bool {
	switch word {
	case "lock":
		abandoned, err := p.Lock(uint32(n), p.patience())
		if err != nil {
			sayError(err)
			return true
		}
		say("locked %d %s", n, map[bool]string{true: "abandoned", false: "free"}[abandoned])
	case "unlock":
		if err := p.Unlock(uint32(n)); err != nil {
			sayError(err)
			return true
		}
		say("unlocked %d", n)
	case "zone": // adds n to the first word of the zone
		sum, err := channel.WithFlexibleZone(p, p.patience(), func(zone []byte) (uint64, error) {
			sum := binary.LittleEndian.Uint64(zone) + n
			binary.LittleEndian.PutUint64(zone, sum)
			return sum, nil
		})
		if err != nil {
			sayError(err)
			return true
		}
		say("zone %d", sum)
	default:
		return false
	}
	return true
}
