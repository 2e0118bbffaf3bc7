// Command worker is a producer or a consumer that a test starts, controls and kills.
// tests/README.md describes the command line and the line protocol, which the workers of all
// languages share. This worker uses internal/core.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/schema"
)

// Exit codes that a test distinguishes.
const (
	exitUsage  = 2
	exitFailed = 3 // the block could not be opened
)

// options has the --key=value arguments. A key that no code asks for is an error, because a
// misspelt key would change the test.
type options struct {
	values map[string]string
	asked  map[string]bool
}

func parseOptions(args []string) options {
	o := options{map[string]string{}, map[string]bool{}}
	for _, arg := range args {
		key, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !strings.HasPrefix(arg, "--") {
			usage("%q is not --key=value", arg)
		}
		o.values[key] = value
	}
	return o
}

func (o options) text(key string) string {
	o.asked[key] = true
	return o.values[key]
}

func (o options) given(key string) bool {
	_, ok := o.values[key]
	o.asked[key] = true
	return ok
}

func (o options) number(key string, otherwise uint64) uint64 {
	text := o.text(key)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		usage("--%s=%s is not a number", key, text)
	}
	return n
}

// schema returns the schema of --schema=TEXT or --zone-schema=TEXT, or nil.
func (o options) schema(key string) *schema.Schema {
	text := o.text(key)
	if text == "" {
		return nil
	}
	s, err := schema.Parse(text)
	if err != nil {
		usage("--%s: %v", key, err)
	}
	return s
}

// timeout converts milliseconds as in C: -1 waits for ever.
func (o options) timeout() time.Duration {
	text := o.text("timeout")
	if text == "" || text == "-1" {
		return segment.Forever
	}
	return time.Duration(o.number("timeout", 0)) * time.Millisecond
}

func (o options) allAsked() {
	for key := range o.values {
		if !o.asked[key] {
			usage("--%s is unknown here", key)
		}
	}
}

func usage(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "worker: "+format+"\n", args...)
	os.Exit(exitUsage)
}

// say writes one line in one system call, so that a kill never leaves half of it.
func say(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

func sayError(err error) { say("error %s %s", statusName(err), err) }

// statusNames has the names of DATABLOCK_STATUS_LIST without their prefix, in its order.
var statusNames = [...]string{
	"OK", "TIMEOUT", "INVALID", "NOT_FOUND", "EXISTS", "PRODUCER_ACTIVE", "ACCESS", "SECRET", "CORRUPT", "VERSION",
	"GEOMETRY", "SCHEMA", "NO_SPACE", "FULL",
	"BUSY", "CLOSED", "SUPERSEDED", "FENCED", "OVERRUN", "LOST", "NO_PRODUCER", "NO_SPARE", "CHECKSUM", "FORKED",
	"HANDLE", "SYSTEM", "PANIC",
}

func statusName(err error) string { return statusNames[status.CodeOf(err)] }

// participant is the object of the commands.
type participant interface {
	// command executes a command and prints one line as the answer. It returns false for an unknown
	// command.
	command(word string, n uint64) bool
	close() error

	Lock(i uint32, timeout time.Duration) (abandoned bool, err error)
	Unlock(i uint32) error
	channel.Zoned
	patience() time.Duration
}

func main() {
	if len(os.Args) < 3 {
		usage("worker produce|consume|recover NAME [--key=value]...")
	}
	role, name, o := os.Args[1], os.Args[2], parseOptions(os.Args[3:])
	commands := bufio.NewScanner(os.Stdin)
	var open func() (participant, error)
	switch role {
	case "produce":
		open = producerOpener(name, o)
	case "consume":
		open = consumerOpener(name, o)
	case "recover":
		recoverBlock(name, o)
		return
	default:
		usage("%q is neither produce, consume nor recover", role)
	}
	wait, attempts := o.given("wait"), o.number("attempts", 0)
	o.allAsked()
	if attempts > 0 {
		repeatOpening(open, attempts)
		return
	}
	if wait {
		say("ready")
		commands.Scan()
	}
	p, err := open()
	if err != nil {
		say("failed %s %s", statusName(err), err)
		os.Exit(exitFailed)
	}
	say("attached")
	serve(p, commands)
}

// serve answers one command for each line until the input ends, then closes.
func serve(p participant, commands *bufio.Scanner) {
	for commands.Scan() {
		word, argument, _ := strings.Cut(commands.Text(), " ")
		n, _ := strconv.ParseUint(argument, 10, 64)
		switch word {
		case "close":
			if err := p.close(); err != nil {
				sayError(err)
				continue
			}
			say("closed")
		case "exit":
			os.Exit(0)
		case "descriptors":
			say("descriptors %d", descriptors())
		case "spawn":
			spawn()
		default:
			if !sharedCommand(p, word, n) && !p.command(word, n) {
				say("error UNSUPPORTED %s", word)
			}
		}
	}
	_ = p.close()
}

// repeatOpening opens and closes this many times, and reports whether descriptors are left.
func repeatOpening(open func() (participant, error), attempts uint64) {
	before, last := 0, error(nil)
	for i := range attempts + 1 {
		p, err := open()
		if err == nil {
			_ = p.close()
		}
		if i == 0 {
			before = descriptors() // the runtime has opened its own descriptors by now
		}
		last = err
	}
	say("attempts=%d status=%s before=%d after=%d", attempts, statusName(last), before, descriptors())
}

// spawn starts another program, which must inherit nothing of the block. The program ends by itself
// if the test does not end it.
func spawn() {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		say("error SYSTEM %v", err)
		return
	}
	say("forked %d", child.Process.Pid)
}

func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		usage("%v", err)
	}
	count := 0
	// ReadDir's own descriptor is closed by now. The Go runtime may open its poller at any time.
	for _, entry := range entries {
		target, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err == nil && !strings.HasPrefix(target, "anon_inode:[event") {
			count++
		}
	}
	return count
}

// recoverBlock executes one repair.
func recoverBlock(name string, o options) {
	path := filepath.Join(o.text("dir"), name)
	slot, older, action := uint32(o.number("slot", 0)), time.Duration(o.number("older", 0)), o.text("do")
	o.allAsked()
	result, err := 0, error(nil)
	switch action {
	case "release-readers":
		var r recovery.RecoveryResult
		r, err = recovery.ReleaseZombieReaders(path, "", slot)
		result = int(r)
	case "release-writer":
		var r recovery.RecoveryResult
		r, err = recovery.ReleaseZombieWriter(path, "", slot)
		result = int(r)
	case "cleanup":
		result, err = recovery.CleanupDeadConsumers(path, "", older)
	case "reset", "reset-force":
		var r recovery.RecoveryResult
		r, err = recovery.ForceResetSlot(path, "", slot, action == "reset-force")
		result = int(r)
	case "evict-force":
		var r recovery.RecoveryResult
		r, err = recovery.EvictConsumer(path, "", slot, true)
		result = int(r)
	case "repair":
		var r recovery.RecoveryResult
		r, _, err = recovery.Repair(path, "", false)
		result = int(r)
	case "unlink", "unlink-force":
		flags := uint32(0)
		if action == "unlink-force" {
			flags = segment.Force
		}
		err = recovery.Unlink(path, "", flags)
		result = int(status.CodeOf(err))
	default:
		usage("--do=%s is unknown", action)
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	say("result %d %s", result, text)
}
