//go:build race

package coretest

// RaceEnabled: under the race detector everything takes ten times as long.
const RaceEnabled = true
