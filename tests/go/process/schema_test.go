package process_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/schema"
)

const sampleSchema = "schema Sample 1.2.0 { time: u64; value: f64; }"

// The schemas that a consumer may expect of a block with sampleSchema, and the errors; "": it may
// attach.
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
	"float_for_double": {"schema Sample 1.2.0 { time: u64; value: f32; }", false,
		`field "value" retyped: producer f64@8, consumer f32@8`},
	"moved": {"schema Sample 1.2.0 { time: u64; value: f64 @ 16; }", false,
		`field "value" moved: producer f64@8, consumer f64@16`},
	"renamed": {"schema Sample 1.2.0 { time: u64; volts: f64; }", false,
		`field "volts" renamed: producer value f64@8, consumer f64@8`},
	"reordered": {"schema Sample 1.2.0 { value: f64; time: u64; }", false,
		`field "value" reordered: producer f64@8, consumer f64@0`},
	"resized": {"schema Sample 1.2.0 { time: u64; value: f64[2]; }", false,
		`field "value" resized: producer f64@8, consumer f64[2]@8`},
	"added_in_the_middle": {"schema Sample 1.2.0 { time: u64; kind: u8; value: f64; }", false,
		`field "kind" missing: producer has none, consumer u8@8`},
	"other_major_version": {"schema Sample 2.0.0 { time: u64; value: f64; }", false, "another major version"},
}

// The references that a consumer may give at open when the block's producer gave Sample@1, and the
// errors; "": it may attach. The registry has Sample 1.1.0, 1.2.0, which is sampleSchema, and
// 2.0.0.
var references = map[string]struct {
	reference, schema, says string
}{
	"the_newest":               {"Sample@1", "", ""},
	"the_very_version":         {"Sample@1.2.0", "", ""},
	"an_older_version":         {"Sample@1.1", "", ""},
	"another_major_version":    {"Sample@2", "", "SCHEMA block \"|another major version"},
	"not_registered":           {"Sample@3", "", "NOT_FOUND |which has versions 1.1.0, 1.2.0, 2.0.0"},
	"no_reference":             {"Sample 1", "", "INVALID |write Name, Name@2"},
	"own_schema_is_registered": {"Sample@1", sampleSchema, ""},
	"own_schema_is_not": {"Sample@1", "schema Sample 1.2.0 { time: u64; value: f32; }",
		`SCHEMA what is registered as Sample@1 is not the schema that was given|field "value" retyped`},
}

// TestARegisteredSchemaAtOpen in every pair of languages: a participant that names a schema of the
// registry gets it.
func TestARegisteredSchemaAtOpen(t *testing.T) {
	registry := t.TempDir()
	for _, text := range []string{"schema Sample 1.1.0 { time: u64; }", sampleSchema,
		"schema Sample 2.0.0 { time: u64; value: f32; }"} {
		s, err := schema.Parse(text)
		require.NoError(t, err)
		require.NoError(t, schema.Directory(registry).Register(s))
	}
	for i, producer := range languages {
		t.Run(producer, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(producer, "--slot-size=64", "--registered=Sample@1", "--registry="+registry)
			for _, language := range languages {
				for j, what := range slices.Sorted(maps.Keys(references)) {
					if !inTurn(language, i+j) {
						continue
					}
					r := references[what]
					args := []string{"--registered=" + r.reference, "--registry=" + registry}
					if r.schema != "" {
						args = append(args, "--schema="+r.schema)
					}
					c := b.launch(launch{language: language, role: "consume", args: b.consumerArgs(args...)})
					if r.says == "" {
						c.attached().close()
						continue
					}
					said := c.expect("failed")
					c.exited(3)
					begins, has, _ := strings.Cut(r.says, "|")
					assert.True(t, strings.HasPrefix(said, "failed "+begins), "%s, %s: %s", language, what, said)
					assert.Contains(t, said, has, "%s, %s", language, what)
				}
			}
			p.kill()
			for _, successor := range languages {
				for _, refused := range [][]string{{"--registered=Sample@1.1"},
					{"--registered=Sample@1", "--schema=" + references["own_schema_is_not"].schema}} {
					args := append([]string{"--slot-size=64", "--registry=" + registry}, refused...)
					assert.Equal(t, "SCHEMA",
						b.launch(launch{language: successor, role: "produce", args: b.producerArgs(args...)}).refused(),
						successor)
				}
				b.producer(successor, "--slot-size=64", "--registry="+registry, "--registered=Sample@1.2").kill()
			}
		})
	}
}

// TestTheZoneHasASchema in every pair of languages.
func TestTheZoneHasASchema(t *testing.T) {
	const settings = "schema Settings 1.1.0 { gain: u64; rate: u32; }"
	for _, producer := range languages {
		t.Run(producer, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(producer, "--slot-size=64", "--zone-schema="+settings)
			p.ask("zone 5", "zone ")
			for _, language := range languages {
				c := b.launch(launch{language: language, role: "consume",
					args: b.consumerArgs("--zone-schema="+settings, "--exact")}).attached()
				c.ask("zone 2", "zone ")
				c.close()
				b.launch(launch{language: language, role: "consume",
					args: b.consumerArgs("--zone-schema=schema Settings 1.0.0 { gain: u64; }")}).attached().close()
				for wanted, says := range map[string]string{
					"--zone-schema=schema Settings 1.1.0 { gain: f64; }": `the flexible zone of block "`,
					"--schema=" + settings: "has no schema, and this consumer expects " +
						"Settings 1.1.0",
				} {
					c := b.launch(launch{language: language, role: "consume", args: b.consumerArgs(wanted)})
					said := c.expect("failed")
					c.exited(3)
					assert.True(t, strings.HasPrefix(said, "failed SCHEMA "), said)
					assert.Contains(t, said, says, language)
				}
			}
			p.kill()
			for _, successor := range languages {
				for _, other := range [][]string{{}, {"--zone-schema=schema Settings 1.1.0 { gain: u64; }"},
					{"--schema=" + settings}} {
					args := append([]string{"--slot-size=64"}, other...)
					assert.Equal(t, "SCHEMA",
						b.launch(launch{language: successor, role: "produce", args: b.producerArgs(args...)}).refused(),
						successor)
				}
				b.producer(successor, "--slot-size=64", "--zone-schema="+settings).kill()
			}
		})
	}
}

// TestSchemasAreCheckedAtAttach in every pair of languages: a consumer whose schema matches
// attaches, and the others get the same error.
func TestSchemasAreCheckedAtAttach(t *testing.T) {
	for i, producer := range languages {
		t.Run(producer, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(producer, "--slot-size=64", "--schema="+sampleSchema)
			for _, consumer := range languages {
				for j, what := range slices.Sorted(maps.Keys(expectations)) {
					if !inTurn(consumer, i+j) {
						continue
					}
					e := expectations[what]
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
				refused := b.launch(launch{language: successor, role: "produce",
					args: b.producerArgs("--slot-size=64", "--schema=schema Sample 1.2.0 { time: u64; value: f32; }")})
				assert.Equal(t, "SCHEMA", refused.refused(), successor)
				refused = b.launch(launch{language: successor, role: "produce", args: b.producerArgs("--slot-size=64")})
				assert.Equal(t, "SCHEMA", refused.refused(), successor)
			}
			b.producer(producer, "--slot-size=64", "--schema="+sampleSchema).close()
		})
	}
	b := newFixture(t)
	p := b.producer("c", "--slot-size=64")
	for _, consumer := range languages {
		c := b.launch(launch{language: consumer, role: "consume", args: b.consumerArgs("--schema=" + sampleSchema)})
		assert.Contains(t, c.expect("failed"), "has no schema")
		c.exited(3)
	}
	p.close()
	require.NotEmpty(t, languages)
}
