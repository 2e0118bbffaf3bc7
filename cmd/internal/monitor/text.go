package monitor

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Number returns a rate or a count in at most six characters.
func Number(n float64) string { return scaled(n, 1000, []string{"", "k", "M", "G", "T", "P"}) }

// Bytes returns a number of bytes in at most eight characters.
func Bytes(n float64) string {
	return scaled(n, 1024, []string{" B", " KiB", " MiB", " GiB", " TiB", " PiB"})
}

func scaled(n, base float64, units []string) string {
	unit := 0
	for n >= base*0.9995 && unit+1 < len(units) {
		n /= base
		unit++
	}
	digits := 0
	switch {
	case n == float64(int64(n)) && unit == 0:
	case n < 9.995:
		digits = 2
	case n < 99.95:
		digits = 1
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + units[unit]
}

// Time returns a time in at most seven characters.
func Time(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	seconds := d.Seconds()
	for _, unit := range []struct {
		below, divide float64
		name          string
	}{
		{0.9995e-6, 1e-9, "ns"}, {0.9995e-3, 1e-6, "µs"}, {0.9995, 1e-3, "ms"}, {59.95, 1, "s"},
	} {
		if seconds < unit.below {
			return scaled(seconds/unit.divide, 1e9, []string{unit.name})
		}
	}
	switch minutes := int64(d.Minutes()); {
	case minutes < 60:
		return fmt.Sprintf("%dm%02ds", minutes, int64(seconds)%60)
	case minutes < 48*60:
		return fmt.Sprintf("%dh%02dm", minutes/60, minutes%60)
	case minutes < 100*24*60:
		return fmt.Sprintf("%dd%02dh", minutes/60/24, minutes/60%24)
	default:
		return fmt.Sprintf("%dd", minutes/60/24)
	}
}

// ShortTime returns a time of so many seconds in at most five characters.
func ShortTime(seconds float64) string {
	const day = 24 * 3600
	for _, unit := range []struct {
		below, divide float64
		name          string
	}{{0.9995e-3, 1e-6, "µs"}, {0.9995, 1e-3, "ms"}, {99.5, 1, "s"}, {99.5 * 60, 60, "m"}, {47.5 * 3600, 3600, "h"},
		{999.5 * day, day, "d"}} {
		if seconds < unit.below {
			value := seconds / unit.divide
			if value < 9.95 && unit.name == "s" {
				return strconv.FormatFloat(value, 'f', 1, 64) + unit.name
			}
			return strconv.FormatFloat(value, 'f', 0, 64) + unit.name
		}
	}
	return strconv.FormatFloat(seconds/(365.25*day), 'f', 0, 64) + "y"
}

// Printable shows a name that any attached process may have chosen, without the control characters
// that a terminal would obey.
func Printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
}
