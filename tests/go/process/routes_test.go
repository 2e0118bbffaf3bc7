package process_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"datablock/internal/core/recovery"

	"datablock/internal/layout"

	"github.com/stretchr/testify/require"
)

// route leads a victim through a part of its life. k.env may make it die on the way. The returned
// worker has ended or stays at its last step. nil: the victim died during the open.
type route struct {
	name string
	walk func(k *kill) (victim *worker, died bool)
}

// routes has the routes by the first word of their crash points. A new point is tried with the
// routes of its word. A point with a new word is tried with all routes.
var routes = map[string][]route{
	"claim":   {writing, reclaiming},
	"wake":    {writing, makingRoom, adopting, cleaningUp},
	"unlink":  {unlinking},
	"gate":    {joinedMeanwhile, writing},
	"commit":  {writing},
	"abort":   {aborting},
	"create":  {creating, replacing},
	"collect": {creatingOverGarbage, replacing},
	"adopt":   {adopting, adoptingAfterClose},
	"replace": {replacing, replacingByForce},
	"attach": {attaching("lossless", "latest"), attaching("lossless", "oldest"), attaching("ordered", "oldest"),
		attaching("latest", "latest"), returning, returningUnbound},
	"join": {attaching("lossless", "latest"), attaching("lossless", "oldest"),
		reading("lossless", "--start=oldest"), returningUnbound},
	"read": {reading("lossless"), reading("ordered"), reading("latest"), readingAt, catchingUp("lossless"),
		catchingUp("ordered")},
	"release": {reading("lossless"), reading("ordered"), reading("latest"), catchingUp("lossless"),
		catchingUp("ordered")},
	"sleep": {heldUp, reading("lossless"), reading("ordered"), reading("latest"), reading("lossless", "--any"),
		reading("latest", "--any")},
	"close": {closing(""), closing("unlink"), detaching("lossless"), detaching("ordered")},
	"detach": {detaching("lossless"), detaching("ordered"), detaching("latest"),
		detaching("lossless", "--durable", "--name=log")},
	"clean": {releasingTheDead, releasingTheDurableDead, cleaningUp, releasingReaders, closing(""),
		attaching("lossless", "latest"), creatingOverGarbage},
	"recover": {releasingTheWriter, resettingTheDead, fencingTheLiving, discarding, evicting},
	"lock":    {locking, zoning},
	"zone":    {zoning},
	"repair":  {repairingDamage},
	// On Windows several calls exchange two files, or remove one.
	"exchange": {replacing, replacingByForce},
	"remove":   {unlinking, closing("unlink"), replacing, creatingOverGarbage},
}

func allRoutes() (all []route) {
	seen := map[string]bool{}
	for _, some := range routes {
		for _, r := range some {
			if !seen[r.name] {
				seen[r.name] = true
				all = append(all, r)
			}
		}
	}
	return all
}

var writing = route{"writing", func(k *kill) (*worker, bool) {
	v := k.victimWriter(k.geometry...)
	if v == nil {
		return nil, true
	}
	k.watch()
	k.bystander("ordered")
	k.bystander("latest")
	return v, v.drive("write 100", "write 100")
}}

// reclaiming: the witness reads when the ring is full, so that a claim that waits reclaims.
var reclaiming = route{"reclaiming", func(k *kill) (*worker, bool) {
	k.geometry, k.reclaims = k.withFlag("reclaim"), true
	v := k.victimWriter(k.geometry...)
	if v == nil {
		return nil, true
	}
	k.attachWitness()
	k.bystander("ordered")
	v.send("write 100")
	k.witness.send("read 0")
	return v, v.diesInstead() || v.drive("write 200")
}}

// joinedMeanwhile: LOSSLESS consumers attach one after the other while the victim writes 2,000
// messages per second, until each has attached. After a pause of 0.1 s the library calls Go for the
// claim, and passes the points of Go alone. Therefore the victim has its next command before it
// needs it, a pause of a busy machine has to come at every attach, and a consumer that would keep
// the victim waiting detaches before the next one.
var joinedMeanwhile = route{"joined_meanwhile", func(k *kill) (*worker, bool) {
	v := k.victimWriter(append(k.geometry[:len(k.geometry):len(k.geometry)], "--rate=2000")...)
	if v == nil {
		return nil, true
	}
	for range 3 {
		k.startWitness()
		died := v.writesUntil(k.witness.hasNews)
		k.witness.attached()
		// The first claim after the attach is in these 20, at the latest.
		if died || v.drive("write 20") {
			k.witness.send("read 0")
			return v, true
		}
		k.witness.close()
		k.witness = nil
	}
	return v, false
}}

var aborting = route{"aborting", func(k *kill) (*worker, bool) {
	v := k.victimWriter(k.geometry...)
	if v == nil {
		return nil, true
	}
	k.watch()
	return v, v.drive("write 3", "claim", "abort", "claim", "abort", "write 3")
}}

var heldUp = route{"held_up", func(k *kill) (*worker, bool) {
	v := k.victimWriter(k.geometry...)
	if v == nil {
		return nil, true
	}
	k.attachWitness()
	died := v.drive("write 20") // until its timeout
	k.witness.send("read 0")
	return v, died
}}

var creating = route{"creating", func(k *kill) (*worker, bool) {
	v := k.victimWriter(k.geometry...)
	return v, v == nil
}}

var creatingOverGarbage = route{"creating_over_garbage", func(k *kill) (*worker, bool) {
	dead := k.begin(
		launch{language: k.others, role: "produce", args: k.geometry, env: []string{"DATABLOCK_CRASH=create.filled"}})
	require.Nil(k.t, dead, "create.filled is on the way of every creator")
	return creating.walk(k)
}}

// predecessor writes some messages and dies.
func predecessor(k *kill) {
	k.start()
	k.bystander("latest")
	k.producer.write(3 * ring)
	k.producer.ask("claim", "claimed")
	k.producer.kill()
	k.producer = nil
}

var adopting = route{"adopting", func(k *kill) (*worker, bool) {
	predecessor(k)
	v := k.victimWriter(k.geometry...)
	return v, v == nil
}}

var adoptingAfterClose = route{"adopting_after_close", func(k *kill) (*worker, bool) {
	k.start()
	k.producer.write(3 * ring)
	k.producer.close()
	k.producer = nil
	v := k.victimWriter(k.geometry...)
	return v, v == nil
}}

var replacing = route{"replacing", func(k *kill) (*worker, bool) {
	predecessor(k)
	k.replacement = k.producerArgs("--slots=16", "--flags=replace")
	v := k.victimWriter(k.replacement...)
	return v, v == nil
}}

// replacingByForce displaces a living producer with an open claim.
var replacingByForce = route{"replacing_by_force", func(k *kill) (*worker, bool) {
	k.start()
	k.producer.write(3 * ring)
	k.producer.ask("claim", "claimed")
	k.claims = true
	k.replacement = k.producerArgs("--slots=16", "--flags=replace,force")
	v := k.victimWriter(k.replacement...)
	return v, v == nil
}}

func closing(flags string) route {
	return route{"closing_" + flags, func(k *kill) (*worker, bool) {
		v := k.victimWriter(k.withFlag(flags)...)
		if v == nil {
			return nil, true
		}
		k.watch()
		return v, v.drive("write 20", "close")
	}}
}

func attaching(delivery, start string) route {
	return route{"attaching_" + delivery + "_" + start, func(k *kill) (*worker, bool) {
		k.start()
		k.producer.write(3 * ring)
		v := k.victimReader(delivery, "--start="+start)
		return v, v == nil
	}}
}

// returning attaches again under a durable name.
var returning = route{"returning", func(k *kill) (*worker, bool) {
	k.start()
	durable := []string{"--durable", "--name=log"}
	first := k.consumer(k.others, "lossless", durable...)
	for range 2 {
		k.producer.write(1)
		first.read(1)
	}
	k.producer.write(1)
	first.ask("hold", "holding 2")
	first.kill()
	v := k.victimReader("lossless", durable...)
	died := v == nil || v.drive("hold", "close")
	last := k.consumer(k.others, "lossless", durable...)
	require.Equal(k.t, "2", last.read(1)["first"], "a durable consumer continues where it stopped")
	last.send("read 0")
	k.stay = append(k.stay, last)
	return v, died
}}

// returningUnbound returns to a producer that has never seen it. It joins again, and no message
// that it has released is redelivered.
var returningUnbound = route{"returning_unbound", func(k *kill) (*worker, bool) {
	k.start()
	k.producer.write(k.slots)
	durable := []string{"--durable", "--name=log", "--start=oldest"}
	first := k.consumer(k.others, "lossless", durable...)
	require.Equal(k.t, "0", first.read(1)["first"])
	first.kill()
	v := k.victimReader("lossless", durable...)
	died := v == nil || v.drive("close")
	last := k.consumer(k.others, "lossless", durable...)
	if !k.producer.busy() { // in the test of stops, the producer waits for the durable row already
		k.producer.write(1)
	}
	require.Equal(k.t, "1", last.read(1)["first"], "what was released does not come again")
	last.send("read 0")
	k.stay = append(k.stay, last)
	return v, died
}}

func reading(delivery string, args ...string) route {
	return route{"reading_" + strings.Join(append([]string{delivery}, args...), "_"), func(k *kill) (*worker, bool) {
		k.start()
		k.producer.write(1)
		v := k.victimReader(delivery, args...)
		if v == nil {
			return nil, true
		}
		v.send("read 0") // until its timeout
		k.producer.send("write 100")
		return v, k.readsTheHundred(v)
	}}
}

// readsTheHundred: the victim reads until the producer has written 100 messages.
func (k *kill) readsTheHundred(v *worker) (died bool) {
	k.t.Helper()
	died = v.diesInstead()
	for !died && k.producer.busy() { // the timeout has ended the wait for a slow producer
		died = v.drive("read 0")
	}
	k.producer.wrote(100)
	return died
}

// makingRoom: the producer waits for the victim when the victim begins to read. While both work,
// the producer usually waits for the witness alone, which reports each message.
var makingRoom = route{"making_room", func(k *kill) (*worker, bool) {
	k.start()
	k.producer.write(1)
	v := k.victimReader("lossless")
	if v == nil {
		return nil, true
	}
	k.producer.send("write 100")
	k.heldUp(k.producer)
	v.send("read 0") // until its timeout
	return v, k.readsTheHundred(v)
}}

// catchingUp reads the available messages, and never waits.
func catchingUp(delivery string) route {
	return route{"catching_up_" + delivery, func(k *kill) (*worker, bool) {
		k.start()
		k.producer.write(k.slots)
		v := k.victimReader(delivery, "--start=oldest")
		return v, v == nil || v.drive(fmt.Sprintf("read %d", k.slots))
	}}
}

var readingAt = route{"reading_at", func(k *kill) (*worker, bool) {
	k.start()
	v := k.victimReader("ordered", "--pins=2")
	if v == nil {
		return nil, true
	}
	k.producer.write(5)
	return v, v.drive("hold-at 4", fmt.Sprintf("hold-at %d", 5-min(4, k.slots)), "check", "release", "release")
}}

// locking waits for a lock of another participant, then takes it alone. A participant has slept, so
// the release wakes.
var locking = route{"locking", func(k *kill) (*worker, bool) {
	k.start()
	other := k.consumer(k.others, "latest")
	other.ask("lock 3", "locked 3 free")
	v := k.victimReader("latest")
	if v == nil {
		return nil, true
	}
	if died := v.drive("lock 3"); died { // the timeout ends this wait
		other.close()
		return v, true
	}
	other.ask("unlock 3", "unlocked 3")
	died := v.drive("lock 3", "lock 3", "unlock 3")
	other.send("lock 3")
	if !died {
		sleeping := int64(layout.CtlSpinLocks + 3*layout.CacheLine + layout.LockSleepers)
		eventually(k.t, func() bool { return uint32(k.word(k.controlPath(), sleeping))&1 == 1 }, "the other one sleeps")
		died = v.drive("unlock 3")
	}
	other.expect("locked 3 ")
	other.close()
	return v, died
}}

// zoning changes the zone twice. The next participant sees the victim's last sealed contents, or
// gets the status for a death inside the zone.
var zoning = route{"zoning", func(k *kill) (*worker, bool) {
	k.start()
	other := k.consumer(k.others, "latest")
	v := k.victimReader("latest")
	if v == nil {
		return nil, true
	}
	died := v.drive("zone 1", "zone 1")
	if answer := other.ask("zone 5", "zone ", "error CHECKSUM"); answer[0] == 'z' {
		require.Contains(k.t, []string{"zone 5", "zone 6", "zone 7"}, answer)
	} else {
		require.True(k.t, died, answer)
	}
	other.close()
	return v, died
}}

func detaching(delivery string, args ...string) route {
	return route{fmt.Sprintf("detaching_%s%v", delivery, args), func(k *kill) (*worker, bool) {
		k.start()
		v := k.victimReader(delivery, args...)
		if v == nil {
			return nil, true
		}
		k.producer.write(min(5, k.slots))
		died := v.drive("read 1", "close")
		if len(args) > 0 { // it must attach again, or it would cause backpressure for ever
			last := k.consumer(k.others, delivery, args...)
			last.send("read 0")
			k.stay = append(k.stay, last)
		}
		return v, died
	}}
}

// deadReader is a LOSSLESS consumer that was killed while it held the first of some messages.
func deadReader(k *kill, args ...string) {
	d := k.consumer(k.others, "lossless", append(args, "--start=oldest")...)
	d.send("hold")
	k.producer.write(min(5, k.slots))
	d.expect("holding 0")
	d.kill()
}

var releasingTheDead = route{"releasing_the_dead", func(k *kill) (*worker, bool) {
	v := k.victimWriter(k.geometry...)
	if v == nil {
		return nil, true
	}
	k.watch()
	k.producer = v
	deadReader(k)
	k.producer = nil
	return v, v.drive("write 20")
}}

// releasingTheDurableDead: the backpressure of a durable consumer outlives its process, so the
// consumer must attach again.
var releasingTheDurableDead = route{"releasing_the_durable_dead", func(k *kill) (*worker, bool) {
	v := k.victimWriter(k.geometry...)
	if v == nil {
		return nil, true
	}
	k.watch()
	k.producer = v
	deadReader(k, "--durable", "--name=log")
	k.producer = nil
	died := v.drive("write 20")
	last := k.consumer(k.others, "lossless", "--durable", "--name=log")
	last.send("read 0")
	k.stay = append(k.stay, last)
	return v, died
}}

func repairing(args ...string) func(k *kill) (*worker, bool) {
	return func(k *kill) (*worker, bool) {
		k.start()
		deadReader(k)
		return k.repair(args...)
	}
}

var cleaningUp = route{"cleaning_up", repairing("--do=cleanup")}

var releasingReaders = route{"releasing_readers", func(k *kill) (*worker, bool) {
	k.start()
	deadReader(k)
	for _, s := range k.diagnosis().Slots {
		if s.Stuck {
			return k.repair("--do=release-readers", "--slot="+strconv.Itoa(int(s.Index)))
		}
	}
	k.t.Fatal("the diagnosis shows no slot that a dead reader holds")
	return nil, false
}}

var releasingTheWriter = route{"releasing_the_writer", func(k *kill) (*worker, bool) {
	predecessor(k)
	for _, s := range k.diagnosis().Slots {
		if s.State == recovery.SlotWriting {
			require.True(k.t, s.Stuck, "the claim of a dead producer")
			return k.repair("--do=release-writer", "--slot="+strconv.Itoa(int(s.Index)))
		}
	}
	k.t.Fatal("the diagnosis shows no claim")
	return nil, false
}}

// unlinking removes a block with readers. The next producer makes a new block.
var unlinking = route{"unlinking", func(k *kill) (*worker, bool) {
	predecessor(k)
	k.again = "the next producer creates the block, or finishes the removal"
	return k.repair("--do=unlink-force")
}}

// resettingTheDead ends a dead producer's claim as releasingTheWriter does, but for all slots of
// the block.
var resettingTheDead = route{"resetting_the_dead", func(k *kill) (*worker, bool) {
	predecessor(k)
	return k.repair("--do=reset", fmt.Sprintf("--slot=%d", k.claimedSlot()))
}}

// fencingTheLiving fences the claim of a living producer. If the fence is set, the commit is
// refused, and the next claim has the same id.
var fencingTheLiving = route{"fencing_the_living", func(k *kill) (*worker, bool) {
	k.start()
	k.producer.write(3)
	k.producer.ask("claim", "claimed 3")
	w, died := k.repair("--do=reset-force", fmt.Sprintf("--slot=%d", k.claimedSlot()))
	answer := k.producer.ask("commit", "committed 3", "error FENCED")
	require.True(k.t, died || answer[0] == 'e', answer)
	return w, died
}}

// discarding marks a message LOST that all consumers have read.
var discarding = route{"discarding", func(k *kill) (*worker, bool) {
	k.start()
	k.producer.write(3)
	var slot uint32
	eventually(k.t, func() bool {
		for _, s := range k.diagnosis().Slots {
			if s.State == recovery.SlotCommitted && s.MessageID == 2 {
				slot = s.Index
			}
		}
		for _, r := range k.diagnosis().Rows {
			if r.Delivery == layout.Lossless && r.Cursor < 3 {
				return false
			}
		}
		return true
	}, "all have read")
	return k.repair("--do=reset-force", fmt.Sprintf("--slot=%d", slot))
}}

// evicting takes the row of a reader that holds a slot. After the eviction the reader gets FENCED.
var evicting = route{"evicting", func(k *kill) (*worker, bool) {
	k.start()
	hung := k.consumer(k.others, "ordered")
	hung.send("hold")
	k.producer.write(3)
	hung.expect("holding")
	row, found := k.row(hung.pid())
	require.True(k.t, found)
	w, died := k.repair("--do=evict-force", fmt.Sprintf("--slot=%d", row.Row))
	answer := hung.ask("release", "released", "error FENCED")
	require.True(k.t, died || answer[0] == 'e', answer)
	hung.close()
	return w, died
}}

// repair runs a repair in the victim's language.
func (k *kill) repair(args ...string) (*worker, bool) {
	k.t.Helper()
	w := k.launch(launch{language: k.victim, role: "recover", args: args, env: k.env})
	line, ok := w.next()
	<-w.ended
	if ok {
		require.Equal(k.t, "result ", line[:7])
	}
	return w, !ok
}

// repairingDamage has one damage of each kind. If the victim dies, the next repair completes the
// work.
var repairingDamage = route{"repairing_damage", func(k *kill) (*worker, bool) {
	predecessor(k)
	k.damage()
	w, died := k.repair("--do=repair")
	if died {
		k.again = "a second repair finishes the work"
		result, left, err := recovery.Repair(block, k.dir, false)
		require.Contains(k.t, []recovery.RecoveryResult{recovery.RecoverySuccess, recovery.RecoveryNotStuck}, result,
			"%v %v", err,
			left)
	}
	i, err := recovery.ValidateIntegrity(block, k.dir)
	require.NoError(k.t, err)
	require.True(k.t, i.Healthy(), i.Message())
	return w, died
}}

// damage changes everything that can be reconstructed from the rest: headers, words, an entry's
// slot, the header of a slot. It changes the files in place, because other processes have them
// mapped, and only messages that they have read.
func (k *kill) damage() {
	k.t.Helper()
	require.Eventually(k.t, func() bool {
		d := k.diagnosis()
		for _, r := range d.Rows {
			if r.Delivery == layout.Lossless && r.Cursor < d.Block.NextID {
				return false
			}
		}
		return true
	}, 10*time.Second, time.Millisecond)
	k.edit(k.controlPath(), func(p []byte) {
		p[layout.CtlSize] ^= 1
		p[layout.CtlActive+24] |= 0x80
	})
	k.edit(k.dataPath(), func(p []byte) {
		ring, payload, stride := layout.SchemaRegion, binary.LittleEndian.Uint64(p[layout.HdrPayloadOffset:]),
			binary.LittleEndian.Uint64(p[layout.HdrStride:])
		slot := layout.EntrySlot(binary.LittleEndian.Uint64(p[ring+8:]))
		if k.slots > 2 { // with fewer messages a repair could not decide which words are right
			p[payload+uint64(slot)*stride-layout.SlotHeader+layout.SlotID+7] ^= 1
		}
		p[ring+2] ^= 0x80
		p[layout.HdrSlotSize+6] ^= 4
		p[layout.State] = 77
	})
}

// edit changes the bytes of a file in place, because another process may have it mapped.
func (b *fixture) edit(path string, change func([]byte)) {
	b.t.Helper()
	before, err := os.ReadFile(path)
	require.NoError(b.t, err)
	after := append([]byte(nil), before...)
	change(after)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(b.t, err)
	defer f.Close()
	for at := range after {
		if after[at] != before[at] {
			_, err := f.WriteAt(after[at:at+1], int64(at))
			require.NoError(b.t, err)
		}
	}
}
