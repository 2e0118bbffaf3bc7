package channel

import (
	"os"
	"path/filepath"
	"testing"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/core/coretest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhoMayReadTheDataFileAlone(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Mode, config.Schema = 0o644, schemaOf(t, "schema A 1.0.0 { x: u64; }")
	p := b.producer(config)
	write(t, p, 1)
	require.NoError(t, os.Chmod(b.dir, 0o755))
	coretest.AsNobody(t, func() {
		s, err := segment.BlockSchema("x", b.dir)
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
			"attach":   func() error { _, err := b.openConsumer(segment.ConsumerOptions{}); return err },
			"status":   func() error { _, _, err := recovery.ReadMetrics("x", b.dir); return err },
			"diagnose": func() error { _, err := recovery.Diagnose("x", b.dir); return err },
			"validate": func() error { _, err := recovery.ValidateIntegrity("x", b.dir); return err },
		} {
			err := look()
			assert.ErrorIs(t, err, status.Access, what)
			assert.ErrorContains(t, err, "this one can be looked at: an observer needs the data file only", what)
			assert.ErrorContains(t, err, "0640: its group, 0646: everybody", what)
		}
		_, err = OpenProducer("x", config)
		assert.ErrorIs(t, err, status.Access)
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
		data, control := segment.FileModes(c.mode)
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

func TestANameThatCannotBeLookedUpEndsNoBlock(t *testing.T) {
	hide := map[string]func(t *testing.T, b fixture, f func()){
		"rights given up": func(t *testing.T, _ fixture, f func()) { coretest.AsNobody(t, f) },
		"another root": func(t *testing.T, b fixture, f func()) {
			require.NoError(t, os.Rename(b.dir, b.dir+".away"))
			f()
			require.NoError(t, os.Rename(b.dir+".away", b.dir))
		},
		"another root with such a block": func(t *testing.T, b fixture, f func()) {
			require.NoError(t, os.Rename(b.dir, b.dir+".away"))
			require.NoError(t, os.Mkdir(b.dir, 0o700))
			other, err := OpenProducer("x", b.config(segment.Ring, 4))
			require.NoError(t, err)
			require.NoError(t, other.Close())
			f()
			require.NoError(t, os.RemoveAll(b.dir))
			require.NoError(t, os.Rename(b.dir+".away", b.dir))
		},
	}
	for name, how := range hide {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			first := b.producer(b.config(segment.Ring, 16))
			recorder := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Durable: true, Name: "recorder",
				Start: segment.StartOldest})
			write(t, first, 8)
			idsOf(t, recorder, 3)
			require.NoError(t, recorder.Close())
			require.NoError(t, first.Close())
			data := filepath.Join(b.dir, "x")
			p, err := OpenProducer("x", b.config(segment.Ring, 16))
			require.NoError(t, err)
			c, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest})
			require.NoError(t, err)
			o, err := OpenObserver("x", ObserverOptions{Directory: b.dir})
			require.NoError(t, err)
			how(t, b, func() {
				assert.NoError(t, p.checkFiles())
				s, err := p.Claim(0)
				assert.NoError(t, err)
				assert.NoError(t, p.Commit(s, 0))
				c.producerProbed = 0
				assert.NoError(t, c.terminalError())
				o.lookedUp = 0
				assert.NoError(t, o.usable())
				assert.NoError(t, p.Close())
				c.producerProbed = 0
				assert.ErrorIs(t, c.terminalError(), status.Closed)
				assert.NoError(t, c.Close())
				assert.NoError(t, o.Close())
			})
			require.FileExists(t, data)
			next, err := OpenProducer("x", b.config(segment.Ring, 16))
			require.NoError(t, err)
			write(t, next, 1)
			reader := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Durable: true, Name: "recorder"})
			for id := uint64(3); id < 10; id++ {
				s, err := reader.Next(0)
				require.NoError(t, err)
				assert.Equal(t, id, s.ID())
				require.NoError(t, reader.Release(s))
			}
			require.NoError(t, next.Close())
		})
	}
}

func TestANameThatIsGoneEndsItsBlock(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	require.NoError(t, os.Remove(p.Location.DataPath()))
	assert.ErrorIs(t, p.checkFiles(), status.Superseded)
}
