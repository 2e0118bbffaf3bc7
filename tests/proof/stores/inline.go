package stores

import (
	"os"
	"regexp"
	"strings"
)

var (
	definition = regexp.MustCompile(`(?m)^[A-Za-z][^;{}=#/]*?\b(\w+)\([^;{}]*\) \{\n`)
	event      = regexp.MustCompile(
		`DATABLOCK_CRASH_POINT\("|__atomic_(?:store_n|exchange_n|compare_exchange_n|add_fetch|fetch_or)\(|\b(\w+)\(`)
)

// figuresInC has the words of `figures`, and the words of a handle, which no other process sees.
var figuresInC = []string{"_METRIC_", "_HEARTBEAT", "_ROW_READ", "_ROW_BYTES", "_ROW_MISSED", "_ROW_WAITS",
	"_ROW_WAIT_NS", "_ROW_TIMEOUTS", "&self->", "_CLAIM_SINCE"}

// ReadC reads the functions of a C file, line by line. Lines count as steps in their order.
func ReadC(file string, known map[string]summary, gaps map[string]bool) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	source := string(text)
	for _, at := range definition.FindAllStringSubmatchIndex(source, -1) {
		name := source[at[2]:at[3]]
		body, _, _ := strings.Cut(source[at[1]:], "\n}\n")
		known[name] = walkC(name, body, known, gaps)
	}
	return nil
}

func walkC(name, body string, known map[string]summary, gaps map[string]bool) summary {
	s := summary{through: true}
	last := "" // the last effect without a crash point since
	do := func(this string) {
		if last != "" {
			gaps[name+": "+last+" → "+this] = true
		}
		s.head = s.head || s.through
		s.through = false
		last = this
	}
	for _, at := range event.FindAllStringSubmatchIndex(body, -1) {
		what := body[at[0]:at[1]]
		line, _, _ := strings.Cut(body[at[0]:], ";")
		line = strings.Join(strings.Fields(line), " ")
		called, isCall := summary{}, at[2] >= 0
		if isCall {
			called = known[body[at[2]:at[3]]]
		}
		switch {
		case strings.HasPrefix(what, "DATABLOCK_CRASH_POINT"):
			last, s.through = "", false
		case figureInC(line):
		case !isCall, what == "datablock_inline_poke(", what == "datablock_inline_count(":
			do(line)
		case called.head:
			do(line)
			if !called.tail {
				last = ""
			}
		case called.tail:
			last, s.through = line, false
		}
	}
	s.tail = last != ""
	return s
}

func figureInC(line string) bool {
	for _, word := range figuresInC {
		if strings.Contains(line, word) {
			return true
		}
	}
	return false
}
