package ros2

import (
	"strconv"
	"strings"
	"unicode"
)

// snake writes a name as ROS 2 wants the name of a field: small letters, digits and single
// underscores, with a letter first and no underscore last.
func snake(name string) string {
	var b strings.Builder
	last := rune('_')
	for i, r := range name {
		upper := unicode.IsUpper(r)
		next := rune(0)
		if i+1 < len(name) {
			next = rune(name[i+1])
		}
		begins := upper && last != '_' && (!unicode.IsUpper(last) || unicode.IsLower(next))
		if begins || r == '_' && last != '_' {
			b.WriteByte('_')
		}
		if r != '_' {
			b.WriteRune(unicode.ToLower(r))
		}
		last = r
	}
	text := strings.Trim(b.String(), "_")
	if text == "" || text[0] < 'a' {
		text = "f" + text
	}
	return text
}

// camel writes a name as ROS 2 wants the name of a message: letters and digits, a capital first.
func camel(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	text := b.String()
	if text == "" || text[0] < 'A' {
		text = "M" + text
	}
	return text
}

// names gives out each name once.
type names map[string]bool

func (n names) free(name, separator string) string {
	free := name
	for i := 2; n[free]; i++ {
		free = name + separator + strconv.Itoa(i)
	}
	n[free] = true
	return free
}
