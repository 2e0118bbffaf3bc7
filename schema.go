package datablock

import (
	"iter"
	"reflect"
	"time"

	"datablock/internal/core"
	"datablock/internal/schema"
)

// Schema says what the bytes of a struct mean: names, types, counts and offsets of its fields, its size and alignment. docs/schema.md has the text form and the rules. Do not change one.
type Schema = schema.Schema

// Version is the major.minor.patch of a schema. It is no part of its hash.
type Version = schema.Version

// SchemaMode is how much a consumer's schema has to be like the block's.
type SchemaMode = schema.Mode

// The modes.
const (
	SchemaCompatible = schema.Compatible // the same name and major version; every field that the consumer has is there with the same type, count and offset
	SchemaExact      = schema.Exact      // and the hashes are equal
)

// ParseSchema reads the text form. The error says line and column, what stands there, and what is expected.
func ParseSchema(text string) (*Schema, error) {
	s, err := schema.Parse(text)
	if err != nil {
		return nil, &Error{Code: core.Invalid, Detail: "schema: " + err.Error()}
	}
	return s, nil
}

// SchemaNamed is a type that says what its schema is called, as a program in another language
// calls it. The method of an embedded struct counts as well.
type SchemaNamed = schema.Named

// SchemaOf is the schema of a struct type, as the compiler lays it out, under the name that
// [SchemaNamed] says, else the type's own. Fields are named by their tag `datablock:"name"`,
// else in
// snake_case (docs/schema.md has the rule); `datablock:"name,char"` makes bytes characters, and
// fields called _ are padding. Errors: ErrInvalid (what means nothing to another process:
// pointers, strings, slices).
func SchemaOf[T any](version Version) (*Schema, error) {
	s, err := schema.FromType(reflect.TypeFor[T](), "", version)
	if err != nil {
		return nil, &Error{Code: core.Invalid, Detail: "schema: " + err.Error()}
	}
	return s, nil
}

// CheckSchema reports why a consumer that expects `consumer` cannot read what a producer writes that has `producer`, nil if it can. The error names every field that differs, with both sides.
func CheckSchema(producer, consumer *Schema, mode SchemaMode) error {
	if err := schema.Check(producer, consumer, mode); err != nil {
		return &Error{Code: core.Schema, Detail: err.Error()}
	}
	return nil
}

// LookupSchema is the newest schema that a reference, "SensorReading", "SensorReading@2" or "SensorReading@2.1.0", means in a registry, which is a directory; "": $DATABLOCK_SCHEMAS, else
// datablock/schemas in $XDG_DATA_HOME, else in ~/.local/share. Errors: ErrInvalid (the reference), ErrNotFound, ErrAccess, ErrSystem (a file there was changed).
func LookupSchema(reference, registry string) (*Schema, error) {
	return core.LookupSchema(reference, registry)
}

// RegisterSchema adds a schema to a registry. Again the same does nothing. Errors: ErrInvalid (it has no version), ErrSchema (it breaks the version rules, or that version is another struct),
// ErrAccess, ErrSystem.
func RegisterSchema(s *Schema, registry string) error { return core.RegisterSchema(s, registry) }

// BlockSchema is the schema of a block that is only looked at; nil: it has none. Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt, ErrVersion, ErrSystem.
func BlockSchema(name, directory string) (*Schema, error) { return core.BlockSchema(name, directory) }

// BlockZoneSchema is that of its flexible zone. Errors: as BlockSchema.
func BlockZoneSchema(name, directory string) (*Schema, error) {
	return core.BlockZoneSchema(name, directory)
}

// Schema is what the messages are, as their producer has said; nil: it has said nothing. Errors: ErrClosed, ErrCorrupt.
func (c *Consumer) Schema() (*Schema, error) { return c.core.Schema() }

// ZoneSchema is what the flexible zone is, as the block's producer has said; nil: it has said nothing. Errors: as Schema's.
func (c *Consumer) ZoneSchema() (*Schema, error) { return c.core.ZoneSchema() }

// TypedProducer writes messages that are structs of one type, on a block that says so.
type TypedProducer[T any] struct{ *Producer }

// OpenTypedProducer is [OpenProducer] with the schema of T, whose size is that of the slots unless the configuration says another. Errors: as OpenProducer's and SchemaOf's.
func OpenTypedProducer[T any](name string, version Version, config Config) (TypedProducer[T], error) {
	s, err := SchemaOf[T](version)
	if err != nil {
		return TypedProducer[T]{}, err
	}
	config.Schema = s
	p, err := OpenProducer(name, config)
	return TypedProducer[T]{p}, err
}

// Write publishes a message that f fills in place, and returns its id. What f finds is whatever was there. An error of f, or a panic, publishes nothing. Waits, and fails, as [WithWriteTransaction].
func (p TypedProducer[T]) Write(timeout time.Duration, f func(*T) error) (uint64, error) {
	return WithWriteTransaction(p.Producer, timeout, func(slot *WriteTransactionSlot) (uint64, error) {
		value, err := As[T](slot.Data())
		if err != nil {
			return 0, err
		}
		if err := f(value); err != nil {
			return 0, err
		}
		return slot.ID(), slot.Commit(int(reflect.TypeFor[T]().Size()))
	})
}

// Send publishes a copy of the value, and returns the message's id. Waits, and fails, as Write.
func (p TypedProducer[T]) Send(value *T, timeout time.Duration) (uint64, error) {
	return p.Write(timeout, func(to *T) error {
		*to = *value
		return nil
	})
}

// TypedConsumer reads messages that are structs of one type.
type TypedConsumer[T any] struct{ *Consumer }

// OpenTypedConsumer is [OpenConsumer] with the schema of T: a block of other messages is refused, and the error (ErrSchema) names every field that differs. Errors: as OpenConsumer's and SchemaOf's.
func OpenTypedConsumer[T any](name string, version Version, options ConsumerOptions) (TypedConsumer[T], error) {
	s, err := SchemaOf[T](version)
	if err != nil {
		return TypedConsumer[T]{}, err
	}
	options.Schema = s
	c, err := OpenConsumer(name, options)
	return TypedConsumer[T]{c}, err
}

// Next is the next message, in place and read-only, until Release of the slot. Waits, and fails, as [Consumer.Next]; ErrInvalid when the message is shorter than a T.
func (c TypedConsumer[T]) Next(timeout time.Duration) (*T, ReadSlot, error) {
	slot, err := c.Consumer.Next(timeout)
	if err != nil {
		return nil, slot, err
	}
	value, err := As[T](slot.Data())
	if err != nil {
		_ = c.Release(slot)
		return nil, ReadSlot{}, err
	}
	return value, slot, nil
}

// Values are the messages, each in place and read-only for its turn, as [Consumer.Messages].
func (c TypedConsumer[T]) Values(timeout time.Duration) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for slot, err := range c.Messages(timeout) {
			var value *T
			if err == nil {
				value, err = As[T](slot.Data())
			}
			if !yield(value, err) {
				return
			}
		}
	}
}
