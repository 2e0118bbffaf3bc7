package dashboard

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"datablock/cmd/internal/monitor"

	"datablock"
)

// family is one metric, and how its value is read. ok is false where a block or a consumer has
// none.
type family[Of any] struct {
	name, help string
	kind       prometheus.ValueType
	value      func(of Of) (value float64, ok bool)
	desc       *prometheus.Desc
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// fixed makes a value function of a function that always has a value.
func fixed[Of any](value func(of Of) float64) func(Of) (float64, bool) {
	return func(of Of) (float64, bool) { return value(of), true }
}

// figure makes a value function of one that reads the figures of a block.
func figure(value func(m *datablock.Metrics) float64) func(*monitor.Block) (float64, bool) {
	return func(b *monitor.Block) (float64, bool) {
		if b.Metrics == nil {
			return 0, false
		}
		return value(b.Metrics), true
	}
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// collector reads the blocks at each scrape. It describes nothing beforehand: which blocks there
// are is known only then.
type collector struct {
	ctx      context.Context
	sampler  *sampler
	blocks   []family[*monitor.Block]
	clients  []family[*monitor.Consumer]
	infoDesc *prometheus.Desc
	whoDesc  *prometheus.Desc
	count    *prometheus.Desc
	took     *prometheus.Desc
}

var (
	blockLabels    = []string{"block"}
	consumerLabels = []string{"block", "consumer", "row"}
)

// metrics answers a scrape. A block that cannot be read lacks its figures, and nothing else.
func (s *Server) metrics() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(newCollector(r.Context(), s.sampler))
		w.Header().Set("Cache-Control", "no-store")
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, r)
	}
}

func newCollector(ctx context.Context, s *sampler) *collector {
	c := &collector{ctx: ctx, sampler: s, blocks: blockFamilies(), clients: consumerFamilies()}
	for i := range c.blocks {
		c.blocks[i].desc = prometheus.NewDesc(c.blocks[i].name, c.blocks[i].help, blockLabels, nil)
	}
	for i := range c.clients {
		c.clients[i].desc = prometheus.NewDesc(c.clients[i].name, c.clients[i].help, consumerLabels, nil)
	}
	c.infoDesc = prometheus.NewDesc("datablock_block_info", "What a block is. The value is 1.",
		[]string{"block", "state", "policy", "schema"}, nil)
	c.whoDesc = prometheus.NewDesc("datablock_consumer_info", "What a consumer is. The value is 1.",
		append(consumerLabels[:3:3], "delivery", "durable", "pid"), nil)
	c.count = prometheus.NewDesc("datablock_blocks", "Blocks in the directory.", nil, nil)
	c.took = prometheus.NewDesc("datablock_reading_duration_seconds", "How long it took to read all blocks.", nil, nil)
	return c
}

// Describe makes the collector an unchecked one.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect is called once for each scrape.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	reading, err := c.sampler.current(c.ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(c.count, err)
		return
	}
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	send(c.count, gauge, float64(len(reading.view.Blocks)))
	send(c.took, gauge, reading.view.Took.Seconds())
	seen := map[string]bool{}
	for _, b := range reading.view.Blocks {
		name := label(b.Name)
		if seen[name] {
			continue
		}
		seen[name] = true
		c.collectBlock(b, name, send)
	}
}

func (c *collector) collectBlock(b *monitor.Block, name string,
	send func(*prometheus.Desc, prometheus.ValueType, float64, ...string)) {
	schema := ""
	if b.Schema != nil {
		schema = b.Schema.Name + "@" + b.Schema.Version.String()
	}
	send(c.infoDesc, gauge, 1, name, stateName(b.Info.State), policyName(b.Info.Policy), label(schema))
	for _, f := range c.blocks {
		if value, ok := f.value(b); ok {
			send(f.desc, f.kind, value, name)
		}
	}
	rows := map[uint32]bool{}
	for k := range b.Consumers {
		one := &b.Consumers[k]
		if rows[one.Row] {
			continue
		}
		rows[one.Row] = true
		labels := []string{name, label(one.Name), strconv.FormatUint(uint64(one.Row), 10)}
		send(c.whoDesc, gauge, 1, append(labels[:3:3], datablock.Delivery(one.Delivery).String(),
			strconv.FormatBool(one.Durable), strconv.FormatUint(one.PID, 10))...)
		for _, f := range c.clients {
			if value, ok := f.value(one); ok {
				send(f.desc, f.kind, value, labels...)
			}
		}
	}
}

// label makes a label value of bytes that any process may have chosen: label values are UTF-8. The
// client library escapes quotation marks, backslashes and line breaks.
func label(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
