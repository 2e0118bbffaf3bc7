package core

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// asNobody runs f as another user, as far as files are concerned.
func asNobody(t *testing.T, f func()) {
	if os.Geteuid() != 0 {
		t.Skip("NOT SHOWN: who may do what with a block of another user: it takes root to become one")
	}
	done := make(chan struct{})
	var refused error
	go func() {
		defer close(done)
		// And never unlocked: only this thread is another user, and it ends with the goroutine.
		runtime.LockOSThread()
		if _, _, failed := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); failed != 0 {
			refused = failed
			return
		}
		_ = unix.Setfsgid(65534)
		_ = unix.Setfsuid(65534)
		// The call returns the old value, and changes nothing.
		if now, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, ^uintptr(0), 0, 0); now != 65534 {
			refused = unix.EPERM
			return
		}
		f()
	}()
	<-done
	if refused != nil {
		t.Skipf("NOT SHOWN: who may do what with a block of another user: this root may not become one: %v", refused)
	}
}

func TestWhoMayReadTheDataFileAlone(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 4)
	config.Mode, config.Schema = 0o644, schemaOf(t, "schema A 1.0.0 { x: u64; }")
	p := b.producer(config)
	write(t, p, 1)
	require.NoError(t, os.Chmod(b.dir, 0o755))
	asNobody(t, func() {
		s, err := BlockSchema("x", b.dir)
		if assert.NoError(t, err, "what an observer may ask") {
			assert.Equal(t, config.Schema.Hash(), s.Hash())
		}
		o, err := OpenObserver("x", ObserverOptions{Directory: b.dir})
		if assert.NoError(t, err) {
			_, err = o.ReadNewest(make([]byte, 8))
			assert.NoError(t, err)
			assert.NoError(t, o.Close())
		}
		for what, look := range map[string]func() error{
			"attach":   func() error { _, err := b.openConsumer(ConsumerOptions{}); return err },
			"status":   func() error { _, _, err := ReadMetrics("x", b.dir); return err },
			"diagnose": func() error { _, err := Diagnose("x", b.dir); return err },
			"validate": func() error { _, err := ValidateIntegrity("x", b.dir); return err },
		} {
			err := look()
			assert.ErrorIs(t, err, Access, what)
			assert.ErrorContains(t, err, "this one can be looked at: an observer needs the data file only", what)
			assert.ErrorContains(t, err, "0640: its group, 0646: everybody", what)
		}
		_, err = OpenProducer("x", config)
		assert.ErrorIs(t, err, Access)
		assert.NotContains(t, err.Error(), "this one can be looked at", "it is not known that it can be read")
	})
}

// TestTheModesThatAreAdvised: with each advised mode other users can do what the hint says.
func TestTheModesThatAreAdvised(t *testing.T) {
	for _, c := range []struct {
		mode                      uint32
		attach, produce, look     bool // others
		groupAttach, groupProduce bool
	}{
		{0o640, false, false, false, true, false},
		{0o660, false, false, false, true, true},
		{0o644, false, false, true, true, false},
		{0o646, true, false, true, true, false},
	} {
		data, control := modes(c.mode)
		may := func(shift int) (attach, produce, look bool) {
			look = data>>shift&4 != 0
			attach = look && control>>shift&6 == 6
			return attach, attach && data>>shift&2 != 0, look
		}
		attach, produce, look := may(0)
		assert.Equal(t, [3]bool{c.attach, c.produce, c.look}, [3]bool{attach, produce, look}, "others, 0%o", c.mode)
		attach, produce, _ = may(3)
		assert.Equal(t, [2]bool{c.groupAttach, c.groupProduce}, [2]bool{attach, produce}, "its group, 0%o", c.mode)
	}
}
