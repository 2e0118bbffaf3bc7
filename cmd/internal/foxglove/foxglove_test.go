package foxglove_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
	"datablock/cmd/internal/follow"
	"datablock/cmd/internal/foxglove"
)

const poseText = "schema Pose 1.0.0 { id: u64; at: { x: f32; y: f32; }; name: char[5]; }"

type scene struct {
	t       *testing.T
	dir     string
	handler *foxglove.Handler
	server  *httptest.Server
}

func newScene(t *testing.T) *scene {
	dir, err := os.MkdirTemp("/dev/shm", "datablock-foxglove-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &scene{t: t, dir: dir, handler: foxglove.New(foxglove.Directory(dir))}
	s.handler.Interval = 2 * time.Millisecond
	s.server = httptest.NewServer(s.handler)
	t.Cleanup(func() {
		s.handler.Close()
		s.server.Close()
	})
	return s
}

func (s *scene) producer(name, schema string, change func(*datablock.Config)) *datablock.Producer {
	s.t.Helper()
	config := datablock.DefaultConfig(datablock.Ring)
	config.Directory, config.SlotSize = s.dir, 64
	if schema != "" {
		var err error
		config.Schema, err = datablock.ParseSchema(schema)
		require.NoError(s.t, err)
	}
	if change != nil {
		change(&config)
	}
	p, err := datablock.OpenProducer(name, config)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = p.Close() })
	return p
}

func send(t *testing.T, p *datablock.Producer, message []byte) {
	t.Helper()
	s, err := p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, p.Commit(s, copy(s.Data(), message)))
}

// pose is a message of the schema Pose.
func pose(id uint64) []byte {
	m := binary.NativeEndian.AppendUint64(nil, id)
	m = binary.NativeEndian.AppendUint32(m, 0x3fc00000) // 1.5
	m = binary.NativeEndian.AppendUint32(m, 0xc0000000) // -2
	return append(m, "arm\x00\x00\x00\x00\x00"...)
}

// connection is a client in this process.
type connection struct {
	*scene
	conn *websocket.Conn
	ctx  context.Context
}

func (s *scene) dial(subprotocol string, header http.Header) (*connection, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	s.t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, s.server.URL, &websocket.DialOptions{Subprotocols: []string{subprotocol},
		HTTPHeader: header})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1)
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return &connection{s, conn, ctx}, nil
}

func (s *scene) connect() *connection {
	s.t.Helper()
	c, err := s.dial("foxglove.sdk.v1", nil)
	require.NoError(s.t, err)
	require.Equal(s.t, "serverInfo", c.json()["op"])
	require.Equal(s.t, "advertise", c.json()["op"], "also without blocks")
	return c
}

func (c *connection) json() (message map[string]any) {
	c.t.Helper()
	kind, text, err := c.conn.Read(c.ctx)
	require.NoError(c.t, err)
	require.Equal(c.t, websocket.MessageText, kind, "%x", text)
	require.NoError(c.t, json.Unmarshal(text, &message))
	return message
}

// data returns the CDR of the next message, without the header.
func (c *connection) data() (subscription uint32, data []byte) {
	c.t.Helper()
	kind, all, err := c.conn.Read(c.ctx)
	require.NoError(c.t, err)
	require.Equal(c.t, websocket.MessageBinary, kind, "%s", all)
	require.EqualValues(c.t, 1, all[0])
	require.Equal(c.t, []byte{0, 1, 0, 0}, all[13:17])
	return binary.LittleEndian.Uint32(all[1:]), all[17:]
}

func (c *connection) say(text string) {
	c.t.Helper()
	require.NoError(c.t, c.conn.Write(c.ctx, websocket.MessageText, []byte(text)))
}

// channel waits until a topic is advertised, and returns its id.
func (c *connection) channel(topic string) (id int, description map[string]any) {
	c.t.Helper()
	for {
		m := c.json()
		if m["op"] != "advertise" {
			continue
		}
		for _, ch := range m["channels"].([]any) {
			if ch := ch.(map[string]any); ch["topic"] == topic {
				return int(ch["id"].(float64)), ch
			}
		}
	}
}

func (c *connection) subscribe(id, channel int) {
	c.t.Helper()
	c.say(fmt.Sprintf(`{"op":"subscribe","subscriptions":[{"id":%d,"channelId":%d}]}`, id, channel))
}

// TestAPublicClientDecodesLiveMessages: a WebSocket client and a decoder that are not ours.
func TestAPublicClientDecodesLiveMessages(t *testing.T) {
	python, err := filepath.Abs("../../../.venv/bin/python")
	require.NoError(t, err)
	if out, err := exec.Command(python, "-c", "import mcap_ros2, websockets").CombinedOutput(); err != nil {
		t.Skipf("NOT SHOWN: that a public client reads the messages: %v: %s", err, out)
	}
	for _, subprotocol := range []string{"foxglove.sdk.v1", "foxglove.websocket.v1"} {
		s := newScene(t)
		p := s.producer("pose", poseText, func(c *datablock.Config) { c.Flags |= datablock.Timestamp })
		q := s.producer("bytes", "", nil)
		r := s.producer("packed", "packed schema Packed { a: u8; b: f64; }", nil)
		send(t, p, pose(0))
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		run := exec.CommandContext(ctx, python, "testdata/client.py", "ws"+strings.TrimPrefix(s.server.URL, "http"),
			subprotocol, "5", "pose", "bytes", "packed")
		var said strings.Builder
		run.Stderr = &said
		out, err := run.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, run.Start())
		lines := bufio.NewScanner(out)
		next := func() map[string]any {
			t.Helper()
			require.True(t, lines.Scan(), "%s", said.String())
			line := map[string]any{}
			require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
			return line
		}
		line := next() // the newest message that was there before
		assert.Equal(t, "pose", line["topic"])
		at := time.Unix(0, int64(line["time"].(float64)))
		assert.Less(t, time.Since(at).Abs(), time.Hour)
		for id := range uint64(2) {
			if id == 1 {
				send(t, p, pose(id))
				line = next()
			}
			assert.Equal(t, map[string]any{"id": float64(id), "at": map[string]any{"x": 1.5, "y": -2.0},
				"name": []any{97.0, 114.0, 109.0, 0.0, 0.0}, "padding": []any{0.0, 0.0, 0.0}}, line["value"])
		}
		send(t, q, []byte{1, 2, 255})
		line = next()
		assert.Equal(t, "bytes", line["topic"])
		assert.Equal(t, map[string]any{"data": []any{1.0, 2.0, 255.0}}, line["value"])
		send(t, r, append([]byte{9}, binary.NativeEndian.AppendUint64(nil, 0x3ff8000000000000)...))
		line = next()
		assert.Equal(t, "packed", line["topic"])
		assert.Equal(t, map[string]any{"a": 9.0, "b": 1.5}, line["value"])
		send(t, p, pose(2))
		assert.Equal(t, 2.0, next()["value"].(map[string]any)["id"])
		require.NoError(t, run.Wait(), said.String())
	}
}

func TestChannelsComeAndGoWithTheirBlocks(t *testing.T) {
	s := newScene(t)
	c := s.connect()
	p := s.producer("pose", poseText, nil)
	id, described := c.channel("pose")
	assert.Equal(t, "datablock/msg/Pose", described["schemaName"])
	assert.Equal(t, "cdr", described["encoding"])
	assert.Equal(t, "ros2msg", described["schemaEncoding"])
	assert.Contains(t, described["schema"], "uint64 id\n")
	c.subscribe(7, id)
	send(t, p, pose(1))
	subscription, data := c.data()
	assert.EqualValues(t, 7, subscription)
	assert.Equal(t, pose(1), data)

	require.NoError(t, p.Close())
	p = s.producer("pose", poseText, nil) // takes the block over
	send(t, p, pose(2))
	_, data = c.data()
	assert.Equal(t, pose(2), data)

	require.NoError(t, p.Close())
	p = s.producer("pose", poseText, func(c *datablock.Config) { // another block, the same channel
		c.SlotCount = 20
		c.Flags |= datablock.Replace
	})
	send(t, p, pose(3))
	_, data = c.data()
	assert.Equal(t, pose(3), data)

	require.NoError(t, p.Close())
	other := s.producer("pose", "schema Other { a: u8; }", func(c *datablock.Config) { c.Flags |= datablock.Replace })
	assert.Equal(t, map[string]any{"op": "unadvertise", "channelIds": []any{float64(id)}}, c.json())
	newID, described := c.channel("pose")
	assert.NotEqual(t, id, newID, "another schema is another channel")
	assert.Equal(t, "datablock/msg/Other", described["schemaName"])
	c.subscribe(7, newID)
	send(t, other, []byte{5})
	_, data = c.data()
	assert.Equal(t, []byte{5}, data)

	c.say(`{"op":"unsubscribe","subscriptionIds":[7]}`)
	c.say(`{"op":"unsubscribe","subscriptionIds":[7]}`)
	assert.Contains(t, c.json()["message"], "there is no subscription 7")
	send(t, other, []byte{6})
	require.NoError(t, other.Close())
	require.NoError(t, datablock.Unlink("pose", s.dir, 0))
	assert.Equal(t, map[string]any{"op": "unadvertise", "channelIds": []any{float64(newID)}}, c.json(),
		"and not message 6")
}

func TestWrongCommandsAreAnswered(t *testing.T) {
	s := newScene(t)
	s.producer("pose", poseText, nil)
	c := s.connect()
	id, _ := c.channel("pose")
	c.subscribe(1, id)
	for _, said := range []struct{ text, want string }{
		{`{"op":"subscribe","subscriptions":[{"id":2,"channelId":99}]}`, "there is no channel 99"},
		{fmt.Sprintf(`{"op":"subscribe","subscriptions":[{"id":2,"channelId":%d}]}`, id),
			fmt.Sprintf("channel %d is subscribed to already", id)},
		{fmt.Sprintf(`{"op":"subscribe","subscriptions":[{"id":1,"channelId":%d}]}`, id),
			"subscription 1 exists already"},
		{`{"op":"unsubscribe","subscriptionIds":[5]}`, "there is no subscription 5"},
		{`{"op":"advertise","channels":[]}`, `does not support the operation "advertise"`},
		{`{"op":"subscribe","subscriptions":[{"id":-1}]}`, "cannot be read"},
		{`null`, `operation ""`},
	} {
		c.say(said.text)
		answer := c.json()
		assert.Equal(t, "status", answer["op"])
		assert.Contains(t, answer["message"], said.want, said.text)
	}
	c.say(`[1]`) // the same complaint, and not again so soon
	c.say(`{`)
	require.NoError(t, c.conn.Write(c.ctx, websocket.MessageBinary, []byte{1, 2, 3}))
	c.say(`{"op":"getParameters"}`)
	assert.Contains(t, c.json()["message"], "getParameters")
}

func TestWhoMayConnect(t *testing.T) {
	s := newScene(t)
	s.handler.MaxClients = 3
	s.handler.Origins = []string{"https://app.example.com"}
	c, err := s.dial("nonsense.v1", nil)
	require.NoError(t, err)
	_, _, err = c.conn.Read(c.ctx)
	assert.Equal(t, websocket.StatusPolicyViolation, websocket.CloseStatus(err))
	_, err = s.dial("foxglove.sdk.v1", http.Header{"Origin": {"https://evil.example.com"}})
	assert.ErrorContains(t, err, "403")
	for _, origin := range []string{"https://app.example.com", s.server.URL} {
		c, err = s.dial("foxglove.sdk.v1", http.Header{"Origin": {origin}})
		require.NoError(t, err)
		assert.Equal(t, "serverInfo", c.json()["op"])
	}
	require.Eventually(t, func() bool {
		c, err = s.dial("foxglove.sdk.v1", nil)
		return err == nil
	}, 10*time.Second, time.Millisecond, "the first ones have left")
	_, err = s.dial("foxglove.sdk.v1", nil)
	assert.ErrorContains(t, err, "503")
	answer, err := http.Get(s.server.URL)
	require.NoError(t, err)
	_ = answer.Body.Close()
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
}

func TestTheEndOfTheServerIsTold(t *testing.T) {
	s := newScene(t)
	s.producer("pose", poseText, nil)
	c := s.connect()
	id, _ := c.channel("pose")
	c.subscribe(1, id)
	go s.handler.Close()
	_, _, err := c.conn.Read(c.ctx)
	assert.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err), "%v", err)
	s.handler.Close()
	_, err = s.dial("foxglove.sdk.v1", nil)
	assert.ErrorContains(t, err, "503")
}

// TestASlowClientMissesMessages: a client that does not read holds neither the producer nor memory.
func TestASlowClientMissesMessages(t *testing.T) {
	s := newScene(t)
	const size = 1 << 20
	p := s.producer("large", "", func(c *datablock.Config) { c.SlotSize = size })
	slow, quick := s.connect(), s.connect()
	for _, c := range []*connection{slow, quick} {
		id, _ := c.channel("large")
		c.subscribe(1, id)
	}
	message := make([]byte, size)
	for n := range uint64(100) { // 100 MiB, more than any buffer of the system
		binary.NativeEndian.PutUint64(message, n)
		send(t, p, message)
		for { // the other client is not held up; it may miss some, too
			if kind, data, err := quick.conn.Read(quick.ctx); err != nil || kind == websocket.MessageBinary {
				require.NoError(t, err)
				if binary.NativeEndian.Uint64(data[21:]) == n {
					break
				}
			}
		}
	}
	seen, complained, last := 0, false, uint64(0)
	for last < 99 {
		kind, data, err := slow.conn.Read(slow.ctx)
		require.NoError(t, err)
		if kind == websocket.MessageText {
			complained = complained || strings.Contains(string(data), "too slow")
			continue
		}
		n := binary.NativeEndian.Uint64(data[21:])
		require.True(t, seen == 0 || n > last)
		seen, last = seen+1, n
	}
	assert.Less(t, seen, 90)
	for !complained {
		complained = strings.Contains(fmt.Sprint(slow.json()["message"]), "too slow")
	}
	_, participants, err := datablock.ReadMetrics("large", s.dir)
	require.NoError(t, err)
	assert.Len(t, participants, 1, "the producer")
}

// broken is a source whose blocks cannot be opened.
type broken struct {
	foxglove.Directory
	attempts *atomic.Int32
}

func (b broken) Open(string, follow.Start) (*follow.Reader, error) {
	b.attempts.Add(1)
	return nil, &datablock.Error{Code: datablock.ErrSecret, Detail: "the secret is another one"}
}

func TestABlockThatCannotBeOpenedIsToldOnce(t *testing.T) {
	s := newScene(t)
	s.producer("pose", poseText, nil)
	var attempts atomic.Int32
	h := foxglove.New(broken{foxglove.Directory(s.dir), &attempts})
	defer h.Close()
	server := httptest.NewServer(h)
	defer server.Close()
	s.server = server
	c := s.connect()
	id, _ := c.channel("pose")
	c.subscribe(1, id)
	assert.Contains(t, c.json()["message"], "the secret is another one")
	require.Eventually(t, func() bool { return attempts.Load() >= 3 }, 20*time.Second, time.Millisecond)
	c.say(`{"op":"nonsense"}`)
	assert.Contains(t, c.json()["message"], "nonsense", "and nothing else in between")
}
