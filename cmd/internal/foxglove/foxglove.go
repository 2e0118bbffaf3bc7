// Package foxglove serves the messages of blocks over the WebSocket protocol of Foxglove, which
// Foxglove and PlotJuggler read live.
//
// Each block is a channel, whose messages are CDR with a ros2msg definition (package ros2). A
// subscriber gets the newest message, and then the messages to come. The server observes the
// blocks: it takes no row, and no client holds a producer up. No message is queued for a client. A
// client that is too slow for its blocks misses messages.
package foxglove

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"datablock"
	"datablock/cmd/internal/follow"
)

// Source is where the blocks are. Every goroutine may call it.
type Source interface {
	// Blocks returns the blocks that can be read now. A block that is left out is unadvertised.
	Blocks() ([]Block, error)
	// Open returns a reader of a block. The client closes it.
	Open(name string, start follow.Start) (*follow.Reader, error)
}

// Block is a block that clients may subscribe to.
type Block struct {
	Name   string
	Schema *datablock.Schema // nil: its messages are bytes
}

// Directory is the Source with all blocks of a directory, "" for the default one.
type Directory string

// Blocks implements Source. It leaves out what cannot be read as a block.
func (d Directory) Blocks() (all []Block, err error) {
	list, err := datablock.List(string(d))
	if err != nil {
		return nil, err
	}
	for _, b := range list {
		if b.State == 0 {
			continue
		}
		if s, err := datablock.BlockSchema(b.Name, string(d)); err == nil {
			all = append(all, Block{b.Name, s})
		}
	}
	return all, nil
}

// Open implements Source.
func (d Directory) Open(name string, start follow.Start) (*follow.Reader, error) {
	return follow.Open(name, follow.Options{Directory: string(d), Start: start})
}

// The subprotocols that a client may offer. Both have the messages that this server sends.
var subprotocols = []string{"foxglove.sdk.v1", "foxglove.websocket.v1"}

// Handler answers WebSocket requests. The fields may be set before the first request.
//
// A page of another site may open a WebSocket to this machine. The handler refuses the page unless
// Origins has its origin. The handler does not compare the Host of a request with the names of the
// server: the program that mounts the handler does.
type Handler struct {
	Name       string        // of the server, shown to users; default "DataBlock"
	Origins    []string      // of pages that may connect, beside the server's own; as websocket.AcceptOptions has them
	MaxClients int           // connected at once; default 32
	Interval   time.Duration // between two looks for blocks that came or went; default 1 s

	source  Source
	session string
	ctx     context.Context
	end     context.CancelFunc

	mutex   sync.Mutex
	clients map[*client]struct{}
	running sync.WaitGroup
	blocks  catalogue
	looking bool // a goroutine looks for blocks
}

// New returns a handler for the blocks of a source.
func New(source Source) *Handler {
	h := &Handler{Name: "DataBlock", MaxClients: 32, Interval: time.Second, source: source, session: rand.Text(),
		clients: map[*client]struct{}{}}
	h.ctx, h.end = context.WithCancel(context.Background())
	return h
}

// ServeHTTP implements http.Handler. It returns when the client's connection ends.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &client{handler: h, changed: make(chan struct{}, 1), commands: make(chan command, 16)}
	if !h.admit(c) {
		http.Error(w, "too many clients, or the server ends", http.StatusServiceUnavailable)
		return
	}
	defer h.leave(c)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: subprotocols, OriginPatterns: h.Origins})
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	if conn.Subprotocol() == "" {
		_ = conn.Close(websocket.StatusPolicyViolation, "offer the subprotocol "+subprotocols[0])
		return
	}
	c.conn = conn
	c.serve()
}

// admit adds a client, and looks for blocks as long as there is one.
func (h *Handler) admit(c *client) bool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.ctx.Err() != nil || len(h.clients) >= h.MaxClients {
		return false
	}
	h.clients[c] = struct{}{}
	h.running.Add(1)
	if !h.looking {
		h.looking = true
		h.running.Add(1)
		go h.look()
	}
	return true
}

func (h *Handler) leave(c *client) {
	h.mutex.Lock()
	delete(h.clients, c)
	h.mutex.Unlock()
	h.running.Done()
}

// look keeps the catalogue up to date until the last client leaves.
func (h *Handler) look() {
	defer h.running.Done()
	for {
		if blocks, err := h.source.Blocks(); err == nil {
			h.update(blocks)
		}
		select {
		case <-h.ctx.Done():
		case <-time.After(h.Interval):
		}
		h.mutex.Lock()
		if h.looking = len(h.clients) > 0 && h.ctx.Err() == nil; !h.looking {
			h.mutex.Unlock()
			return
		}
		h.mutex.Unlock()
	}
}

func (h *Handler) update(blocks []Block) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if !h.blocks.update(blocks) {
		return
	}
	for c := range h.clients {
		select {
		case c.changed <- struct{}{}:
		default: // it has not looked since the last change
		}
	}
}

// channels returns the channels that there are. The map is not changed any more.
func (h *Handler) channels() map[uint32]*channel {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.blocks.byID
}

// Close ends all connections, and waits until their goroutines have ended: about a second where a
// client does not answer.
func (h *Handler) Close() {
	h.end()
	h.running.Wait()
}
