package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

// hostile are names that any process may choose for its consumer.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "two\nlines", `back\slash "quoted"`, "\xff\xfe",
	"\x00\x1b[31m", "\u202eright to left", "{block=\"y\"} 1", strings.Repeat("é", 31), "a\xffb", "a\xfeb",
}

// scrape is a scrape that the parser of Prometheus has read.
func (s *running) scrape() map[string]*dto.MetricFamily {
	s.t.Helper()
	answer, body := s.ask("GET", "/metrics", "")
	require.Equal(s.t, http.StatusOK, answer.StatusCode, body)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(s.t, err, body)
	return families
}

// value is the value of a metric with the labels, which are name and value alternately.
func value(t testing.TB, families map[string]*dto.MetricFamily, name string, labels ...string) (float64, bool) {
	t.Helper()
	require.Contains(t, families, name)
metrics:
	for _, m := range families[name].Metric {
		has := map[string]string{}
		for _, l := range m.Label {
			has[l.GetName()] = l.GetValue()
		}
		for i := 0; i < len(labels); i += 2 {
			if has[labels[i]] != labels[i+1] {
				continue metrics
			}
		}
		if m.Counter != nil {
			return m.Counter.GetValue(), true
		}
		return m.Gauge.GetValue(), true
	}
	return 0, false
}

func TestAScrapeHasTheFiguresOfEveryBlock(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "camera", Does: "stream", Every: time.Millisecond})
	start(t, role{Directory: dir, Block: "camera", Does: "follow", Name: []byte("recorder")})
	viewer := start(t, role{Directory: dir, Block: "camera", Does: "hold", Name: []byte("viewer")})
	s := serve(t, Options{Directory: dir})
	families := s.scrape()
	get := func(name string, labels ...string) float64 {
		t.Helper()
		found, ok := value(t, families, name, append([]string{"block", "camera"}, labels...)...)
		require.True(t, ok, name)
		return found
	}
	assert.EqualValues(t, 1, get("datablock_producer_alive"))
	assert.EqualValues(t, 1, get("datablock_block_readable"))
	assert.EqualValues(t, 2, get("datablock_consumers"))
	assert.EqualValues(t, 8, get("datablock_slots"))
	assert.EqualValues(t, 1, get("datablock_consumer_alive", "consumer", "viewer", "row", "2"))
	assert.EqualValues(t, 1, get("datablock_consumer_info", "consumer", "recorder", "delivery", "LOSSLESS"))
	assert.EqualValues(t, 1, get("datablock_block_info", "schema", "Sample@1.2.0", "state", "READY", "policy", "RING"))
	written := get("datablock_messages_written_total")
	assert.GreaterOrEqual(t, written, 4.0)
	assert.EqualValues(t, 24*written, get("datablock_written_bytes_total"))
	kill(t, viewer)
	becomes(t, func() bool {
		families = s.scrape()
		return get("datablock_consumer_alive", "consumer", "viewer") == 0 &&
			get("datablock_messages_written_total") > written && get("datablock_consumer_lag_messages", "consumer",
			"viewer") > 0
	}, "the next scrapes have the later figures")
	assert.EqualValues(t, 1, get("datablock_dead_consumers"))
}

func TestTheMetricsFollowTheConventions(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "camera", Does: "stream", Every: time.Millisecond})
	start(t, role{Directory: dir, Block: "camera", Does: "follow", Name: []byte("recorder")})
	s := serve(t, Options{Directory: dir})
	problems, err := testutil.CollectAndLint(newCollector(context.Background(), s.sampler))
	require.NoError(t, err)
	assert.Empty(t, problems)
	s.scrape()
	for name, family := range s.scrape() {
		assert.NotEmpty(t, family.GetHelp(), name)
		assert.True(t, strings.HasPrefix(name, "datablock_"), name)
	}
}

func TestHostileNamesAreLabelValues(t *testing.T) {
	dir := blocksDirectory(t)
	c := config(dir)
	c.ConsumerLimit = 32
	p, err := datablock.OpenProducer("x", c)
	require.NoError(t, err)
	defer p.Close()
	for _, name := range hostile {
		one, err := datablock.OpenConsumer("x", datablock.ConsumerOptions{Directory: dir, Name: name})
		require.NoError(t, err, "%q", name)
		defer one.Close()
	}
	s := serve(t, Options{Directory: dir})
	families := s.scrape()
	assert.Len(t, families["datablock_consumer_alive"].Metric, len(hostile))
	for _, name := range hostile[:4] {
		found, ok := value(t, families, "datablock_consumer_alive", "consumer", name)
		assert.True(t, ok && found == 1, "%q", name)
	}
	found, ok := value(t, families, "datablock_consumer_alive", "consumer", "a\uFFFDb")
	assert.True(t, ok && found == 1)
}

// TestDamagedBlocksNeverBreakTheScrape: one of each kind, beside a healthy block.
func TestDamagedBlocksNeverBreakTheScrape(t *testing.T) {
	dir := blocksDirectory(t)
	for _, name := range []string{"healthy", "header", "empty", "short", "control", "lost"} {
		p, err := datablock.OpenProducer(name, config(dir))
		require.NoError(t, err)
		_, err = p.Write([]byte("message"), 0)
		require.NoError(t, err)
		require.NoError(t, p.Close())
	}
	overwrite := func(name string, at int64) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
		require.NoError(t, err)
		defer f.Close()
		_, err = f.WriteAt([]byte{0xff, 0xfe, 0xfd, 0xfc}, at)
		require.NoError(t, err)
	}
	control := func(name string) string {
		found, err := filepath.Glob(filepath.Join(dir, name+".*.ctl"))
		require.NoError(t, err)
		require.Len(t, found, 1)
		return found[0]
	}
	overwrite("header", 70)
	require.NoError(t, os.Truncate(filepath.Join(dir, "empty"), 0))
	require.NoError(t, os.Truncate(filepath.Join(dir, "short"), 4096))
	require.NoError(t, os.Truncate(control("control"), 100))
	require.NoError(t, os.Remove(control("lost")))
	s := serve(t, Options{Directory: dir})
	families := s.scrape()
	for name, readable := range map[string]float64{"healthy": 1, "header": 0, "empty": 0, "short": 0, "control": 0,
		"lost": 0} {
		found, ok := value(t, families, "datablock_block_readable", "block", name)
		assert.True(t, ok, name)
		assert.Equal(t, readable, found, name)
	}
	found, ok := value(t, families, "datablock_messages_written_total", "block", "healthy")
	assert.True(t, ok && found == 1)
	_, ok = value(t, families, "datablock_messages_written_total", "block", "header")
	assert.False(t, ok, "a block that cannot be read has no figures")
	var all blocksJSON
	s.get("/api/v1/blocks", &all)
	require.Len(t, all.Blocks, 6)
	for _, b := range all.Blocks {
		assert.Equal(t, b.Name != "healthy", b.Problem != "", b.Name)
		var detail detailJSON
		s.get("/api/v1/blocks/"+b.Name, &detail)
		assert.True(t, detail.Found)
	}
}

// TestBlocksThatChangeDuringScrapes: blocks are truncated, removed and made again under a server
// that reads all the time. It answers every request, and keeps no file and no mapping.
func TestBlocksThatChangeDuringScrapes(t *testing.T) {
	dir := blocksDirectory(t)
	s := serve(t, Options{Directory: dir})
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := makeAndSpoil(dir, n); err != nil {
				stopped <- err
				return
			}
		}
	}()
	before := mappings(t)
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); {
		s.scrape()
		for name := range 4 {
			answer, body := s.ask("GET", fmt.Sprintf("/api/v1/blocks/b%d", name), "")
			assert.Contains(t, []int{200, 404}, answer.StatusCode, body)
		}
	}
	close(stop)
	require.NoError(t, <-stopped)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.Mkdir(dir, 0o700))
	becomes(t, func() bool { return mappings(t) <= before }, "no mapping of a block is left")
}

// makeAndSpoil makes a block and then truncates or removes it, also while the server reads it.
func makeAndSpoil(dir string, n int) error {
	name := fmt.Sprintf("b%d", n%4)
	p, err := datablock.OpenProducer(name, config(dir))
	if err != nil {
		for _, file := range must(filepath.Glob(filepath.Join(dir, name+"*"))) {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		return nil
	}
	_, _ = p.Write([]byte("message"), 0)
	if err := p.Close(); err != nil {
		return err
	}
	files := must(filepath.Glob(filepath.Join(dir, name+"*")))
	if len(files) > 0 && n%3 > 0 {
		return os.Truncate(files[n%len(files)], int64(n%3-1)*4096)
	}
	return datablock.Unlink(name, dir, 0)
}

func must(files []string, err error) []string {
	if err != nil {
		panic(err)
	}
	return files
}

// mappings is the number of mapped files of shared memory in this process.
func mappings(t testing.TB) int {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip("NOT SHOWN: mappings: there is no /proc/self/maps")
	}
	return strings.Count(string(text), "datablock-dashboard-test-")
}

// TestTheExamplesNameMetricsThatExist reads the dashboard of Grafana and the alert rules.
func TestTheExamplesNameMetricsThatExist(t *testing.T) {
	dir := blocksDirectory(t)
	start(t, role{Directory: dir, Block: "camera", Does: "stream", Every: time.Millisecond})
	start(t, role{Directory: dir, Block: "camera", Does: "follow", Name: []byte("recorder")})
	s := serve(t, Options{Directory: dir})
	_, events := s.stream("/api/v1/events") // the lag in time is known after some readings
	var families map[string]*dto.MetricFamily
	becomes(t, func() bool {
		next(t, events)
		families = s.scrape()
		return families["datablock_consumer_lag_seconds"] != nil
	}, "the lag in time is known")
	metric := regexp.MustCompile(`\bdatablock_[a-z_]+`)
	for _, name := range []string{"grafana-dashboard.json", "alerts.yml", "README.md"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "..", "examples", "monitoring", name))
		require.NoError(t, err)
		names := metric.FindAllString(string(content), -1)
		assert.NotEmpty(t, names, name)
		for _, one := range names {
			assert.Contains(t, families, one, "%s names a metric that the server has not", name)
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "monitoring.md"))
	require.NoError(t, err)
	for name := range families {
		assert.Contains(t, string(page), "`"+name+"`", "docs/monitoring.md lists every metric")
	}
}
