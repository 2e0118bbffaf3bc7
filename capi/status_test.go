//go:build cgo

package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The boundary returns the statuses of core unchanged. Therefore both lists must have the same
// numbers. They also have the same texts.
func TestStatusesAreThoseOfTheHeader(t *testing.T) {
	header, err := os.ReadFile("../include/datablock.h")
	require.NoError(t, err)
	list := regexp.MustCompile(`X\(DATABLOCK_\w+, (\d+), "([^"]*)"\)`).FindAllStringSubmatch(string(header), -1)
	require.Len(t, list, int(status.Panic)+1)
	for i, line := range list {
		assert.Equal(t, strconv.Itoa(i), line[1])
		assert.Equal(t, status.Code(i).Error(), line[2])
	}
	assert.Equal(t, "unknown status", status.Code(len(list)).Error())
}

func provokedError(body func()) (err *status.Error) {
	defer func() { err = asError(recover()) }()
	body()
	return nil
}

func TestAPanicSaysWhereItWas(t *testing.T) {
	err := provokedError(func() { panic("the reason") })
	assert.Equal(t, status.Panic, err.Code)
	assert.Regexp(t, `the reason \(status_test\.go:\d+\)`, err.Detail)

	var nowhere *segment.Config
	err = provokedError(func() { nowhere.Flags++ })
	assert.Equal(t, status.Panic, err.Code, "a nil pointer is a mistake of ours, not a damaged block")
	assert.Regexp(t, `nil pointer.* \(status_test\.go:\d+\)`, err.Detail)
}
