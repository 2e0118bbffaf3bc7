package foxglove

import (
	"encoding/binary"
	"strings"

	"datablock/cmd/internal/ros2"
)

// The messages of the server, in JSON.

type serverInfo struct {
	Op           string            `json:"op"` // serverInfo
	Name         string            `json:"name"`
	Capabilities []string          `json:"capabilities"`
	Metadata     map[string]string `json:"metadata"`
	SessionID    string            `json:"sessionId"`
}

type advertise struct {
	Op       string        `json:"op"` // advertise
	Channels []description `json:"channels"`
}

// description is a channel as clients see it.
type description struct {
	ID             uint32 `json:"id"`
	Topic          string `json:"topic"`
	Encoding       string `json:"encoding"`
	SchemaName     string `json:"schemaName"`
	Schema         string `json:"schema"`
	SchemaEncoding string `json:"schemaEncoding"`
}

func describe(c *channel) description {
	return description{c.id, strings.ToValidUTF8(c.name, "?"), ros2.Encoding, c.message.Name(), c.message.Text(),
		ros2.SchemaEncoding}
}

type unadvertise struct {
	Op         string   `json:"op"` // unadvertise
	ChannelIDs []uint32 `json:"channelIds"`
}

// level is how serious a status is.
type level int

const (
	warning level = 1
	failure level = 2
)

type status struct {
	Op      string `json:"op"` // status
	Level   level  `json:"level"`
	Message string `json:"message"`
}

// command is a message of the client. Only the fields of its op are set.
type command struct {
	Op              string         `json:"op"`
	Subscriptions   []subscription `json:"subscriptions"`   // subscribe
	SubscriptionIDs []uint32       `json:"subscriptionIds"` // unsubscribe
}

type subscription struct {
	ID        uint32 `json:"id"` // chosen by the client
	ChannelID uint32 `json:"channelId"`
}

// messageData is the operation code of the binary message with data.
const messageData = 1

// appendData appends what comes before the data: the numbers are little endian.
func appendData(to []byte, subscription uint32, nanoseconds uint64) []byte {
	to = binary.LittleEndian.AppendUint32(append(to, messageData), subscription)
	return binary.LittleEndian.AppendUint64(to, nanoseconds)
}
