package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"datablock/internal/core/status"

	"datablock/internal/layout"
	"datablock/internal/platform"
	"datablock/schema"
)

// SchemaText is one of the two schemas that a block may have: of its messages, and of its flexible
// zone. The text is shared memory and is not trusted.
type SchemaText struct {
	Offset, Length uint64 // in the data file; no bytes: no schema
	Version        schema.Version
	Hash           [layout.HashLen]byte // zero: no schema
}

func textOf(s *schema.Schema) (t SchemaText) {
	if s != nil {
		t = SchemaText{Length: uint64(len(s.Canonical())), Version: s.Version, Hash: s.Hash()}
	}
	return t
}

// whole reports whether length and hash agree on whether there is a schema.
func (t *SchemaText) whole() bool { return (t.Length == 0) == (t.Hash == [layout.HashLen]byte{}) }

func (t *SchemaText) same(s *schema.Schema) bool {
	return t.Hash == s.Hash() && t.Version.Major == s.Version.Major
}

// schemaWords are the offsets of a SchemaText in the header.
type schemaWords struct{ length, major, minor, patch, hash int }

var (
	messageSchemaWords = schemaWords{layout.HdrSchemaLength, layout.HdrSchemaMajor, layout.HdrSchemaMinor,
		layout.HdrSchemaPatch, layout.HdrSchemaHash}
	zoneSchemaWords = schemaWords{layout.HdrZoneSchemaLength, layout.HdrZoneSchemaMajor, layout.HdrZoneSchemaMinor,
		layout.HdrZoneSchemaPatch, layout.HdrZoneSchemaHash}
)

func (h *Header) schemas() map[schemaWords]*SchemaText {
	return map[schemaWords]*SchemaText{messageSchemaWords: &h.MessageSchemaText, zoneSchemaWords: &h.ZoneSchemaText}
}

// of names what a schema belongs to, for messages.
func (h *Header) of(t *SchemaText) string {
	if t == &h.ZoneSchemaText {
		return fmt.Sprintf("the flexible zone of block %q", h.Name)
	}
	return fmt.Sprintf("block %q", h.Name)
}

// ParseSchema returns the schema of the block's messages or of its zone. nil: the producer
// specified none when it made the block. Errors: Corrupt.
func (b *Segment) ParseSchema(t *SchemaText) (*schema.Schema, error) {
	if t.Length == 0 {
		return nil, nil
	}
	s, err := schema.ParseCanonical(string(b.Data[t.Offset:t.Offset+t.Length]), t.Version)
	if err == nil && s.Hash() != t.Hash {
		err = status.Errorf(status.Corrupt, "its text does not match its hash")
	}
	if err != nil {
		return nil, status.Errorf(status.Corrupt, "%s: the schema in it is damaged (%v): remove %s and start the "+
			"producer again",
			b.of(t), err, b.Location.DataPath())
	}
	return s, nil
}

// CheckSchemas returns the reason why a consumer with these expectations may not attach, nil if it
// may.
func (b *Segment) CheckSchemas(o ConsumerOptions) error {
	if err := b.CheckSchema(&b.MessageSchemaText, o.Schema, o.SchemaMode); err != nil {
		return err
	}
	return b.CheckSchema(&b.ZoneSchemaText, o.ZoneSchema, o.SchemaMode)
}

// CheckSchema compares the hashes, and only where they differ the texts.
func (b *Segment) CheckSchema(t *SchemaText, wanted *schema.Schema, mode schema.Mode) error {
	if wanted == nil || t.same(wanted) {
		return nil
	}
	has, err := b.ParseSchema(t)
	if err != nil {
		return err
	}
	if has == nil {
		b.CountMismatch()
		return status.Errorf(status.Schema, "%s has no schema, and this consumer expects %s %s: have its producer say "+
			"what it writes, or attach without a schema", b.of(t), wanted.Name, wanted.Version)
	}
	if err := schema.Check(has, wanted, mode); err != nil {
		b.CountMismatch()
		return status.Errorf(status.Schema, "%s: %v", b.of(t), err)
	}
	return nil
}

// Adoptable returns the reason why a producer with this configuration may not take the block over,
// nil if it may. Attached consumers rely on the block's schemas, which cannot be changed.
func (b *Segment) Adoptable(c Config) error {
	if err := b.continues(&b.MessageSchemaText, c.Schema); err != nil {
		return err
	}
	return b.continues(&b.ZoneSchemaText, c.ZoneSchema)
}

func (b *Segment) continues(t *SchemaText, written *schema.Schema) error {
	if written == nil && t.Length == 0 || written != nil && t.same(written) {
		return nil
	}
	has, err := b.ParseSchema(t)
	switch {
	case err != nil:
		return err
	case has == nil:
		return status.Errorf(status.Schema, "%s was made without a schema, and this producer has %s %s: open it "+
			"without one, or replace it with the flag REPLACE", b.of(t), written.Name, written.Version)
	case written == nil:
		return status.Errorf(status.Schema, "%s was made with schema %s %s, and this producer has none: open it with "+
			"that, or replace it with the flag REPLACE", b.of(t), has.Name, has.Version)
	}
	// The block's schema takes the consumer's part here: it is what the consumers expect.
	return status.Errorf(status.Schema, "%s was made with another schema: %v; ask for what it has, or replace it with "+
		"the flag REPLACE",
		b.of(t), schema.OtherSchema(written, has))
}

func (b *Segment) CountMismatch() {
	if b.Ctl != nil { // an observer has none
		b.Ctl.U64(layout.CtlMismatches).Add(1)
	}
}

// BlockSchema returns the message schema of a block that is not attached; nil: it has none. As for
// an observer, permission to read the data file is enough. Errors: Invalid, NotFound, Access,
// Corrupt, Version, System.
func BlockSchema(name, directory string) (*schema.Schema, error) {
	return lookUp(name, directory, func(h *Header) *SchemaText { return &h.MessageSchemaText })
}

// BlockZoneSchema returns the schema of the block's flexible zone. Otherwise as BlockSchema.
func BlockZoneSchema(name, directory string) (*schema.Schema, error) {
	return lookUp(name, directory, func(h *Header) *SchemaText { return &h.ZoneSchemaText })
}

func lookUp(name, directory string, which func(*Header) *SchemaText) (*schema.Schema, error) {
	l, err := Locate(name, directory)
	if err != nil {
		return nil, err
	}
	b, err := OpenData(l, l.DataPath(), Observe, func(*Segment) error { return nil })
	if err != nil {
		return nil, l.Sought(err)
	}
	defer b.Unmap()
	return b.ParseSchema(which(b.Header))
}

// Registered returns the schema that an open uses: the given one, or the one that the reference
// names. If both are given, they have to be the same.
func Registered(given *schema.Schema, reference, registry string) (*schema.Schema, error) {
	if reference == "" {
		return given, nil
	}
	found, err := LookupSchema(reference, registry)
	if err != nil || given == nil {
		return found, err
	}
	if found.Hash() != given.Hash() || found.Version.Major != given.Version.Major {
		return nil, status.Errorf(status.Schema, "what is registered as %s is not the schema that was given: %v; give "+
			"what is registered, or register what was given under a version of its own",
			reference, schema.OtherSchema(found, given))
	}
	return found, nil
}

// LookupSchema returns the newest schema that a reference such as "SensorReading@2.1" names in a
// registry, which is a directory; "": the default one. Errors: Invalid, NotFound, System.
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

// RegisterSchema adds a schema to a registry. Errors: Invalid (it has no version), Schema (it
// breaks the version rules), System.
func RegisterSchema(s *schema.Schema, registry string) error {
	if s.Version == (schema.Version{}) {
		return status.Errorf(status.Invalid, "schema %s has no version: give it one, such as 1.0.0, to register it",
			s.Name)
	}
	r, err := registryAt(registry)
	if err == nil {
		err = registryError(r.Register(s))
	}
	return err
}

// RegisteredSchemas returns all schemas of a registry, by name and version. It returns none if the
// registry is the user's own and nothing was ever registered. Errors: NotFound (there is no such
// directory), Access, System.
func RegisteredSchemas(registry string) ([]*schema.Schema, error) {
	r, err := registryAt(registry)
	if err != nil {
		return nil, err
	}
	all, err := r.List()
	if errors.Is(err, schema.ErrNoDirectory) && registry == "" && !schema.NamedDirectory() {
		return nil, nil
	}
	return all, registryError(err)
}

func registryAt(directory string) (schema.Registry, error) {
	d := schema.Directory(directory)
	if directory == "" {
		var err error
		if d, err = schema.DefaultDirectory(); err != nil {
			return nil, registryError(err)
		}
	}
	if !filepath.IsAbs(string(d)) {
		return nil, status.Errorf(status.Invalid, "the registry of schemas %q is not an absolute path: give one that "+
			"begins %s", shorten(string(d)), platform.AbsoluteForm)
	}
	if why := platform.PathRefused(string(d)); why != "" {
		return nil, status.Errorf(status.Invalid, "the registry of schemas %q %s", shorten(string(d)), why)
	}
	return d, nil
}

func registryError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, schema.ErrNotRegistered), errors.Is(err, schema.ErrNoDirectory):
		return &status.Error{Code: status.NotFound, Detail: err.Error(), Cause: err}
	case errors.Is(err, schema.ErrReference):
		return &status.Error{Code: status.Invalid, Detail: err.Error(), Cause: err}
	case errors.Is(err, schema.ErrRules):
		return &status.Error{Code: status.Schema, Detail: err.Error(), Cause: err}
	case errors.Is(err, platform.ErrNoSpace), errors.Is(err, platform.ErrFileLimit):
		return &status.Error{Code: status.NoSpace, Detail: err.Error(), Cause: err}
	case errors.Is(err, fs.ErrPermission):
		return &status.Error{Code: status.Access, Detail: err.Error(), Cause: err}
	}
	return &status.Error{Code: status.System, Detail: err.Error(), Cause: err}
}
