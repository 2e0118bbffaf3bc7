package foxglove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"datablock"
	"datablock/cmd/internal/follow"
)

// The limits of a client.
const (
	commandMost  = 1 << 20          // bytes of one command
	writeTimeout = 10 * time.Second // to take one message
	endTimeout   = time.Second      // the same, when the server ends
	pingInterval = 15 * time.Second
	slowWrite    = 100 * time.Millisecond // a client that takes longer gets only the newest messages
	turnMost     = 32                     // messages of one block before those of the next one
	batchMost    = 100                    // channels in one message
	reopenAfter  = 100 * time.Millisecond
	repeatAfter  = 10 * time.Second // of the same complaint
)

// client is one connection. Only the goroutine of serve writes data, and changes the fields.
type client struct {
	handler  *Handler
	conn     *websocket.Conn
	changed  chan struct{} // the catalogue is another one
	commands chan command

	channels map[uint32]*channel // advertised
	feeds    map[uint32]*feed    // by subscription
	order    []*feed
	buffer   []byte
	skipping bool // the last message took long to write
	said     map[string]time.Time
}

// feed is a subscription.
type feed struct {
	id      uint32
	channel *channel
	reader  *follow.Reader // nil while the block cannot be read
	retry   time.Time      // when to open it again
	start   follow.Start
}

// serve runs the connection until it ends, or the handler does.
func (c *client) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	c.conn.SetReadLimit(commandMost)
	c.channels, c.feeds, c.said = map[uint32]*channel{}, map[uint32]*feed{}, map[string]time.Time{}
	var others sync.WaitGroup
	others.Go(func() {
		defer cancel()
		c.listen(ctx)
	})
	others.Go(func() {
		defer cancel()
		c.keepAlive(ctx)
	})
	if err := c.pump(ctx); errors.Is(err, errServerEnds) {
		defer time.AfterFunc(endTimeout, cancel).Stop() // for a client that does not answer
		_ = c.conn.Close(websocket.StatusGoingAway, err.Error())
	}
	cancel()
	_ = c.conn.CloseNow()
	others.Wait()
	for _, f := range c.order {
		f.close()
	}
}

var errServerEnds = errors.New("the server ends")

// listen passes the commands of the client on.
func (c *client) listen(ctx context.Context) {
	for {
		kind, text, err := c.conn.Read(ctx)
		if err != nil {
			return
		}
		var next command
		if kind != websocket.MessageText || json.Unmarshal(text, &next) != nil {
			next = command{Op: "?"}
		}
		select {
		case c.commands <- next:
		case <-ctx.Done():
			return
		}
	}
}

// keepAlive ends the connection of a client that does not answer.
func (c *client) keepAlive(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pingInterval):
		}
		limited, cancel := context.WithTimeout(ctx, writeTimeout)
		err := c.conn.Ping(limited)
		cancel()
		if err != nil {
			return
		}
	}
}

// pump sends what there is to send, until the connection fails or the server ends.
func (c *client) pump(ctx context.Context) error {
	err := c.send(ctx, serverInfo{"serverInfo", c.handler.Name, []string{}, map[string]string{}, c.handler.session})
	if err == nil {
		err = c.send(ctx, advertise{"advertise", []description{}}) // the protocol promises at least one
	}
	if err == nil {
		err = c.advertise(ctx)
	}
	now := make(chan time.Time)
	close(now)
	var pause follow.Pause
	for err == nil {
		var sent bool
		if sent, err = c.forward(ctx); err != nil {
			break
		}
		look := (<-chan time.Time)(now)
		switch {
		case sent:
			pause.Reset()
		case len(c.order) == 0:
			look = nil
		default:
			look = time.After(pause.Next())
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.handler.ctx.Done():
			err = errServerEnds
		case <-c.changed:
			err = c.advertise(ctx)
		case next := <-c.commands:
			err = c.obey(ctx, next)
		case <-look:
		}
	}
	return err
}

// advertise tells the client which blocks came and went.
func (c *client) advertise(ctx context.Context) error {
	now := c.handler.channels()
	var gone []uint32
	for id := range c.channels {
		if now[id] == nil {
			gone = append(gone, id)
		}
	}
	var came []description
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if c.channels[id] == nil {
			came = append(came, describe(now[id]))
		}
	}
	c.channels = now
	for _, f := range slices.Clone(c.order) {
		if now[f.channel.id] == nil {
			c.remove(f)
		}
	}
	if len(gone) > 0 {
		slices.Sort(gone)
		if err := c.send(ctx, unadvertise{"unadvertise", gone}); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(came, batchMost) {
		if err := c.send(ctx, advertise{"advertise", batch}); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) obey(ctx context.Context, next command) error {
	switch next.Op {
	case "subscribe":
		for _, s := range next.Subscriptions {
			if why := c.subscribe(s); why != "" {
				if err := c.complain(ctx, failure, why); err != nil {
					return err
				}
			}
		}
	case "unsubscribe":
		for _, id := range next.SubscriptionIDs {
			f := c.feeds[id]
			if f == nil {
				if err := c.complain(ctx, warning, fmt.Sprintf("there is no subscription %d", id)); err != nil {
					return err
				}
				continue
			}
			c.remove(f)
		}
	case "?":
		return c.complain(ctx, failure, "a message of the client cannot be read: it must be a JSON object with op")
	default:
		return c.complain(ctx, warning, fmt.Sprintf("this server does not support the operation %.40q", next.Op))
	}
	return nil
}

// subscribe adds a subscription, or returns why not.
func (c *client) subscribe(s subscription) string {
	ch := c.channels[s.ChannelID]
	switch {
	case ch == nil:
		return fmt.Sprintf("there is no channel %d", s.ChannelID)
	case c.feeds[s.ID] != nil:
		return fmt.Sprintf("subscription %d exists already", s.ID)
	case slices.ContainsFunc(c.order, func(f *feed) bool { return f.channel == ch }):
		return fmt.Sprintf("channel %d is subscribed to already", s.ChannelID)
	}
	f := &feed{id: s.ID, channel: ch, start: follow.Newest}
	c.feeds[s.ID] = f
	c.order = append(c.order, f)
	return ""
}

func (c *client) remove(f *feed) {
	f.close()
	delete(c.feeds, f.id)
	c.order = slices.DeleteFunc(c.order, func(one *feed) bool { return one == f })
}

func (f *feed) close() {
	if f.reader != nil {
		_ = f.reader.Close()
		f.reader = nil
	}
}

// forward sends messages of each block in turn, and reports whether there was one.
func (c *client) forward(ctx context.Context) (sent bool, err error) {
	for _, f := range c.order {
		for range turnMost {
			m, err := f.next(c)
			switch {
			case err == nil:
				if err := c.sendMessage(ctx, f, m); err != nil {
					return sent, err
				}
				sent = true
				continue
			case errors.Is(err, follow.ErrNothing):
			case errors.Is(err, datablock.ErrSuperseded):
				f.close()
				f.start, f.retry = follow.Oldest, time.Time{}
			case errors.Is(err, datablock.ErrChecksum), errors.Is(err, datablock.ErrInvalid):
				if err := c.complain(ctx, warning, err.Error()); err != nil {
					return sent, err
				}
			default:
				f.close()
				f.retry = time.Now().Add(reopenAfter)
				if err := c.complain(ctx, failure, err.Error()); err != nil {
					return sent, err
				}
			}
			break
		}
	}
	return sent, nil
}

// next returns the next message of the block. It opens the block first if that is due.
func (f *feed) next(c *client) (m follow.Message, err error) {
	if f.reader == nil {
		if time.Now().Before(f.retry) {
			return m, follow.ErrNothing
		}
		f.retry = time.Now().Add(reopenAfter)
		r, err := c.handler.source.Open(f.channel.name, f.start)
		if errors.Is(err, datablock.ErrNotFound) {
			return m, follow.ErrNothing // until the catalogue says that it is gone
		} else if err != nil {
			return m, err
		}
		if hashOf(r.Schema()) != f.channel.schema { // it is another channel, soon
			_ = r.Close()
			return m, follow.ErrNothing
		}
		f.reader = r
	}
	if c.skipping {
		return f.reader.Skip()
	}
	return f.reader.Next()
}

// sendMessage sends the data of a block.
func (c *client) sendMessage(ctx context.Context, f *feed, m follow.Message) error {
	at := m.Timestamp
	if at == 0 {
		at = uint64(time.Now().UnixNano())
	}
	data, err := f.channel.message.Append(appendData(c.buffer[:0], f.id, at), m.Data)
	c.buffer = data
	if err != nil {
		return c.complain(ctx, warning, fmt.Sprintf("block %q: %v", f.channel.name, err))
	}
	began := time.Now()
	if err := c.write(ctx, websocket.MessageBinary, data); err != nil {
		return err
	}
	c.skipping = time.Since(began) > slowWrite
	if m.Missed > 0 || c.skipping {
		return c.complain(ctx, warning, fmt.Sprintf("the connection is too slow for block %q: messages are left out",
			f.channel.name))
	}
	return nil
}

func (c *client) send(ctx context.Context, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return c.write(ctx, websocket.MessageText, text)
}

func (c *client) write(ctx context.Context, kind websocket.MessageType, data []byte) error {
	limited, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	defer context.AfterFunc(c.handler.ctx, func() { time.AfterFunc(endTimeout, cancel) })()
	return c.conn.Write(limited, kind, data)
}

// complain shows a text to the user of the client, the same one not too often.
func (c *client) complain(ctx context.Context, l level, text string) error {
	now := time.Now()
	if last, said := c.said[text]; said && now.Sub(last) < repeatAfter {
		return nil
	}
	const most = 100
	if len(c.said) >= most {
		clear(c.said)
	}
	c.said[text] = now
	return c.send(ctx, status{"status", l, text})
}
