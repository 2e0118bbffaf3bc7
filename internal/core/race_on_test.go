//go:build race

package core

const raceEnabled = true // everything takes ten times as long
