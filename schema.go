package datablock

import (
	"iter"
	"reflect"
	"time"

	"datablock/internal/core/segment"

	"datablock/schema"
)

// Schema describes the bytes of a struct: names, types, counts and offsets of the fields, size and
// alignment. docs/schema.md has the text form and the rules. Programs must not change a Schema.
type Schema = schema.Schema

// Version is the major.minor.patch of a schema. It is not part of the hash.
type Version = schema.Version

// SchemaMode is how closely the schema of a consumer has to match the schema of the block.
type SchemaMode uint8

// The modes.
const (
	// SchemaCompatible: the same name and major version. Every field of the consumer's schema is in
	// the block's schema, with the same type, count and offset.
	SchemaCompatible SchemaMode = SchemaMode(schema.Compatible)
	// SchemaExact: in addition the hashes are equal.
	SchemaExact SchemaMode = SchemaMode(schema.Exact)
)

// ParseSchema reads the text form. The error names the line, the column, the text found there and
// what was expected.
func ParseSchema(text string) (*Schema, error) {
	s, err := schema.Parse(text)
	if err != nil {
		return nil, &Error{Code: ErrInvalid, Detail: "schema: " + err.Error()}
	}
	return s, nil
}

// SchemaNamed is a type that says what its schema is called, as a program in another language
// calls it. The method of an embedded struct counts as well.
type SchemaNamed interface{ DatablockSchemaName() string }

// SchemaOf returns the schema of a struct type, as the compiler lays it out, under the name that
// [SchemaNamed] returns, else the name of the type. Fields have the name of their tag
// `datablock:"name"`, else their Go name in snake_case (docs/schema.md has the rule). The tag
// `datablock:"name,char"` makes bytes characters, and fields named _ are padding.
//
// Errors: ErrInvalid (types that mean nothing to another process: pointers, strings, slices).
func SchemaOf[T any](version Version) (*Schema, error) {
	s, err := schema.FromType(reflect.TypeFor[T](), "", version)
	if err != nil {
		return nil, &Error{Code: ErrInvalid, Detail: "schema: " + err.Error()}
	}
	return s, nil
}

// CheckSchema returns nil if a consumer that expects the schema `consumer` can read messages of the
// schema `producer`. Otherwise the error names every field that differs, with both sides.
func CheckSchema(producer, consumer *Schema, mode SchemaMode) error {
	if err := schema.Check(producer, consumer, schema.Mode(mode)); err != nil {
		return &Error{Code: ErrSchema, Detail: err.Error()}
	}
	return nil
}

// LookupSchema returns the newest schema that a reference means in a registry. A reference is
// "SensorReading", "SensorReading@2" or "SensorReading@2.1.0". A registry is a directory; "" means
// $DATABLOCK_SCHEMAS, else datablock/schemas in $XDG_DATA_HOME, else in ~/.local/share. On Windows
// they are in DataBlock\schemas in %LOCALAPPDATA%.
//
// Errors: ErrInvalid (the reference), ErrNotFound, ErrAccess, ErrSystem (a file in the registry was
// changed).
func LookupSchema(reference, registry string) (*Schema, error) {
	s, err := segment.LookupSchema(reference, registry)
	return s, public(err)
}

// RegisterSchema adds a schema to a registry. Registering the same schema again changes nothing.
//
// Errors: ErrInvalid (the schema has no version), ErrSchema (the schema breaks the version rules,
// or this version is another struct), ErrAccess, ErrSystem.
func RegisterSchema(s *Schema, registry string) error {
	return public(segment.RegisterSchema(s, registry))
}

// RegisteredSchemas returns all schemas of a registry, by name and version. There are none if the
// registry is the default one of the user and nothing was ever registered. If a file is damaged,
// RegisteredSchemas returns the others, with an error.
//
// Errors: ErrNotFound (no such directory), ErrAccess, ErrSystem (a file in the registry was
// changed).
func RegisteredSchemas(registry string) ([]*Schema, error) {
	all, err := segment.RegisteredSchemas(registry)
	return all, public(err)
}

// BlockSchema reads the schema of a block without attaching; nil: the block has none. Errors:
// ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt, ErrVersion, ErrSystem.
func BlockSchema(name, directory string) (*Schema, error) {
	s, err := segment.BlockSchema(name, directory)
	return s, public(err)
}

// BlockZoneSchema reads the schema of the block's flexible zone. Errors: as BlockSchema.
func BlockZoneSchema(name, directory string) (*Schema, error) {
	s, err := segment.BlockZoneSchema(name, directory)
	return s, public(err)
}

// Schema returns the schema of the messages, as the producer declared it; nil: the producer
// declared none. Errors: ErrClosed, ErrCorrupt.
func (c *Consumer) Schema() (*Schema, error) {
	s, err := c.core.Schema()
	return s, public(err)
}

// ZoneSchema returns the schema of the flexible zone, as the producer of the block declared it;
// nil: the producer declared none. Errors: as Schema.
func (c *Consumer) ZoneSchema() (*Schema, error) {
	s, err := c.core.ZoneSchema()
	return s, public(err)
}

// TypedProducer writes messages that are structs of one type, on a block that declares the schema.
type TypedProducer[T any] struct{ *Producer }

// OpenTypedProducer is [OpenProducer] with the schema of T. The slots have the size of T unless the
// configuration sets another size. Errors: as OpenProducer and SchemaOf.
func OpenTypedProducer[T any](name string, version Version, config Config) (TypedProducer[T], error) {
	s, err := SchemaOf[T](version)
	if err != nil {
		return TypedProducer[T]{}, err
	}
	config.Schema = s
	p, err := OpenProducer(name, config)
	return TypedProducer[T]{p}, err
}

// Write publishes a message that f fills in place, and returns the id of the message. The memory is
// undefined before f fills it. An error of f, or a panic, publishes nothing. Write waits and fails
// as [WithWriteTransaction].
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

// Send publishes a copy of the value and returns the id of the message. It waits and fails as
// Write.
func (p TypedProducer[T]) Send(value *T, timeout time.Duration) (uint64, error) {
	return p.Write(timeout, func(to *T) error {
		*to = *value
		return nil
	})
}

// TypedConsumer reads messages that are structs of one type.
type TypedConsumer[T any] struct{ *Consumer }

// OpenTypedConsumer is [OpenConsumer] with the schema of T. An attach to a block with other
// messages fails, and the error (ErrSchema) names every field that differs. Errors: as OpenConsumer
// and SchemaOf.
func OpenTypedConsumer[T any](name string, version Version, options ConsumerOptions) (TypedConsumer[T], error) {
	s, err := SchemaOf[T](version)
	if err != nil {
		return TypedConsumer[T]{}, err
	}
	options.Schema = s
	c, err := OpenConsumer(name, options)
	return TypedConsumer[T]{c}, err
}

// Next returns the next message, in place and read-only, until Release of the slot. It waits and
// fails as [Consumer.Next]; ErrInvalid when the message is shorter than a T.
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

// Values iterates over the messages, as [Consumer.Messages]. Each value is in place and read-only
// during its step of the loop. Errors: as [Consumer.Messages], and as [TypedConsumer.Next].
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
