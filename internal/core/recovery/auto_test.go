package recovery

import (
	"os"
	"reflect"
	"testing"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

func (b fixture) recover(dry bool) (steps []RecoveryStep) {
	n, err := AutoRecover("x", b.dir, dry, func(s RecoveryStep) { steps = append(steps, s) })
	require.NoError(b.t, err)
	counted := 0
	for _, s := range steps {
		if s.Kind != StepAttend {
			counted++
			require.Equal(b.t, !dry, s.Done, s.Text)
		}
	}
	require.Equal(b.t, counted, n)
	return steps
}

func kindsOf(steps []RecoveryStep) (kinds []StepKind) {
	for _, s := range steps {
		kinds = append(kinds, s.Kind)
	}
	return kinds
}

func TestAutoRecoverDoesWhatIsRightForEach(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	assert.Empty(t, b.recover(false), "a healthy block")
	reader := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	latest, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest, Name: "dead"})
	require.NoError(t, err)
	durable, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Ordered, Name: "durable", Durable: true})
	require.NoError(t, err)
	write(t, p, 3)
	_, err = latest.Next(0)
	require.NoError(t, err)
	_, err = durable.Next(0)
	require.NoError(t, err)
	s, err := p.Claim(0)
	require.NoError(t, err)
	die(p.Attachment)
	die(latest.Attachment)
	die(durable.Attachment)
	p.Data[layout.HdrSlotSize+5] ^= 16
	stray := segment.Location{Directory: b.dir, Name: "x"}.ControlPath(segment.BlockID{1, 2, 3})
	require.NoError(t, os.WriteFile(stray, nil, 0o600))

	before := b.contents()
	planned := b.recover(true)
	assert.True(t, reflect.DeepEqual(before, b.contents()), "a dry run changes no byte")
	assert.Equal(t, []StepKind{StepRepair, StepCollect}, kindsOf(planned),
		"while the header is damaged nobody can say what is stuck")
	done := b.recover(false)
	assert.Equal(t, []StepKind{StepRepair, StepReleaseReader, StepReleaseReader, StepReleaseWriter, StepCollect},
		kindsOf(done))
	assert.Equal(t, s.Index(), done[3].Target)
	assert.NoFileExists(t, stray)
	assert.Equal(t, []StepKind{StepAttend}, kindsOf(b.recover(false)), "the durable consumer may come back")

	q := b.producer(config)
	write(t, q, 1)
	assert.Equal(t, []uint64{0, 1, 2, 3}, idsOf(t, reader, 4))
}

func TestAutoRecoverLeavesTheLivingAlone(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest, Name: "hung"})
	write(t, p, 1)
	held, err := c.Next(0)
	require.NoError(t, err)
	*heartbeatOf(c) = 1
	steps := b.recover(false)
	require.Equal(t, []StepKind{StepAttend}, kindsOf(steps))
	assert.Equal(t, RecoveryUnsafe, steps[0].Result)
	assert.EqualValues(t, os.Getpid(), steps[0].PID)
	assert.Contains(t, steps[0].Text, `"hung"`)
	require.NoError(t, c.Release(held), "the message is still held")
}

// TestAutoRecoverDiscardsAPayloadThatFailsItsChecksum: alone, and beside damage of another part.
// The dry run says the same, and what a dead process left is removed afterwards.
func TestAutoRecoverDiscardsAPayloadThatFailsItsChecksum(t *testing.T) {
	for _, beside := range []bool{false, true} {
		b := newFixture(t)
		config := b.config(segment.Ring, 4)
		config.Checksum = segment.ChecksumEnforced
		p := b.producer(config)
		reader := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
		write(t, p, 4)
		p.Data[p.Payload(layout.EntrySlot(p.Entries[1].Load()))] ^= 1
		if beside {
			p.StateWord.Store(77)
		}
		if !beside { // while the producer lives, its ring is not touched
			steps := b.recover(false)
			require.Equal(t, []StepKind{StepAttend}, kindsOf(steps))
			assert.Equal(t, RecoveryUnsafe, steps[0].Result)
			assert.Contains(t, steps[0].Text, "its producer lives")
		}
		die(p.Attachment)
		stray := segment.Location{Directory: b.dir, Name: "x"}.ControlPath(segment.BlockID{1, 2, 3})
		require.NoError(t, os.WriteFile(stray, nil, 0o600))
		want := []StepKind{StepRepair, StepCollect}
		assert.Equal(t, want, kindsOf(b.recover(true)))
		assert.Equal(t, want, kindsOf(b.recover(false)))
		assert.NoFileExists(t, stray)
		assert.True(t, b.validate().Healthy(), b.validate().Message())
		assert.EqualValues(t, 0, read(t, reader).ID())
		_, err := reader.Next(0)
		assert.ErrorIs(t, err, status.Lost)
		assert.Equal(t, []uint64{2, 3}, idsOf(t, reader, 2))
	}
}
