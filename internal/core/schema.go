package core

import (
	"errors"
	"io/fs"

	"datablock/internal/layout"
	"datablock/internal/schema"
)

// Schema is what the block's messages are, as its producer has said when it made the block; nil: it said nothing. The text is shared memory and no more believed than anything there. Errors: Corrupt.
func (b *block) schema() (*schema.Schema, error) {
	if b.schemaLength == 0 {
		return nil, nil
	}
	text := string(b.data[b.schemaOffset : b.schemaOffset+b.schemaLength])
	s, err := schema.ParseCanonical(text, b.schemaVersion)
	if err == nil && s.Hash() != b.schemaHash {
		err = fail(Corrupt, "its text does not match its hash")
	}
	if err != nil {
		return nil, fail(Corrupt, "block %q: the schema in it is damaged (%v): remove %s and start the producer again", b.name(), err, b.location.data())
	}
	return s, nil
}

// checkSchema reports why a consumer that expects `wanted` may not attach, nil if it may. Where the hashes are equal the text is not looked at.
func (b *block) checkSchema(wanted *schema.Schema, mode schema.Mode) error {
	if wanted == nil || b.sameSchema(wanted) {
		return nil
	}
	has, err := b.schema()
	if err != nil {
		return err
	}
	if has == nil {
		b.countMismatch()
		return fail(Schema, "block %q has no schema, and this consumer expects %s %s: have its producer say what it writes, or attach without a schema", b.name(), wanted.Name, wanted.Version)
	}
	if err := schema.Check(has, wanted, mode); err != nil {
		b.countMismatch()
		return fail(Schema, "block %q: %v", b.name(), err)
	}
	return nil
}

// adoptable reports why a producer that writes `written` may not go on with the block, nil if it may: whoever attached relies on what it says, and it cannot be changed.
func (b *block) adoptable(written *schema.Schema) error {
	if written == nil && b.schemaLength == 0 || written != nil && b.sameSchema(written) {
		return nil
	}
	has, err := b.schema()
	switch {
	case err != nil:
		return err
	case has == nil:
		return fail(Schema, "block %q was made without a schema, and this producer has %s %s: open it without one, or replace it with the flag REPLACE", b.name(), written.Name, written.Version)
	case written == nil:
		return fail(Schema, "block %q was made with schema %s %s, and this producer has none: open it with that, or replace it with the flag REPLACE", b.name(), has.Name, has.Version)
	}
	// What is in the block takes the consumer's part here: it is what the readers expect.
	m := schema.Mismatch{Producer: written, Consumer: has, Differences: schema.Diff(written, has)}
	return fail(Schema, "block %q was made with another schema: %v; ask for what it has, or replace it with the flag REPLACE", b.name(), &m)
}

func (b *block) sameSchema(s *schema.Schema) bool {
	return b.schemaLength != 0 && b.schemaHash == s.Hash() && b.schemaVersion.Major == s.Version.Major
}

func (b *block) countMismatch() {
	if b.ctl != nil { // an observer has none
		b.ctl.u64(layout.CtlMismatches).Add(1)
	}
}

// Schema is what the block's messages are; nil: its producer said nothing. Errors: Corrupt.
func (c *Consumer) Schema() (*schema.Schema, error) {
	if c.data == nil {
		return nil, c.gone()
	}
	return c.block.schema()
}

// BlockSchema is the schema of a block that is looked at only; nil: it has none. Errors as Diagnose.
func BlockSchema(name, directory string) (*schema.Schema, error) {
	l, err := locate(name, directory)
	if err != nil {
		return nil, err
	}
	v, err := openView(l)
	if err != nil {
		return nil, err
	}
	defer v.close()
	return v.block.schema()
}

// LookupSchema is the newest schema that a reference such as "SensorReading@2.1" means in a registry, which is a directory; "": the default one. Errors: Invalid, NotFound, System.
func LookupSchema(reference, registry string) (*schema.Schema, error) {
	r, err := registryAt(registry)
	if err != nil {
		return nil, err
	}
	s, err := r.Lookup(reference)
	if err != nil {
		return nil, registryError(err)
	}
	return s, nil
}

// RegisterSchema adds a schema to a registry. Errors: Invalid (it has no version), Schema (it breaks the version rules), System.
func RegisterSchema(s *schema.Schema, registry string) error {
	if s.Version == (schema.Version{}) {
		return fail(Invalid, "schema %s has no version: give it one, such as 1.0.0, to register it", s.Name)
	}
	r, err := registryAt(registry)
	if err == nil {
		err = registryError(r.Register(s))
	}
	return err
}

// RegisteredSchemas are all of a registry, by name and version. Errors: System.
func RegisteredSchemas(registry string) ([]*schema.Schema, error) {
	r, err := registryAt(registry)
	if err != nil {
		return nil, err
	}
	all, err := r.List()
	return all, registryError(err)
}

func registryAt(directory string) (schema.Registry, error) {
	if directory != "" {
		return schema.Directory(directory), nil
	}
	d, err := schema.DefaultDirectory()
	return d, registryError(err)
}

func registryError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, schema.ErrNotRegistered):
		return &Error{Code: NotFound, Detail: err.Error(), Cause: err}
	case errors.Is(err, schema.ErrReference):
		return &Error{Code: Invalid, Detail: err.Error(), Cause: err}
	case errors.Is(err, schema.ErrRules):
		return &Error{Code: Schema, Detail: err.Error(), Cause: err}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Code: Access, Detail: err.Error(), Cause: err}
	}
	return &Error{Code: System, Detail: err.Error(), Cause: err}
}
