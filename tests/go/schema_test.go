package process_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sampleSchema = "schema Sample 1.2.0 { time: u64; value: f64; }"

// What a consumer may expect of a block with sampleSchema, and what it is told; "": it may attach.
var expectations = map[string]struct {
	schema string
	exact  bool
	says   string
}{
	"match":               {sampleSchema, true, ""},
	"none":                {"", false, ""},
	"other_minor_version": {"schema Sample 1.9.0 { time: u64; value: f64; }", true, ""},
	"added_at_the_end":    {"schema Sample 1.0.0 { time: u64; }", false, ""},
	"and_exact":           {"schema Sample 1.0.0 { time: u64; }", true, "the consumer asks for exactly its own"},
	"float_for_double":    {"schema Sample 1.2.0 { time: u64; value: f32; }", false, `field "value" retyped: producer f64@8, consumer f32@8`},
	"moved":               {"schema Sample 1.2.0 { time: u64; value: f64 @ 16; }", false, `field "value" moved: producer f64@8, consumer f64@16`},
	"renamed":             {"schema Sample 1.2.0 { time: u64; volts: f64; }", false, `field "volts" renamed: producer value f64@8, consumer f64@8`},
	"reordered":           {"schema Sample 1.2.0 { value: f64; time: u64; }", false, `field "value" reordered: producer f64@8, consumer f64@0`},
	"resized":             {"schema Sample 1.2.0 { time: u64; value: f64[2]; }", false, `field "value" resized: producer f64@8, consumer f64[2]@8`},
	"added_in_the_middle": {"schema Sample 1.2.0 { time: u64; kind: u8; value: f64; }", false, `field "kind" removed: producer has none, consumer u8@8`},
	"other_major_version": {"schema Sample 2.0.0 { time: u64; value: f64; }", false, "another major version"},
}

// TestSchemasAreCheckedAtAttach in every pair of languages: who may read is let in, and who may not is told the same.
func TestSchemasAreCheckedAtAttach(t *testing.T) {
	for _, producer := range languages {
		t.Run(producer, func(t *testing.T) {
			b := newBench(t)
			p := b.producer(producer, "--slot-size=64", "--schema="+sampleSchema)
			for _, consumer := range languages {
				for what, e := range expectations {
					args := []string{}
					if e.schema != "" {
						args = append(args, "--schema="+e.schema)
					}
					if e.exact {
						args = append(args, "--exact")
					}
					c := b.launch(launch{language: consumer, role: "consume", args: b.consumerArgs(args...)})
					if e.says == "" {
						c.attached().close()
						continue
					}
					said := c.expect("failed")
					c.exited(3)
					assert.True(t, strings.HasPrefix(said, "failed SCHEMA "), "%s, %s: %s", consumer, what, said)
					assert.Contains(t, said, e.says, "%s, %s", consumer, what)
				}
			}
			p.kill()
			for _, successor := range languages {
				refused := b.launch(launch{language: successor, role: "produce", args: b.producerArgs("--slot-size=64", "--schema=schema Sample 1.2.0 { time: u64; value: f32; }")})
				assert.Equal(t, "SCHEMA", refused.refused(), successor)
				refused = b.launch(launch{language: successor, role: "produce", args: b.producerArgs("--slot-size=64")})
				assert.Equal(t, "SCHEMA", refused.refused(), successor)
			}
			b.producer(producer, "--slot-size=64", "--schema="+sampleSchema).close()
		})
	}
	b := newBench(t)
	p := b.producer("c", "--slot-size=64")
	for _, consumer := range languages {
		c := b.launch(launch{language: consumer, role: "consume", args: b.consumerArgs("--schema=" + sampleSchema)})
		assert.Contains(t, c.expect("failed"), "has no schema")
		c.exited(3)
	}
	p.close()
	require.NotEmpty(t, languages)
}
