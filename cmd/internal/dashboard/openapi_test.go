package dashboard

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parsed(t testing.TB, text []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	return value
}

const (
	dialect = "https://spec.openapis.org/oas/3.1/schema/2022-10-07"
	own     = "https://datablock.invalid/openapi.json"
)

// compiler knows OpenAPI 3.1, and the description of this server.
func compiler(t testing.TB) *jsonschema.Compiler {
	t.Helper()
	text, err := os.ReadFile("testdata/openapi-3.1.json")
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource(dialect, parsed(t, text)))
	require.NoError(t, c.AddResource(own, parsed(t, description)))
	return c
}

func TestTheDescriptionIsOpenAPI(t *testing.T) {
	schema, err := compiler(t).Compile(dialect)
	require.NoError(t, err)
	require.NoError(t, schema.Validate(parsed(t, description)))
	broken := bytes.Replace(description, []byte(`"responses"`), []byte(`"answers"`), 1)
	require.Error(t, schema.Validate(parsed(t, broken)), "the schema finds a fault")
}

// document is what the tests read of the description.
type document struct {
	Paths map[string]map[string]struct {
		OperationID string
		Security    []map[string][]string
		Responses   map[string]any
	}
	Components struct{ Schemas map[string]any }
}

func described(t testing.TB) (d document) {
	t.Helper()
	require.NoError(t, json.Unmarshal(description, &d))
	return d
}

func TestTheDescriptionHasEveryRoute(t *testing.T) {
	s := serve(t, Options{})
	d := described(t)
	count := 0
	for _, r := range s.routes() {
		assert.Contains(t, d.Paths[r.path], strings.ToLower(r.method), r.path)
		count++
	}
	names := map[string]bool{}
	for path, operations := range d.Paths {
		for method, operation := range operations {
			count--
			assert.False(t, names[operation.OperationID], "%s is there twice", operation.OperationID)
			names[operation.OperationID] = true
			assert.NotEmpty(t, operation.Responses, "%s %s", method, path)
		}
	}
	assert.Zero(t, count, "the description has a route that the server has not")
}

// TestEveryAnswerIsAsDescribed compares real answers, good ones and refusals, with the schemas.
func TestEveryAnswerIsAsDescribed(t *testing.T) {
	dir := blocksDirectory(t)
	kill(t, start(t, role{Directory: dir, Block: "camera", Does: "claim"}))
	start(t, role{Directory: dir, Block: "camera", Does: "stream", Every: time.Second})
	start(t, role{Directory: dir, Block: "camera", Does: "follow", Name: []byte("recorder")})
	kill(t, start(t, role{Directory: dir, Block: "camera", Does: "hold", Name: []byte("\xff<script>")}))
	require.NoError(t, os.WriteFile(dir+"/broken", []byte("DATABLK\x00 and then nothing"), 0o600))
	s := serve(t, Options{Directory: dir, Actions: true})
	c := compiler(t)
	used := map[string]bool{}
	fits := func(name string, body []byte) {
		t.Helper()
		used[name] = true
		schema, err := c.Compile(own + "#/components/schemas/" + name)
		require.NoError(t, err)
		assert.NoError(t, schema.Validate(parsed(t, body)), "%s", body)
	}
	get := func(name, path string, status int) {
		t.Helper()
		answer, body := s.ask("GET", path, "")
		require.Equal(t, status, answer.StatusCode, body)
		fits(name, []byte(body))
	}
	get("Server", "/api/v1/server", 200)
	get("Blocks", "/api/v1/blocks", 200)
	_, events := s.stream("/api/v1/events?block=camera")
	for range 5 {
		kind, body := next(t, events)
		assert.Equal(t, "block", kind)
		fits("Detail", body)
	}
	_, events = s.stream("/api/v1/events")
	kind, body := next(t, events)
	assert.Equal(t, "view", kind)
	fits("Blocks", body)
	_, events = s.stream("/api/v1/events?block=none")
	_, body = next(t, events)
	fits("Detail", body)
	get("Detail", "/api/v1/blocks/camera", 200)
	get("Error", "/api/v1/blocks/none", 404)
	get("Error", "/nothing", 404)

	request := actionRequest{Action: "evict", Row: number(row(t, dir, "camera", "\xff<script>"))}
	text, err := json.Marshal(request)
	require.NoError(t, err)
	fits("ActionRequest", text)
	status, answer := s.post("/api/v1/blocks/camera/actions/dry-run", request)
	require.Equal(t, http.StatusOK, status)
	fits("DryRun", []byte(answer))
	status, answer = s.confirmed("camera", request)
	require.Equal(t, http.StatusOK, status)
	fits("Done", []byte(answer))
	get("Detail", "/api/v1/blocks/camera", 200) // with a recovery log

	schemas := described(t).Components.Schemas
	for _, name := range []string{"Error", "Server", "Blocks", "Detail", "ActionRequest", "DryRun", "Done"} {
		assert.True(t, used[name], name)
		assert.Contains(t, schemas, name)
	}
	for name := range schemas {
		_, err := c.Compile(own + "#/components/schemas/" + name)
		assert.NoError(t, err, name)
	}
}
