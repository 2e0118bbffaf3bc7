// Command acquisition records every sample of an instrument in a file, although its processes may
// be killed at any time.
//
//	acquisition acquire COUNT RATE    takes COUNT samples, RATE a second
//	acquisition record FILE           appends the samples to FILE until the stream ends
//	acquisition check FILE COUNT      checks that FILE has COUNT samples
package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"datablock"
)

const (
	block    = "acquisition"
	patience = 10 * time.Second
)

// Sample is a message, and a record of the file.
type Sample struct {
	Number   uint64
	Channels [7]float64
}

const sampleBytes = 64

func measure(number uint64) Sample {
	s := Sample{Number: number}
	for channel := range s.Channels {
		s.Channels[channel] = math.Sin(float64(number) * float64(channel+1) / 1000)
	}
	return s
}

func schema() (*datablock.Schema, error) {
	return datablock.SchemaOf[Sample](datablock.Version{Major: 1})
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "acquire":
		count, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil {
			return err
		}
		rate, err := strconv.ParseFloat(args[2], 64)
		if err != nil {
			return err
		}
		return acquire(count, rate)
	case len(args) == 2 && args[0] == "record":
		return record(args[1])
	case len(args) == 3 && args[0] == "check":
		count, err := strconv.ParseUint(args[2], 10, 64)
		if err != nil {
			return err
		}
		return check(args[1], count)
	}
	return fmt.Errorf("usage: acquisition acquire COUNT RATE | record FILE | check FILE COUNT")
}
