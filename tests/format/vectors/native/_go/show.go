package main

import (
	"fmt"
	"os"

	"datablock"
)

// show prints the schema of a struct: the golden schema's name, its canonical line, its hash.
func show[T any](golden string) {
	s, err := datablock.SchemaOf[T](datablock.Version{Major: 1})
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", golden, err)
		os.Exit(1)
	}
	fmt.Printf("%s\t%s\t%x\n", golden, s.Canonical(), s.Hash())
}
