package monitor

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"datablock"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPeriodsAreThoseOfAllValues(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var p Periods
	var all []float64
	for range 10000 {
		d := time.Duration(math.Exp(random.Float64() * 40)) // up to seven years
		p.Add(d, 1)
		all = append(all, float64(d))
	}
	slices.Sort(all)
	mean, squares := 0.0, 0.0
	for _, d := range all {
		mean += d / float64(len(all))
	}
	for _, d := range all {
		squares += (d - mean) * (d - mean) / float64(len(all))
	}
	assert.EqualValues(t, len(all), p.Count)
	assert.EqualValues(t, all[0], p.Min)
	assert.EqualValues(t, all[len(all)-1], p.Max)
	assert.InEpsilon(t, mean, float64(p.Mean()), 1e-6)
	assert.InEpsilon(t, math.Sqrt(squares), float64(p.Jitter()), 1e-6)
	for _, part := range []float64{0.01, 0.5, 0.99, 1} {
		exact := all[int(math.Ceil(part*float64(len(all))))-1]
		assert.InDelta(t, exact, float64(p.Quantile(part)), exact*0.016+1, "%v", part)
	}
	var none Periods
	assert.Zero(t, none.Mean()+none.Jitter()+none.Quantile(0.99))
}

func TestTheTimesOfABlockMakeExactPeriods(t *testing.T) {
	dir := place(t)
	config := configIn(dir, 64)
	config.Flags |= datablock.Timestamp
	p := producer(t, "x", config)
	r, err := datablock.OpenMetrics("x", dir)
	require.NoError(t, err)
	defer r.Close()
	write(t, p, 1)
	m, err := NewMeter(r)
	require.NoError(t, err)
	var got, want Periods
	for _, count := range []int{3, 1, 7} {
		write(t, p, count)
		n, err := m.Look(&got)
		require.NoError(t, err)
		assert.EqualValues(t, count, n)
	}
	assert.True(t, m.Exact())
	for id := range uint64(11) {
		before, _ := r.Committed(id)
		after, ok := r.Committed(id + 1)
		require.True(t, ok)
		want.Add(after.Sub(before), 1)
	}
	assert.Equal(t, want, got)
}

func TestWithoutTimesTheMessagesComeEvenly(t *testing.T) {
	dir := place(t)
	p := producer(t, "x", configIn(dir, 64))
	r, err := datablock.OpenMetrics("x", dir)
	require.NoError(t, err)
	defer r.Close()
	m, err := NewMeter(r)
	require.NoError(t, err)
	var periods Periods
	write(t, p, 1)
	_, err = m.Look(&periods)
	require.NoError(t, err)
	assert.Zero(t, periods.Count, "nothing is known about the time before the first message")
	begun := time.Now()
	write(t, p, 10)
	_, err = m.Look(&periods)
	require.NoError(t, err)
	assert.EqualValues(t, 10, periods.Count)
	assert.Equal(t, periods.Min, periods.Max)
	assert.GreaterOrEqual(t, 10*periods.Max+10, time.Since(begun)/1000)
	assert.False(t, m.Exact())
}

func TestFiguresFitTheirColumns(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	for range 100000 {
		n := math.Exp(random.Float64() * 43)
		assert.LessOrEqual(t, len(Number(n)), 6, "%v", n)
		assert.LessOrEqual(t, len(Bytes(n)), 9, "%v", n)
		d := time.Duration(n)
		assert.LessOrEqual(t, len([]rune(Time(d))), 7, "%v", d)
		assert.LessOrEqual(t, len([]rune(ShortTime(d.Seconds()))), 5, "%v", d)
	}
	for want, n := range map[string]float64{"0": 0, "7": 7, "0.50": 0.5, "999": 999, "1.00k": 999.9, "12.3k": 12345,
		"9.99": 9.99, "10.0": 9.999} {
		assert.Equal(t, want, Number(n))
	}
	assert.Equal(t, "1.50 KiB", Bytes(1536))
	assert.Equal(t, []string{"0", "999ns", "1µs", "59.9s", "1m00s", "1h01m", "3d04h"}, []string{Time(0), Time(999),
		Time(1000), Time(59900 * time.Millisecond), Time(time.Minute), Time(61 * time.Minute), Time(76 * time.Hour)})
	assert.Equal(t, []string{"500µs", "42ms", "4.0s", "90s", "3m", "30h", "4d"}, []string{ShortTime(5e-4),
		ShortTime(0.042), ShortTime(4), ShortTime(90), ShortTime(180), ShortTime(30 * 3600), ShortTime(4 * 86400)})
}
