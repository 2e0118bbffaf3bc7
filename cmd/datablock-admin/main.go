// Command datablock-admin shows operators the blocks of a machine and the holders of slots, and
// since when they hold them. It removes what dead processes left.
package main

import (
	"os"

	"datablock/cmd/internal/command"
)

// release is the version of the build, which takes it from datablock.h.
var release = ""

func main() { os.Exit(command.Main(release)) }
