package tidy

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var shrink = flag.Bool("shrink", false, "lower the numbers of exceptions.txt to what there is")

const exceptionsFile = "exceptions.txt"

// A place is a rule and a file.
type place struct{ rule, path string }

// An exception says how much of a rule's findings a file may have, and for files that stay so, why.
type exception struct {
	count  int
	reason string
}

func TestTheTreeIsTidy(t *testing.T) {
	files := tree(t)
	found := map[place][]finding{}
	for _, f := range files {
		for _, one := range look(f) {
			at := place{one.rule, f.path}
			found[at] = append(found[at], one)
		}
	}
	for folder, one := range packages(files) {
		found[place{one.rule, folder}] = []finding{one}
	}
	allowed := exceptions(t)
	if *shrink {
		write(t, found, allowed)
		return
	}
	for at, findings := range found {
		if n := weight(findings); n > allowed[at].count {
			t.Errorf("%s: %s: %d, and %d are allowed:%s", at.path, at.rule, n, allowed[at].count, list(findings))
		}
	}
	for at, exception := range allowed {
		if n := weight(found[at]); n < exception.count {
			t.Errorf("%s: %s: %d are allowed, and there are %d: run `go test ./tests/tidy -shrink`", at.path, at.rule, exception.count, n)
		}
	}
}

func weight(findings []finding) (sum int) {
	for _, one := range findings {
		sum += one.weight
	}
	return sum
}

func list(findings []finding) string {
	var text strings.Builder
	for i, one := range findings {
		if i == 20 {
			fmt.Fprintf(&text, "\n    and %d more", len(findings)-i)
			break
		}
		fmt.Fprintf(&text, "\n    line %d: %s", one.line, one.what)
	}
	return text.String()
}

// exceptions reads lines of the form "rule path count", with a reason behind a # where the exception is to stay.
func exceptions(t *testing.T) map[place]exception {
	t.Helper()
	allowed := map[place]exception{}
	file, err := os.Open(exceptionsFile)
	if os.IsNotExist(err) && *shrink {
		return allowed
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line, reason, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		count := 0
		if len(fields) == 3 {
			count, err = strconv.Atoi(fields[2])
		}
		if err != nil || count < 1 {
			t.Fatalf("%s: %q is not of the form: rule path count # reason", exceptionsFile, lines.Text())
		}
		allowed[place{fields[0], fields[1]}] = exception{count, strings.TrimSpace(reason)}
	}
	return allowed
}

// write never raises a number, unless there was no list at all.
func write(t *testing.T, found map[place][]finding, allowed map[place]exception) {
	t.Helper()
	first := len(allowed) == 0
	var lines []string
	for at, findings := range found {
		n := weight(findings)
		if !first {
			n = min(n, allowed[at].count)
		}
		if n == 0 {
			continue
		}
		line := fmt.Sprintf("%-14s %s %d", at.rule, at.path, n)
		if reason := allowed[at].reason; reason != "" {
			line += " # " + reason
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	head := "# What is not tidy yet: rule, file, number of places (of a rate or a length: the number itself), # why it stays.\n" +
		"# This list may only shrink: go test ./tests/tidy -shrink\n"
	if err := os.WriteFile(exceptionsFile, []byte(head+strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
