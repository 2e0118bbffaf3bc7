package main

import (
	"fmt"
	"os"

	"datablock"
)

func check(path string, count uint64) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if uint64(len(content)) != count*sampleBytes {
		return fmt.Errorf("%s has %d bytes, and %d samples have %d", path, len(content), count, count*sampleBytes)
	}
	for number := range count {
		sample, err := datablock.As[Sample](content[number*sampleBytes:])
		if err != nil {
			return err
		}
		if *sample != measure(number) {
			return fmt.Errorf("record %d of %s is not sample %d", number, path, number)
		}
	}
	fmt.Printf("all %d samples are in the file, each once and in order\n", count)
	return nil
}
