//go:build !amd64

package main

import "time"

var epoch = time.Now()

// ticks is nanoseconds where the processor's time stamp is not read.
func ticks() uint64 { return uint64(time.Since(epoch)) }
