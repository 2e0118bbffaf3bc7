package dashboard

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"datablock"
)

const (
	messageMost = 1 << 20 // bytes that are copied of a message
	hexMost     = 512     // bytes that are shown of a message without a schema
	linesMost   = 512     // of a decoded message
)

// messageJSON is the newest message.
type messageJSON struct {
	ID     uint64     `json:"id"`
	Length uint64     `json:"length"` // bytes
	Time   *time.Time `json:"time"`   // of the commit; null: the block stores none
	Value  any        `json:"value"`  // by the schema; null without one
	Lines  []lineJSON `json:"lines"`  // the same for people, or the bytes in hexadecimal
	Note   string     `json:"note,omitempty"`
}

type lineJSON struct {
	Path  string `json:"path"`
	Value string `json:"value"`
}

// newestMessage copies the newest message, as an observer that no participant sees. nil: there is
// none.
func (n *snapshot) newestMessage(name string, slotSize uint64) (*messageJSON, error) {
	observer, err := datablock.OpenObserver(name, datablock.ObserverOptions{Directory: n.directory})
	if err != nil {
		return nil, err
	}
	defer observer.Close()
	content := make([]byte, min(slotSize, messageMost))
	seen, err := observer.ReadNewest(content)
	if errors.Is(err, datablock.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &messageJSON{ID: seen.ID, Length: seen.Length, Lines: []lineJSON{}}
	if seen.Timestamp != 0 {
		at := time.Unix(0, int64(seen.Timestamp))
		m.Time = &at
	}
	content = content[:min(uint64(len(content)), seen.Length)]
	schema, err := observer.Schema()
	if err != nil {
		m.Note = err.Error()
	}
	m.decode(schema, content)
	return m, nil
}

// dump shows bytes in hexadecimal.
func (m *messageJSON) dump(content []byte) {
	const row = 16
	shown := content[:min(len(content), hexMost)]
	for at := 0; at < len(shown); at += row {
		text := hex.EncodeToString(shown[at:min(at+row, len(shown))])
		m.Lines = append(m.Lines, lineJSON{fmt.Sprintf("%04x", at), text})
	}
	if uint64(len(shown)) < m.Length {
		m.Note = fmt.Sprintf("The first %d of %d bytes.", len(shown), m.Length)
	}
}
