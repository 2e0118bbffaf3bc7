package command

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"datablock/cmd/internal/decode"
	"datablock/cmd/internal/follow"
	"datablock/schema"
)

// printer collects the lines of messages until they are written.
type printer interface {
	message(follow.Message)
	event(kind string, count uint64, text string)
	Len() int
	WriteTo(io.Writer) (int64, error) // what was collected since the last call
}

// pending is what a printer has collected. Only JSON has a place for events.
type pending struct{ bytes.Buffer }

func (p *pending) event(string, uint64, string) {}

// newPrinter checks the fields of the command against a schema.
func newPrinter(e *echo, s *schema.Schema) (printer, error) {
	d := decode.New(s)
	var fields []decode.Field
	for _, path := range e.fields {
		f, err := d.Field(path)
		if path == "" {
			err = errors.New("the path is empty")
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("--field: %w", err)}
		}
		fields = append(fields, f)
	}
	switch {
	case e.a.json:
		return &jsonPrinter{decoder: d, fields: fields, hex: e.hex}, nil
	case e.csv:
		return newCSV(d, fields, e.hex, e.printer != nil)
	}
	return &textPrinter{decoder: d, fields: fields, hex: e.hex}, nil
}

// textPrinter shows messages as trees, or their fields in one line.
type textPrinter struct {
	pending
	decoder *decode.Decoder
	fields  []decode.Field
	hex     bool
}

func (p *textPrinter) message(m follow.Message) {
	v := p.decoder.Decode(m.Data)
	if len(p.fields) > 0 && !p.hex && p.flat() {
		fmt.Fprint(p, m.ID)
		for _, f := range p.fields {
			fmt.Fprintf(p, "  %s: %s", f.Path, textOf(f, v))
		}
		p.WriteByte('\n')
		return
	}
	fmt.Fprintf(p, "--- message %d", m.ID)
	if m.Timestamp != 0 {
		fmt.Fprintf(p, ", %s", time.Unix(0, int64(m.Timestamp)).Format("2006-01-02 15:04:05.000000"))
	}
	fmt.Fprintf(p, ", %d bytes\n", m.Length)
	if len(p.fields) == 0 {
		p.tree(v, m.Data, "")
		return
	}
	for _, f := range p.fields {
		part, err := f.In(v)
		if err != nil {
			fmt.Fprintf(p, "%s: (missing)\n", f.Path)
			continue
		}
		fmt.Fprintf(p, "%s:\n", f.Path)
		p.tree(part, part.Raw(), "  ")
	}
}

func (p *textPrinter) tree(v decode.Value, raw []byte, indent string) {
	lines := v.Lines("  ")
	if p.hex {
		lines = decode.Dump(raw, len(raw))
	}
	for _, line := range lines {
		p.WriteString(indent)
		p.WriteString(line)
		p.WriteByte('\n')
	}
}

// flat reports whether each field fits in a line.
func (p *textPrinter) flat() bool {
	return !slices.ContainsFunc(p.fields, func(f decode.Field) bool { return f.Type.Nested != nil })
}

func textOf(f decode.Field, v decode.Value) string {
	part, err := f.In(v)
	if err != nil {
		return "(missing)"
	}
	return part.String()
}

// jsonPrinter writes one object a line.
type jsonPrinter struct {
	pending
	decoder *decode.Decoder
	fields  []decode.Field
	hex     bool
}

type eventJSON struct {
	Event string `json:"event"`
	Count uint64 `json:"count,omitempty"`
	Text  string `json:"text"`
}

func (p *jsonPrinter) event(kind string, count uint64, text string) {
	_ = json.NewEncoder(p).Encode(eventJSON{kind, count, strings.TrimPrefix(text, "… ")})
}

func (p *jsonPrinter) message(m follow.Message) {
	v := p.decoder.Decode(m.Data)
	line := strconv.AppendUint(append(p.AvailableBuffer(), `{"id":`...), m.ID, 10)
	if m.Timestamp != 0 {
		line = append(line, `,"time":"`...)
		line = time.Unix(0, int64(m.Timestamp)).UTC().AppendFormat(line, time.RFC3339Nano)
		line = append(line, '"')
	}
	line = strconv.AppendUint(append(line, `,"length":`...), m.Length, 10)
	if v.Short > 0 {
		line = strconv.AppendUint(append(line, `,"short":`...), v.Short, 10)
	}
	switch {
	case len(p.fields) > 0:
		line = p.appendFields(append(line, `,"fields":{`...), v)
	case p.hex:
		line = p.appendValue(append(line, `,"hex":`...), v, m.Data)
	default:
		line = p.appendValue(append(line, `,"message":`...), v, m.Data)
		if len(v.Rest) > 0 {
			line = append(hex.AppendEncode(append(line, `,"rest":"`...), v.Rest), '"')
		}
	}
	p.Write(append(line, "}\n"...))
}

func (p *jsonPrinter) appendFields(to []byte, v decode.Value) []byte {
	for i, f := range p.fields {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(strconv.AppendQuote(to, f.Path), ':')
		part, err := f.In(v)
		if err != nil {
			to = append(to, "null"...)
			continue
		}
		to = p.appendValue(to, part, part.Raw())
	}
	return append(to, '}')
}

func (p *jsonPrinter) appendValue(to []byte, v decode.Value, raw []byte) []byte {
	if p.hex {
		return append(hex.AppendEncode(append(to, '"'), raw), '"')
	}
	return v.AppendJSON(to)
}

// csvPrinter writes a line of names and a line for each message.
type csvPrinter struct {
	pending
	decoder *decode.Decoder
	fields  []decode.Field
	columns []string
	hex     bool
	row     []string
}

// maxColumns is the largest number of columns. More are no table.
const maxColumns = 16384

func newCSV(d *decode.Decoder, fields []decode.Field, inHex, again bool) (*csvPrinter, error) {
	p := &csvPrinter{decoder: d, hex: inHex, columns: []string{"id", "time", "length"}}
	whole := len(fields) == 0
	if whole && d.Schema() != nil {
		fields = []decode.Field{{Type: schema.Type{Nested: &d.Schema().Layout}}}
	}
	switch {
	case whole && (inHex || d.Schema() == nil):
		p.columns = append(p.columns, "hex")
	case inHex:
		p.fields = fields
	default:
		for _, f := range fields {
			parts, all := f.Scalars(maxColumns - len(p.fields))
			p.fields = append(p.fields, parts...)
			if !all {
				return nil, usageError{fmt.Errorf("--csv: a message has more than %d values: choose some with --field",
					maxColumns)}
			}
		}
	}
	for _, f := range p.fields {
		p.columns = append(p.columns, f.Path)
	}
	if !again {
		p.line(p.columns)
	}
	return p, nil
}

// continues reports whether another printer writes the same columns.
func (p *csvPrinter) continues(other printer) bool {
	o, ok := other.(*csvPrinter)
	return ok && slices.Equal(p.columns, o.columns)
}

func (p *csvPrinter) line(cells []string) {
	w := csv.NewWriter(p)
	_ = w.Write(cells)
	w.Flush()
}

func (p *csvPrinter) message(m follow.Message) {
	v := p.decoder.Decode(m.Data)
	at := ""
	if m.Timestamp != 0 {
		at = time.Unix(0, int64(m.Timestamp)).UTC().Format(time.RFC3339Nano)
	}
	row := append(p.row[:0], strconv.FormatUint(m.ID, 10), at, strconv.FormatUint(m.Length, 10))
	if len(p.fields) == 0 {
		row = append(row, hex.EncodeToString(m.Data))
	}
	for _, f := range p.fields {
		part, err := f.In(v)
		switch {
		case err != nil:
			row = append(row, "")
		case p.hex:
			row = append(row, hex.EncodeToString(part.Raw()))
		default:
			row = append(row, part.Cell())
		}
	}
	p.row = row
	p.line(row)
}
