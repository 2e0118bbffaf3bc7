//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"fmt"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/schema"
)

// schemaFrom reads a schema of the C side. The shim has checked the pointer to its text. The
// canonical line is validated like any other text, because a program may have written it.
func schemaFrom(s *C.datablock_schema) (*schema.Schema, error) {
	if s == nil {
		return nil, nil
	}
	out, err := schema.ParseCanonical(C.GoString(s.canonical),
		schema.Version{Major: uint32(s.major), Minor: uint32(s.minor), Patch: uint32(s.patch)})
	if err != nil {
		return nil, &status.Error{Code: status.Invalid, Detail: "the schema: " + err.Error()}
	}
	return out, nil
}

// schemaTo gives a schema to C.
func schemaTo(s *schema.Schema, out *C.datablock_schema) {
	*out = C.datablock_schema{
		canonical: C.CString(s.Canonical()), bytes: C.uint64_t(s.Size), alignment: C.uint32_t(s.Align),
		major: C.uint32_t(s.Version.Major), minor: C.uint32_t(s.Version.Minor), patch: C.uint32_t(s.Version.Patch),
	}
	for i, b := range s.Hash() {
		out.hash[i] = C.uint8_t(b)
	}
}

//export dbgo_schema_parse
func dbgo_schema_parse(text *C.char, out *C.datablock_schema, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("schema.parse")
	s, err := schema.Parse(C.GoString(text))
	if err != nil {
		return resultOf(&status.Error{Code: status.Invalid, Detail: "schema: " + err.Error()}, detail)
	}
	schemaTo(s, out)
	return C.DATABLOCK_OK
}

// dbgo_schema_describe reads a line that the shim has written for a described struct. The version
// is in `out`.
//
//export dbgo_schema_describe
func dbgo_schema_describe(line *C.char, out *C.datablock_schema, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("schema.describe")
	s, err := schema.ParseCanonical(C.GoString(line),
		schema.Version{Major: uint32(out.major), Minor: uint32(out.minor), Patch: uint32(out.patch)})
	if err != nil {
		return resultOf(&status.Error{Code: status.Invalid, Detail: err.Error()}, detail)
	}
	schemaTo(s, out)
	return C.DATABLOCK_OK
}

//export dbgo_schema_of_block
func dbgo_schema_of_block(name, directory *C.char, zone C.int, out *C.datablock_schema, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("schema.of_block")
	ask := segment.BlockSchema
	if zone != 0 {
		ask = segment.BlockZoneSchema
	}
	s, err := ask(C.GoString(name), directoryFrom(directory))
	if err == nil && s == nil {
		err = noSchema(C.GoString(name), zone)
	}
	if err != nil {
		return resultOf(err, detail)
	}
	schemaTo(s, out)
	return C.DATABLOCK_OK
}

//export dbgo_schema_of_handle
func dbgo_schema_of_handle(index C.uint32_t, zone C.int, out *C.datablock_schema, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("schema.of_handle")
	name, ask := "", at(index).observer.Schema
	if c := at(index).consumer; c != nil {
		name, ask = c.Name(), c.Schema
		if zone != 0 {
			ask = c.ZoneSchema
		}
	} else {
		name = at(index).observer.Name()
	}
	s, err := ask()
	if err == nil && s == nil {
		err = noSchema(name, zone)
	}
	if err != nil {
		return resultOf(err, detail)
	}
	schemaTo(s, out)
	return C.DATABLOCK_OK
}

func noSchema(block string, zone C.int) error {
	of := ""
	if zone != 0 {
		of = "the flexible zone of "
	}
	return &status.Error{Code: status.Schema, Detail: fmt.Sprintf("%sblock %q has no schema", of, block)}
}

//export dbgo_schema_lookup
func dbgo_schema_lookup(reference, registry *C.char, out *C.datablock_schema, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("schema.lookup")
	s, err := segment.LookupSchema(C.GoString(reference), textFrom(registry))
	if err != nil {
		return resultOf(err, detail)
	}
	schemaTo(s, out)
	return C.DATABLOCK_OK
}

//export dbgo_schema_register
func dbgo_schema_register(s *C.datablock_schema, registry, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("schema.register")
	given, err := schemaFrom(s)
	if err == nil {
		err = segment.RegisterSchema(given, textFrom(registry))
	}
	return resultOf(err, detail)
}

//export dbgo_schema_check
func dbgo_schema_check(producer, consumer *C.datablock_schema, mode C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("schema.check")
	p, err := schemaFrom(producer)
	if err != nil {
		return resultOf(err, detail)
	}
	c, err := schemaFrom(consumer)
	if err == nil && mode > C.DATABLOCK_SCHEMA_EXACT {
		err = &status.Error{Code: status.Invalid, Detail: "the mode is unknown: use COMPATIBLE (0) or EXACT (1)"}
	}
	if err != nil {
		return resultOf(err, detail)
	}
	if err := schema.Check(p, c, schema.Mode(mode)); err != nil {
		return resultOf(&status.Error{Code: status.Schema, Detail: err.Error()}, detail)
	}
	return C.DATABLOCK_OK
}
