package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

// post sends an action with the token, and returns the status and the body.
func (s *running) post(path string, body any, headers ...string) (int, string) {
	s.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(s.t, err)
	all := append([]string{"Authorization", "Bearer " + s.content, "Content-Type", "application/json"}, headers...)
	answer, content := s.ask("POST", path, string(text), all...)
	return answer.StatusCode, content
}

func (s *running) dry(block string, request actionRequest) (found dryRunJSON) {
	s.t.Helper()
	status, body := s.post("/api/v1/blocks/"+block+"/actions/dry-run", request)
	require.Equal(s.t, http.StatusOK, status, body)
	require.NoError(s.t, json.Unmarshal([]byte(body), &found))
	return found
}

// confirmed does an action after its dry run.
func (s *running) confirmed(block string, request actionRequest) (int, string) {
	s.t.Helper()
	request.Confirmation = s.dry(block, request).Confirmation
	require.NotEmpty(s.t, request.Confirmation)
	return s.post("/api/v1/blocks/"+block+"/actions", request)
}

func number(n uint32) *uint32 { return &n }

// row is the row of the consumer with the name.
func row(t testing.TB, dir, block, name string) uint32 {
	t.Helper()
	_, all, err := datablock.ReadMetrics(block, dir)
	require.NoError(t, err)
	for _, p := range all {
		if p.Name == name && p.Role == datablock.RoleConsumer {
			return p.Row
		}
	}
	t.Fatalf("%s has no consumer %s", block, name)
	return 0
}

// claimed is the slot that is being written.
func claimed(t testing.TB, dir, block string) uint32 {
	t.Helper()
	d, err := datablock.Diagnose(block, dir)
	require.NoError(t, err)
	for _, s := range d.Slots {
		if s.State == datablock.SlotWriting {
			return s.Index
		}
	}
	t.Fatalf("%s has no claim", block)
	return 0
}

func recoveries(t testing.TB, dir, block string) (text string) {
	t.Helper()
	records, err := datablock.RecoveryLog(block, dir)
	require.NoError(t, err)
	for _, r := range records {
		require.EqualValues(t, os.Getpid(), r.PID)
		text += r.ActionName() + ": " + r.String() + "\n"
	}
	return text
}

func TestActionsAreOffByDefault(t *testing.T) {
	s := serve(t, Options{})
	for _, path := range []string{"/api/v1/blocks/x/actions", "/api/v1/blocks/x/actions/dry-run"} {
		status, body := s.post(path, actionRequest{Action: "auto-recover"})
		assert.Equal(t, http.StatusForbidden, status)
		assert.Contains(t, body, "--actions")
	}
}

// TestEveryActionNeedsTheTokenAndTheOwnPage: every refusal leaves the dead consumer where it is.
func TestEveryActionNeedsTheTokenAndTheOwnPage(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "x", Does: "stream", Every: time.Second})
	kill(t, start(t, role{Directory: dir, Block: "x", Does: "hold", Name: []byte("viewer")}))
	s := serve(t, Options{Directory: dir, Actions: true})
	require.NotEmpty(t, s.GeneratedToken())
	const dry, act = "/api/v1/blocks/x/actions/dry-run", "/api/v1/blocks/x/actions"
	recover := actionRequest{Action: "auto-recover"}
	recover.Confirmation = s.dry("x", actionRequest{Action: "auto-recover"}).Confirmation
	text, err := json.Marshal(recover)
	require.NoError(t, err)
	token := "Bearer " + s.GeneratedToken()
	for _, c := range []struct {
		status  int
		headers []string
	}{
		{401, nil},
		{401, []string{"Authorization", ""}},
		{401, []string{"Authorization", s.GeneratedToken()}},
		{401, []string{"Authorization", "Basic " + s.GeneratedToken()}},
		{401, []string{"Authorization", "Bearer "}},
		{401, []string{"Authorization", token + "x"}},
		{401, []string{"Authorization", token[:len(token)-1]}},
		{403, []string{"Authorization", token, "Origin", "https://evil.example"}},
		{403, []string{"Authorization", token, "Origin", "null"}},
		{403, []string{"Authorization", token, "Sec-Fetch-Site", "cross-site"}},
		{403, []string{"Authorization", token, "Sec-Fetch-Site", "same-site"}},
		{421, []string{"Authorization", token, "Host", "evil.example"}},
		{415, []string{"Authorization", token, "Content-Type", "text/plain"}},
		{415, []string{"Authorization", token, "Content-Type", ""}},
	} {
		for _, path := range []string{dry, act} {
			headers := append([]string{"Content-Type", "application/json"}, c.headers...)
			answer, body := s.ask("POST", path, string(text), headers...)
			assert.Equal(t, c.status, answer.StatusCode, "%v: %s", c.headers, body)
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "PATCH"} {
		answer, _ := s.ask(method, act, "", "Authorization", token)
		assert.Contains(t, []int{404, 405}, answer.StatusCode, method)
	}
	assert.Empty(t, recoveries(t, dir, "x"))
	status, body := s.post(act, recover)
	assert.Equal(t, http.StatusOK, status, "the confirmation was good for all of this: %s", body)
	assert.Contains(t, recoveries(t, dir, "x"), "row")
	assert.Contains(t, s.lines.text(), "auto-recover on block \"x\"")
	assert.Contains(t, s.lines.text(), "refused a wrong token")
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "x", Does: "stream", Every: time.Second})
	s := serve(t, Options{Directory: dir, Actions: true})
	for body, said := range map[string]string{
		``:                                                 "no action",
		`{}`:                                               "there are auto-recover",
		`[]`:                                               "no action",
		`{"action":"unlink"}`:                              "there are auto-recover",
		`{"action":"evict"}`:                               `needs \"row\"`,
		`{"action":"evict","row":-1}`:                      "no action",
		`{"action":"evict","row":4294967296}`:              "no action",
		`{"action":"evict","row":1,"slot":1}`:              `takes no \"slot\"`,
		`{"action":"evict","row":0}`:                       "rows 1 to 8",
		`{"action":"evict","row":9}`:                       "rows 1 to 8",
		`{"action":"reset-slot","slot":1000}`:              "there is no slot 1000",
		`{"action":"cleanup","force":true}`:                `takes no \"force\"`,
		`{"action":"cleanup","older_than_ms":-1}`:          "older_than_ms",
		`{"action":"cleanup","older_than_ms":9e99}`:        "no action",
		`{"action":"auto-recover","nonsense":1}`:           "nonsense",
		`{"action":"auto-recover"}{"action":"evict"}`:      "more than one",
		`{"action":"auto-recover","confirmation":"abcde"}`: "makes the confirmation",
	} {
		answer, text := s.ask("POST", "/api/v1/blocks/x/actions/dry-run", body, "Authorization", "Bearer "+s.content,
			"Content-Type", "application/json")
		assert.Equal(t, http.StatusBadRequest, answer.StatusCode, body)
		assert.Contains(t, text, said, body)
	}
	answer, _ := s.ask("POST", "/api/v1/blocks/x/actions", `{"action":"`+strings.Repeat("x", bodyMost)+`"}`,
		"Authorization", "Bearer "+s.content, "Content-Type", "application/json")
	assert.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
	for _, name := range []string{"y", "bad%20name", strings.ReplaceAll(dir, "/", "%2F") + "%2Fx", "..%2Fx", "%2F"} {
		status, body := s.post("/api/v1/blocks/"+name+"/actions/dry-run", actionRequest{Action: "auto-recover"})
		assert.Contains(t, []int{400, 404, 405}, status, "%s: %s", name, body)
	}
}

func TestAConfirmationIsGoodOnceAndForOneThing(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "x", Does: "stream", Every: time.Second})
	start(t, role{Directory: dir, Block: "y", Does: "stream", Every: time.Second})
	kill(t, start(t, role{Directory: dir, Block: "x", Does: "hold", Name: []byte("viewer")}))
	viewer := number(row(t, dir, "x", "viewer"))
	s := serve(t, Options{Directory: dir, Actions: true})
	request := actionRequest{Action: "evict", Row: viewer}
	found := s.dry("x", request)
	require.Len(t, found.Steps, 1)
	assert.Contains(t, found.Steps[0], `"viewer"`)
	assert.Contains(t, found.Steps[0], "dead")
	require.NotNil(t, found.ExpiresAt)
	assert.WithinDuration(t, time.Now().Add(confirmationLife), *found.ExpiresAt, confirmationLife/2)
	for _, c := range []struct {
		block   string
		request actionRequest
	}{
		{"x", actionRequest{Action: "evict", Row: viewer, Force: true}},
		{"x", actionRequest{Action: "evict", Row: number(2)}},
		{"x", actionRequest{Action: "auto-recover"}},
		{"y", actionRequest{Action: "evict", Row: viewer}},
	} {
		c.request.Confirmation = s.dry("x", request).Confirmation
		for _, said := range []string{"something else", "used"} { // the first request spends it
			status, body := s.post("/api/v1/blocks/"+c.block+"/actions", c.request)
			assert.Equal(t, http.StatusConflict, status, body)
			assert.Contains(t, body, said)
		}
	}
	for _, confirmation := range []string{"", "nonsense", found.Confirmation + "x"} {
		status, _ := s.post("/api/v1/blocks/x/actions", actionRequest{Action: "evict", Row: viewer,
			Confirmation: confirmation})
		assert.Equal(t, http.StatusConflict, status)
	}
	require.Empty(t, recoveries(t, dir, "x"))
	request.Confirmation = found.Confirmation
	status, body := s.post("/api/v1/blocks/x/actions", request)
	require.Equal(t, http.StatusOK, status, body)
	assert.Contains(t, recoveries(t, dir, "x"), "evict")
	before := recoveries(t, dir, "x")
	status, body = s.post("/api/v1/blocks/x/actions", request)
	assert.Equal(t, http.StatusConflict, status, "a replay: %s", body)
	assert.Contains(t, body, "used")
	assert.Equal(t, before, recoveries(t, dir, "x"))
	assert.Empty(t, s.dry("x", actionRequest{Action: "evict", Row: viewer}).Confirmation, "nothing is left to do")
}

func TestConfirmationsEnd(t *testing.T) {
	c := newConfirmations()
	old, _ := c.add(promise{block: "old"})
	c.pending[old] = pendingPromise{c.pending[old].promise, time.Now().Add(-time.Nanosecond)}
	_, known := c.take(old)
	assert.False(t, known, "it is too old")
	first, _ := c.add(promise{block: "first"})
	for i := range confirmationsMost {
		c.add(promise{block: fmt.Sprint(i)})
	}
	assert.Len(t, c.pending, confirmationsMost)
	_, known = c.take(first)
	assert.False(t, known, "the oldest one made room")
}

// TestAnotherBlockOfTheSameNameIsRefused: the block is removed and made again between the two
// requests.
func TestAnotherBlockOfTheSameNameIsRefused(t *testing.T) {
	dir := blocksDirectory(t)
	producer := start(t, role{Directory: dir, Block: "x", Does: "stream", Every: time.Second})
	kill(t, start(t, role{Directory: dir, Block: "x", Does: "hold", Name: []byte("viewer")}))
	s := serve(t, Options{Directory: dir, Actions: true})
	request := actionRequest{Action: "cleanup"}
	found := s.dry("x", request)
	request.Confirmation = found.Confirmation
	require.NotEmpty(t, found.BlockID)

	kill(t, producer)
	require.NoError(t, datablock.Unlink("x", dir, 0))
	start(t, role{Directory: dir, Block: "x", Does: "stream", Every: time.Second})
	kill(t, start(t, role{Directory: dir, Block: "x", Does: "hold", Name: []byte("viewer")}))
	status, body := s.post("/api/v1/blocks/x/actions", request)
	assert.Equal(t, http.StatusConflict, status, body)
	assert.Contains(t, body, "another block")
	assert.Empty(t, recoveries(t, dir, "x"))
	assert.NotEqual(t, found.BlockID, s.dry("x", actionRequest{Action: "cleanup"}).BlockID)
}

// TestAnotherConsumerInTheRowIsNotEvicted: by force, and the row has another owner by now.
func TestAnotherConsumerInTheRowIsNotEvicted(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "x", Does: "stream", Every: time.Millisecond})
	first := start(t, role{Directory: dir, Block: "x", Does: "follow", Name: []byte("viewer")})
	s := serve(t, Options{Directory: dir, Actions: true})
	request := actionRequest{Action: "evict", Row: number(row(t, dir, "x", "viewer"))}
	status, body := s.post("/api/v1/blocks/x/actions/dry-run", request)
	assert.Equal(t, http.StatusConflict, status, "it lives: %s", body)
	request.Force = true
	found := s.dry("x", request)
	assert.Contains(t, found.Steps[0], "ALIVE")
	request.Confirmation = found.Confirmation

	kill(t, first)
	_, err := datablock.CleanupDeadConsumers("x", dir, 0)
	require.NoError(t, err)
	start(t, role{Directory: dir, Block: "x", Does: "follow", Name: []byte("viewer")})
	require.Equal(t, *request.Row, row(t, dir, "x", "viewer"))
	status, body = s.post("/api/v1/blocks/x/actions", request)
	assert.Equal(t, http.StatusConflict, status, body)
	assert.Contains(t, body, "another participant")
	_, all, err := datablock.ReadMetrics("x", dir)
	require.NoError(t, err)
	assert.True(t, all[len(all)-1].Alive)

	status, body = s.confirmed("x", actionRequest{Action: "evict", Row: request.Row, Force: true})
	assert.Equal(t, http.StatusOK, status, body)
	assert.Contains(t, recoveries(t, dir, "x"), "evict")
}

// TestEachActionDoesWhatItsCommandDoes: each one on a block that needs it.
func TestEachActionDoesWhatItsCommandDoes(t *testing.T) {
	dir := blocksDirectory(t)
	kill(t, start(t, role{Directory: dir, Block: "x", Does: "claim"}))
	kill(t, start(t, role{Directory: dir, Block: "x", Does: "hold", Name: []byte("viewer")}))
	kill(t, start(t, role{Directory: dir, Block: "y", Does: "claim"}))
	kill(t, start(t, role{Directory: dir, Block: "y", Does: "hold", Name: []byte("viewer")}))
	start(t, role{Directory: dir, Block: "z", Does: "claim"})
	s := serve(t, Options{Directory: dir, Actions: true})
	does := func(block, logged string, request actionRequest) {
		t.Helper()
		before := len(strings.Split(recoveries(t, dir, block), "\n"))
		status, body := s.confirmed(block, request)
		require.Equal(t, http.StatusOK, status, body)
		lines := strings.Split(recoveries(t, dir, block), "\n")
		require.Greater(t, len(lines), before)
		assert.Contains(t, lines[len(lines)-2], logged)
		assert.Contains(t, s.lines.text(), request.Action)
	}
	slot := claimed(t, dir, "x")
	d, err := datablock.Diagnose("x", dir)
	require.NoError(t, err)
	held := d.Rows[len(d.Rows)-1].Pins[0]
	does("x", "release-writer", actionRequest{Action: "release-zombie-writer", Slot: &slot})
	does("x", "release-reader", actionRequest{Action: "release-zombie-readers", Slot: &held})
	kill(t, start(t, role{Directory: dir, Block: "x", Does: "follow", Name: []byte("recorder")}))
	does("x", "cleanup", actionRequest{Action: "cleanup"})
	does("y", "", actionRequest{Action: "auto-recover"})
	assert.Empty(t, s.dry("y", actionRequest{Action: "auto-recover"}).Steps)

	slot = claimed(t, dir, "z")
	status, body := s.post("/api/v1/blocks/z/actions/dry-run", actionRequest{Action: "reset-slot", Slot: &slot})
	assert.Equal(t, http.StatusConflict, status, "its producer lives: %s", body)
	does("z", "fence", actionRequest{Action: "reset-slot", Slot: &slot, Force: true})
}

// TestADurableConsumerIsGivenItsTime: cleanup lists what it would remove, no more and no less.
func TestADurableConsumerIsGivenItsTime(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "x", Does: "stream", Every: time.Millisecond})
	kill(t, start(t, role{Directory: dir, Block: "x", Does: "follow", Name: []byte("recorder"), Durable: true}))
	becomes(t, func() bool { // the producer finds it dead
		_, all, err := datablock.ReadMetrics("x", dir)
		return err == nil && len(all) == 2 && !all[1].Died.IsZero()
	}, "the death is noted")
	s := serve(t, Options{Directory: dir, Actions: true})
	hour := time.Hour.Milliseconds()
	assert.Empty(t, s.dry("x", actionRequest{Action: "cleanup", OlderThanMs: hour}).Steps)
	status, body := s.confirmed("x", actionRequest{Action: "cleanup"})
	require.Equal(t, http.StatusOK, status, body)
	assert.Contains(t, body, "removed 1")
}

// TestADamagedBlockIsRecovered: its header says no id, and the file is what the confirmation is
// for.
func TestADamagedBlockIsRecovered(t *testing.T) {
	dir := blocksDirectory(t)
	kill(t, start(t, role{Directory: dir, Block: "x", Does: "stream", Every: time.Second}))
	file, err := os.OpenFile(filepath.Join(dir, "x"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()
	_, err = file.WriteAt([]byte{1}, 70)
	require.NoError(t, err)
	s := serve(t, Options{Directory: dir, Actions: true})
	var all blocksJSON
	s.get("/api/v1/blocks", &all)
	require.Len(t, all.Blocks, 1)
	assert.Equal(t, levelBad, all.Blocks[0].Level)
	assert.Contains(t, all.Blocks[0].Problem, "header")
	status, body := s.confirmed("x", actionRequest{Action: "auto-recover"})
	require.Equal(t, http.StatusOK, status, body)
	assert.Contains(t, body, "done: repair")
}

func TestATokenFileIsNotPrinted(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("  secret-of-the-operator\n"), 0o640))
	s := serve(t, Options{TokenFile: token, Actions: true, Private: true})
	assert.Empty(t, s.GeneratedToken())
	for _, path := range []string{"/api/v1/blocks", "/metrics", "/api/v1/events", "/api/v1/blocks/x"} {
		answer, _ := s.ask("GET", path, "")
		assert.Equal(t, http.StatusUnauthorized, answer.StatusCode, path)
		assert.Contains(t, answer.Header.Get("WWW-Authenticate"), "Bearer")
	}
	answer, _ := s.ask("GET", "/metrics", "", "Authorization", "Bearer secret-of-the-operator")
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	answer, _ = s.ask("GET", "/", "")
	assert.Equal(t, http.StatusOK, answer.StatusCode, "the page itself shows nothing")
}
