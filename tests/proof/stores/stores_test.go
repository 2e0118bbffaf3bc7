package stores

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reason explains why there is no crash point between some stores.
type reason struct{ gap, why string }

// reasons explain the gaps that the walker finds in internal/core. Each one has a regular
// expression.
var reasons = []reason{
	{`^appendLog: `, "a record counts when its number is stored, last; an unfinished one is nothing"},
	{`^Segment\.WriteIdentity: `,
		"who it is, for people; what is done to the row is decided by its state and its lock, and there are " +
			"points before and after"},
	{`^Producer\.begin: \*p\.Data\.Plain64\(layout\.\w+\) → (\*p\.Data\.Plain64\(layout\.\w+\)$|p\.WriteIdentity)`,
		"who writes, and since when, for people; the next producer writes all of it again"},
	{`^Producer\.(Claim|unmark): .*(claimSince → .*claimID|claimID → .*claimSince)`, "claim_since is for people"},
	{`^recoverySession\.releaseWriter: .*ClaimID\) → .*ClaimSince`, "claim_since is for people"},
	{`^Producer\.CommitSlot: (p\.certify|.* → header\[layout\.SlotID/8\]$|` +
		`.*Slot(ID|Length)/8\] → .*Slot(Length|Timestamp)/8\]$)`,
		"no other process reads the slot's header before the publication"},
	{`^Producer\.CommitSlot: .*CompareAndSwap.* → p\.publishOver`, "a swap that failed has changed nothing"},
	{`^Producer\.Close: \*p\.Data\.Plain64\(layout\.ProducerPID\) → p\.ClearRow`, "a pid is for people"},
	{`^Producer\.(Write|WriteBatch): `, "one message after the other: between them is the program"},
	{`^Producer\.(findRoom: p\.waitForRoom|prepareClaim: p\.findRoom|ClaimInSteps: p\.Claim)`,
		"the wait ends with producer_waiting = 0, which its next one would store as well; cleaning the dead " +
			"begins with a point"},
	{`^Consumer\.occupy: c\.Ctl\[at\+layout\.RowDurable\] → c\.Ctl\[at\+layout\.RowDurable\]$`,
		"0 and then 1, in a row that is ATTACHING and so is nobody's to come back to"},
	{`^Consumer\.secureSpare: `, "the own bit is taken back and set again: as at attach.bit and before it"},
	{`^attach: newConsumer\(a, o\) → c\.occupy`, "it counts the consumers of this process, in private memory"},
	{`^attach: c\.secureSpare\(\) → `,
		"the bit is set, as at attach.bit, and the row is given up, which begins with a point"},
	{`^(OpenConsumer|attachNamed|waitForBlock|OpenProducer|Unlink|Repair|openOrCreate|Attachment\.FindRow): `,
		"the whole is tried again, or after a failure something else is: each has its points"},
	{`^(Producer\.clearFences: |adopt: (\*mark|p\.clearFences))`,
		"leftover marks and fences, each by itself; adopting again clears the rest"},
	{`^Segment\.(ClearPins: b\.Pin\(row, k\)\.Store\(0\) → b\.Pin|` +
		`EmptyRow: \*b\.Ctl\.Plain64\(at \+ off\) → \*b\.Ctl\.Plain64\(at \+ off\)$)`,
		"words of a row without an owner, in any order; a second cleaning clears the rest"},
	{`^Segment\.CreateData: copy`, "nobody finds the block before it is published"},
	{`^createBlock: (.* → (platform\.Remove\(made|p\.begin\(0\)|b\.Entries\[i\]\.Store)|` +
		`a\.CreateControl.* → b\.CreateData)`,
		"no process finds the block before it is published; what a dead or failed creator leaves is garbage"},
	{`^replaceBlock: platform\.Exchange.* → old\.StateWord\.CompareAndSwap`,
		"an exchange that failed has changed nothing"},
	{`^unlink: (b\.RemoveData.* → b\.StateWord\.CompareAndSwap|b\.StateWord.* → .*CollectBlock)`,
		"a file that could not be removed is there; the state goes back to what it was"},
	{`^repairRun\.`,
		"each repair is right by itself, and repairing again does the rest; repair.word, .entry, .slot and " +
			".file are after each kind"},
}

// reasonsInC explain the gaps in the inline headers, and of protocol_wait*.c in capi.
var reasonsInC = []reason{
	{`^datablock_inline_commit: .*SLOT_(ID|LENGTH|TIMESTAMP)`,
		"the slot's header is nobody's business before the publication"},
	{`^datablock_inline_seal: `, "nor is the slot's checksum: the claim is open"},
	{`^wait_for_one: woken`, "the waker is memory of this process alone"},
}

// TestBetweenAnyTwoStoresIsACrashPoint: a test can kill only at a crash point. So every pair of
// steps without a crash point in between needs a reason here.
func TestBetweenAnyTwoStoresIsACrashPoint(t *testing.T) {
	w, err := Read("../../../internal/core/segment", "../../../internal/core/channel",
		"../../../internal/core/recovery")
	require.NoError(t, err)
	w.Walk()
	require.True(t, w.Gaps["Segment.ClearPins: b.Pin(row, k).Store(0) → b.Pin(row, k).Store(0)"],
		"the walker sees nothing")
	explained(t, w.Gaps, reasons)
}

func TestBetweenAnyTwoStoresInCIsACrashPoint(t *testing.T) {
	known, gaps := map[string]summary{}, map[string]bool{}
	for _, file := range []string{"include/datablock/detail/ring.h", "include/datablock/detail/checksum.h",
		"include/datablock/detail/producer.h", "include/datablock/detail/consumer.h",
		"include/datablock/detail/handle.h",
		"include/datablock/detail/calls.h", "capi/protocol_wait.c", "capi/protocol_wait_any.c"} {
		require.NoError(t, ReadC(filepath.Join("../../..", file), known, gaps))
	}
	require.Equal(t, summary{head: true}, known["datablock_inline_refill"])
	require.True(t, known["datablock_inline_commit"].head)
	explained(t, gaps, reasonsInC)
}

// explained checks that every gap has a reason, and that every reason explains a gap.
func explained(t *testing.T, gaps map[string]bool, reasons []reason) {
	t.Helper()
	used := map[string]bool{}
	for _, gap := range slices.Sorted(maps.Keys(gaps)) {
		i := slices.IndexFunc(reasons, func(r reason) bool { return regexp.MustCompile(r.gap).MatchString(gap) })
		if i < 0 {
			t.Errorf("no crash point between these, and no reason given:\n\t%s", gap)
			continue
		}
		used[reasons[i].gap] = true
	}
	for _, r := range reasons {
		assert.True(t, used[r.gap], "%s (%q) is no longer needed", r.gap, r.why)
	}
}
