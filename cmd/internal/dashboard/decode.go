package dashboard

import (
	"fmt"
	"strings"

	"datablock/cmd/internal/decode"

	"datablock"
)

const itemsMost = 16 // of an array, in a line or as lines

// decode makes the value and the lines of a message. Without a schema the lines are its bytes.
func (m *messageJSON) decode(s *datablock.Schema, content []byte) {
	if s == nil {
		m.dump(content)
		return
	}
	value := decode.New(s).Decode(content)
	m.Value = value
	m.add("", value)
	switch {
	case uint64(len(content)) < m.Length:
		m.Note = fmt.Sprintf("The first %d of %d bytes.", len(content), m.Length)
	case value.Short > 0:
		m.Note = fmt.Sprintf("The message is %d bytes too short for its schema.", value.Short)
	case len(value.Rest) > 0:
		m.Note = fmt.Sprintf("%d more bytes follow.", len(value.Rest))
	}
}

// add appends the lines of a value: a line for each scalar, and for each array of scalars.
func (m *messageJSON) add(path string, v decode.Value) {
	if len(m.Lines) == linesMost {
		m.Lines = append(m.Lines, lineJSON{"…", "more fields follow"})
	}
	if len(m.Lines) > linesMost {
		return
	}
	switch v.Kind() {
	case decode.Struct:
		for name, field := range v.Fields() {
			m.add(strings.TrimPrefix(path+"."+name, "."), field)
		}
	case decode.Array:
		m.addArray(path, v)
	default:
		m.Lines = append(m.Lines, lineJSON{path, string(v.AppendJSON(nil))})
	}
}

func (m *messageJSON) addArray(path string, v decode.Value) {
	var texts []string
	for i, item := range v.Items() {
		if i == itemsMost {
			texts = append(texts, fmt.Sprintf("… (%d)", v.Len()))
			break
		}
		if kind := item.Kind(); kind == decode.Struct || kind == decode.Array {
			m.add(fmt.Sprintf("%s[%d]", path, i), item)
		} else {
			texts = append(texts, string(item.AppendJSON(nil)))
		}
	}
	if len(texts) > 0 || v.Len() == 0 {
		m.Lines = append(m.Lines, lineJSON{path, strings.Join(texts, ", ")})
	}
}
