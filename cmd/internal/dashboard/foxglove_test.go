package dashboard

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFoxgloveConnects: from its own program and from allowed sites, and not from others.
func TestFoxgloveConnects(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "camera", Does: "stream", Every: 10 * time.Millisecond})
	s := serve(t, Options{Directory: dir, Origins: []string{"app.foxglove.dev"}})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dial := func(origin string) (*websocket.Conn, *http.Response, error) {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		return websocket.Dial(ctx, strings.Replace(s.base, "http", "ws", 1)+foxglovePath,
			&websocket.DialOptions{HTTPHeader: header, Subprotocols: []string{"foxglove.sdk.v1"}})
	}
	for _, origin := range []string{"https://evil.example", "https://app.foxglove.dev.evil.example"} {
		_, answer, err := dial(origin)
		require.Error(t, err)
		assert.Equal(t, http.StatusForbidden, answer.StatusCode, origin)
	}
	for _, origin := range []string{"", s.base, "https://app.foxglove.dev"} {
		connection, _, err := dial(origin)
		require.NoError(t, err, origin)
		for said := ""; !strings.Contains(said, `"camera"`); {
			_, text, err := connection.Read(ctx)
			require.NoError(t, err)
			said += string(text)
		}
		defer func() { _ = connection.CloseNow() }()
	}
	answer, _ := s.ask("GET", foxglovePath, "", "Host", "evil.example")
	assert.Equal(t, http.StatusMisdirectedRequest, answer.StatusCode)
	s.stop() // with open connections
	err := <-s.ended
	s.ended <- err
	require.NoError(t, err)
}

func TestFoxgloveNeedsTheTokenWhereReadingDoes(t *testing.T) {
	s := serve(t, Options{Actions: true, Private: true})
	answer, _ := s.ask("GET", foxglovePath, "")
	assert.Equal(t, http.StatusUnauthorized, answer.StatusCode)
}
