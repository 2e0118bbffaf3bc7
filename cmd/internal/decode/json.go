package decode

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// MarshalJSON returns the value as JSON:
//
//   - a struct is an object whose members have the order of the schema, and an array is an array;
//   - integers are exact, also above 2^53;
//   - NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity";
//   - a bool whose byte is neither 0 nor 1 is the number of the byte;
//   - a byte of a text that is not UTF-8 is written as \xNN (as Python's "backslashreplace" does);
//   - bytes without a schema are base64.
//
// Characters that are not printable are escaped, so that a terminal can show the line. It does not
// fail. What the message lacks is left out; Rest is not part of the JSON.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// AppendJSON appends what MarshalJSON returns.
func (v Value) AppendJSON(to []byte) []byte {
	switch v.Kind() {
	case Struct:
		to = append(to, '{')
		first := true
		for name, part := range v.Fields() {
			if !first {
				to = append(to, ',')
			}
			first = false
			to = append(append(append(to, '"'), name...), '"', ':')
			to = part.AppendJSON(to)
		}
		return append(to, '}')
	case Array:
		to = append(to, '[')
		for i := range v.items() {
			if i > 0 {
				to = append(to, ',')
			}
			to = v.item(i).AppendJSON(to)
		}
		return append(to, ']')
	case Bytes:
		to = base64.StdEncoding.AppendEncode(append(to, '"'), v.data)
		return append(to, '"')
	}
	return v.appendScalar(to)
}

func (v Value) appendScalar(to []byte) []byte {
	switch n := v.Any().(type) {
	case int64:
		return strconv.AppendInt(to, n, 10)
	case uint64:
		return strconv.AppendUint(to, n, 10)
	case float32:
		return appendFloat(to, float64(n), 32)
	case float64:
		return appendFloat(to, n, 64)
	case bool:
		return strconv.AppendBool(to, n)
	case string:
		return appendText(to, n)
	}
	return append(to, "null"...)
}

// appendFloat appends the shortest number that reads as the same value.
func appendFloat(to []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(to, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(to, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(to, `"-Infinity"`...)
	}
	return appendDecimal(to, f, bits)
}

func appendDecimal(to []byte, f float64, bits int) []byte {
	format := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(to, f, format, -1, bits)
}

const hexDigits = "0123456789abcdef"

// appendText appends a JSON string.
func appendText(to []byte, text string) []byte {
	return append(appendEscaped(append(to, '"'), text, true), '"')
}

// appendEscaped appends a text that a terminal can show. inJSON: the text is in quotes, where a
// quote and a backslash are escaped, too.
func appendEscaped(to []byte, text string, inJSON bool) []byte {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			if inJSON {
				to = append(to, '\\')
			}
			to = append(to, '\\', 'x', hexDigits[text[i]>>4], hexDigits[text[i]&15])
		case inJSON && (r == '"' || r == '\\'):
			to = append(to, '\\', byte(r))
		case r == '\n':
			to = append(to, '\\', 'n')
		case r == '\t':
			to = append(to, '\\', 't')
		case r == '\r':
			to = append(to, '\\', 'r')
		case unicode.IsPrint(r):
			to = append(to, text[i:i+size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			to = appendUnit(appendUnit(to, high), low)
		default:
			to = appendUnit(to, r)
		}
		i += size
	}
	return to
}

// Cell returns a scalar or a text for a table or a CSV file: as in JSON, without quotes. Only
// characters that are not printable and bytes that are not UTF-8 are escaped in a text. Bytes are
// hexadecimal. A struct and an array are JSON, and a scalar that the message lacks is "".
func (v Value) Cell() string {
	switch n := v.Any().(type) {
	case nil:
		if kind := v.Kind(); kind == Struct || kind == Array {
			return string(v.AppendJSON(nil))
		}
		return ""
	case string:
		return string(appendEscaped(nil, n, false))
	case []byte:
		return hex.EncodeToString(n)
	}
	return strings.Trim(string(v.appendScalar(nil)), `"`)
}

func appendUnit(to []byte, u rune) []byte {
	return append(to, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
}
