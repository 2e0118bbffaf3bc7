package command

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestResetByForceAndItsHistory(t *testing.T) {
	dir, p, c := scene(t)
	s, err := p.Claim(0)
	require.NoError(t, err)
	slot, path := strconv.Itoa(int(s.Index())), dir+"/x"
	expect := func(code int, text string, args ...string) {
		t.Helper()
		got, out, errOut := admin(append(args, "--shm-name", path)...)
		assert.Equal(t, code, got, "%v: %s%s", args, out, errOut)
		assert.Contains(t, out+errOut, text)
	}
	expect(exitUsage, "say --yes", "force-reset-slot", "--slot", slot, "--force")
	expect(exitRefused, "use force", "force-reset-slot", "--slot", slot, "--yes")
	expect(exitOK, "done", "force-reset-slot", "--slot", slot, "--yes", "--force")
	assert.ErrorIs(t, p.Commit(s, 0), status.Fenced)
	expect(exitOK, "nothing to do", "force-reset-slot", "--slot", slot, "--yes")
	expect(exitUsage, "no slot 999", "force-reset-slot", "--slot", "999", "--yes")
	expect(exitUsage, "--slot is missing", "force-reset-slot", "--yes")

	expect(exitRefused, "lives", "evict", "--row", "1", "--yes")
	expect(exitUsage, "no row 77", "evict", "--row", "77", "--yes")
	expect(exitOK, "done", "evict", "--row", "1", "--yes", "--force")
	_, err = c.Next(0)
	assert.ErrorIs(t, err, status.Fenced)
	expect(exitOK, "done", "force-reset-all", "--yes", "--force")

	_, out, _ := admin("history", "--shm-name", path)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 5)
	by := fmt.Sprintf("  by pid %d, uid %d: ", os.Getpid(), os.Getuid())
	for i, said := range []string{
		"slot " + slot + ": fenced the claim of message 3 by pid " + strconv.Itoa(os.Getpid()) +
			"; its commit publishes nothing",
		"row 1: evicted the consumer, pid " + strconv.Itoa(os.Getpid()) + ", at message 3; the row is free",
	} {
		assert.True(t, strings.HasSuffix(lines[i], by+said), lines[i])
	}
	assert.Regexp(t, `: slot \d+: discarded message \d; its readers get LOST$`, lines[4])
	expect(exitOK, `"action": "fence"`, "history", "--json")
}
