// Command orchestrate is the demo. It starts the other programs of its folder, and kills some of
// them with SIGKILL at the worst moment. It runs datablock-admin before and after each kill, checks
// that the other programs continue, and prints a table at the end. It leaves nothing behind in any
// case. With --quick it takes about five seconds.
//
// The command is not a participant of the block. It gets its knowledge by diagnosis from outside.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/platform"
)

const (
	fullScene  = 3000 * time.Millisecond
	quickScene = 500 * time.Millisecond
)

func init() {
	runtime.LockOSThread() // the programs die with their parent thread, and this thread lives as long as the process
}

func main() {
	quick := flag.Bool("quick", false, "be done in about five seconds")
	flag.Parse()
	if flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	// A closed terminal or pipe ends the demo like Ctrl-C. During the clean-up all of these signals
	// have no effect.
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP,
		syscall.SIGPIPE)
	defer cancel()

	d := &demo{ctx: ctx, screen: newScreen(), block: fmt.Sprintf("demo-%d", os.Getpid()), scene: fullScene}
	if *quick {
		d.scene = quickScene
	}
	err := d.run()
	err = errors.Join(err, d.clearUp())
	switch {
	case err == nil:
		d.print("\neverything as promised")
	case ctx.Err() != nil:
		d.print("\ninterrupted; nothing was left behind")
		os.Exit(130)
	default:
		d.print("\nFAILED: %v", err)
		os.Exit(1)
	}
}

// demo is one run.
type demo struct {
	*screen
	ctx   context.Context
	block string
	scene time.Duration // the time without kills between two kills

	started             []*process
	producer            *process
	checker, slow, live *process // the consumers that survive
	again               *process // a killed and restarted reader, while it reads
	kills               []kill
}

// kill is a line of the final table.
type kill struct {
	what   string
	others time.Duration // until the checker read another message
}

func (d *demo) run() error {
	if err := recovery.Unlink(d.block, "", 0); err != nil && status.CodeOf(err) != status.NotFound {
		return err // a block of an earlier process with this pid
	}
	begin := time.Now()
	for _, act := range []func() error{d.opening, d.killReader, d.killLosslessReader, d.killProducer,
		d.killProducerAndRelease, d.finale} {
		if err := act(); err != nil {
			return err
		}
	}
	d.print("  took %.1f s", time.Since(begin).Seconds())
	return nil
}

// start runs a program on the block.
func (d *demo) start(name string, args ...string) (*process, error) {
	p, err := start(d.screen, name, append([]string{d.block}, args...)...)
	if err == nil {
		d.started = append(d.started, p)
	}
	return p, err
}

func (d *demo) opening() (err error) {
	d.print("A producer (C) samples this machine 1000 times a second into block %q, see %s.", d.block,
		filepath.Join(directory(), d.block))
	d.print("It has three consumers: a checker of every message (Python, LOSSLESS), a slow one that gets " +
		"the number of missed messages (C, ORDERED), and a display of the")
	d.print("newest (Go, LATEST).\n")
	if d.producer, err = d.start("producer"); err != nil {
		return err
	}
	if _, err = d.until("the block", func(look *recovery.Diagnosis) bool { return look.Block.NextID > 0 }); err != nil {
		return err
	}
	if d.checker, err = d.start("checker"); err != nil {
		return err
	}
	if d.slow, err = d.start("slow"); err != nil {
		return err
	}
	if d.live, err = d.start("live"); err != nil {
		return err
	}
	if err := d.goOn(); err != nil {
		return err
	}
	return d.watch(d.scene)
}

// killReader: a dead reader with a hazard pointer keeps one slot from the producer, which has
// others.
func (d *demo) killReader() error {
	d.print("\n1. A LATEST reader takes a message, holds it, and is killed with -9.\n")
	hung, err := d.startHung("latest")
	if err != nil {
		return err
	}
	var id uint64
	var slot uint32
	_, err = d.until("a slot that only the reader still holds", func(look *recovery.Diagnosis) bool {
		return hung.scan("holding message %d in slot %d", &id, &slot) && look.Slots[slot].State == recovery.SlotDraining
	})
	if err != nil {
		return err
	}
	if err := d.killHung(hung, "a LATEST reader that held a slot"); err != nil {
		return err
	}
	d.print("  The others need no repair, and after a while the producer takes the slot back by itself. Who " +
		"wants it at once:")
	if err := d.admin("release-zombie-readers", "--slot", fmt.Sprint(slot)); err != nil {
		return err
	}
	if err := d.admin("diagnose"); err != nil {
		return err
	}
	return d.startAgain("latest")
}

// killLosslessReader: a hanging LOSSLESS reader causes backpressure, as its delivery requires.
// After its death it must not.
func (d *demo) killLosslessReader() error {
	d.print("\n2. A LOSSLESS reader stands still: when the ring is full, the producer waits for it. Then it " +
		"is killed with -9.\n")
	hung, err := d.startHung("lossless")
	if err != nil {
		return err
	}
	_, err = d.until("a producer that waits", func(look *recovery.Diagnosis) bool {
		return slices.ContainsFunc(look.Slots,
			func(s recovery.SlotDiagnosis) bool {
				return s.WriterWaiting && s.MessageID == reader(look, hung).Cursor
			})
	})
	if err != nil {
		return err
	}
	if err := d.killHung(hung, "a LOSSLESS reader that held the producer up"); err != nil {
		return err
	}
	return d.startAgain("lossless")
}

// startReading starts a reader, and waits until the reader has read a message.
func (d *demo) startReading(delivery string) (*process, error) {
	p, err := d.start("reader", delivery)
	if err != nil {
		return nil, err
	}
	_, err = d.until("the reader's first messages", func(look *recovery.Diagnosis) bool {
		return reader(look,
			p).Read > 0
	})
	return p, err
}

// startHung starts a reader that hangs: it holds a message, and does not release it.
func (d *demo) startHung(delivery string) (*process, error) {
	p, err := d.startReading(delivery)
	if err == nil {
		p.signal(syscall.SIGUSR1)
	}
	return p, err
}

// startAgain restarts a killed reader, which reads beside the others for a while, and closes.
func (d *demo) startAgain(delivery string) error {
	if err := d.healthy(); err != nil {
		return err
	}
	p, err := d.startReading(delivery)
	if err != nil {
		return err
	}
	d.print("  It is started again, and reads on beside the others.\n")
	d.again = p
	if err := d.watch(d.scene); err != nil {
		return err
	}
	d.again = nil
	p.signal(syscall.SIGTERM)
	return d.untilEnded(p)
}

// killHung kills a hanging reader, and measures the time until the checker reads another message.
func (d *demo) killHung(hung *process, what string) error {
	if err := d.admin("diagnose"); err != nil {
		return err
	}
	begin := d.kill(hung)
	now, err := recovery.Diagnose(d.block, "")
	if err != nil {
		return err
	}
	before := reader(now, d.checker).Read
	if _, err := d.until("the checker to read on",
		func(look *recovery.Diagnosis) bool { return reader(look, d.checker).Read > before }); err != nil {
		return err
	}
	d.record(what, time.Since(begin))
	<-hung.ended
	return d.admin("diagnose")
}

// killProducer: the claim of a dead producer blocks no participant. The next producer takes it
// over.
func (d *demo) killProducer() error {
	d.print("\n3. The producer claims a slot, and is killed with -9 before it commits. Another one is started " +
		"at once.\n")
	begin, claim, err := d.killClaiming()
	if err != nil {
		return err
	}
	return d.restart("the producer between claim and commit, and a new one", begin, claim)
}

// killProducerAndRelease: the same, but an operator releases the claim while there is no producer.
func (d *demo) killProducerAndRelease() error {
	d.print("\n4. The same once more, and the dead claim is released by hand while nobody writes.\n")
	begin, claim, err := d.killClaiming()
	if err != nil {
		return err
	}
	if err := d.admin("release-zombie-writer", "--slot", fmt.Sprint(claim.slot)); err != nil {
		return err
	}
	if err := d.admin("diagnose"); err != nil {
		return err
	}
	return d.restart("the same, with release_zombie_writer in between", begin, claim)
}

type claim struct {
	message uint64
	slot    uint32
}

// killClaiming makes the producer stop between claim and commit, and kills it there.
func (d *demo) killClaiming() (begin time.Time, c claim, err error) {
	d.producer.signal(syscall.SIGUSR1)
	_, err = d.until("an open claim, and a checker that has read everything before it",
		func(look *recovery.Diagnosis) bool {
			return d.producer.scan("claimed message %d in slot %d", &c.message, &c.slot) &&
				reader(look, d.checker).Cursor == c.message
		})
	if err != nil {
		return begin, c, err
	}
	if err := d.admin("diagnose"); err != nil {
		return begin, c, err
	}
	victim := d.producer
	d.producer = nil
	begin = d.kill(victim)
	<-victim.ended
	return begin, c, d.admin("diagnose")
}

// restart starts the producer again. The producer writes the message that was claimed and never
// committed, so no id is left out.
func (d *demo) restart(what string, begin time.Time, c claim) (err error) {
	if d.producer, err = d.start("producer"); err != nil {
		return err
	}
	_, err = d.until("the checker to read on",
		func(look *recovery.Diagnosis) bool { return reader(look, d.checker).Cursor > c.message })
	if err != nil {
		return err
	}
	d.record(what, time.Since(begin))
	if err := d.admin("diagnose"); err != nil {
		return err
	}
	return d.peace()
}

// kill kills the process, and returns the time.
func (d *demo) kill(p *process) time.Time {
	d.print("  $ kill -9 %d", p.pid())
	begin := time.Now()
	p.signal(syscall.SIGKILL)
	return begin
}

func (d *demo) record(what string, took time.Duration) {
	d.kills = append(d.kills, kill{what, took})
	d.print("  The checker read on %.1f ms after the kill.", milliseconds(took))
}

// admin runs datablock-admin on the block, and shows its output.
func (d *demo) admin(subcommand string, args ...string) error {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	args = append([]string{subcommand, "--shm-name", d.block}, args...)
	cmd, err := command(ctx, "../datablock-admin", args...)
	if err != nil {
		return err
	}
	said, err := cmd.CombinedOutput()
	d.print("  $ datablock-admin %s", strings.Join(args, " "))
	for line := range strings.Lines(string(said)) {
		d.print("%s", strings.TrimRight("    "+line, " \n"))
	}
	if err != nil && cmd.ProcessState.ExitCode() != 1 { // 1: success, but something needs attention
		return fmt.Errorf("datablock-admin %s: %w", subcommand, err)
	}
	return nil
}

// peace waits until nothing is left of the dead processes, and lets the others run.
func (d *demo) peace() error {
	if err := d.healthy(); err != nil {
		return err
	}
	d.print("")
	return d.watch(d.scene)
}

// clearUp ends every started process by its pid, and removes the block.
func (d *demo) clearUp() error {
	for _, p := range d.started {
		p.signal(syscall.SIGKILL) // safe for all of them
	}
	for _, p := range d.started {
		<-p.ended
	}
	if err := recovery.Unlink(d.block, "", segment.Force); err != nil && status.CodeOf(err) != status.NotFound {
		return err
	}
	// A producer that was killed while it created the block leaves files without a name.
	if _, err := segment.CollectGarbage(""); err != nil {
		return err
	}
	files, err := os.ReadDir(directory())
	for _, f := range files {
		if f.Name() == d.block || strings.HasPrefix(f.Name(), d.block+".") {
			err = errors.Join(err, fmt.Errorf("left behind: %s", f.Name()))
		}
	}
	return err
}

// directory returns the directory of the block.
func directory() string {
	if dir := os.Getenv("DATABLOCK_DIR"); dir != "" {
		return dir
	}
	return platform.DefaultDirectory
}
