// Schemas: the fields of a message by name.
'use strict';

const { call, koffi, structs } = require('./native');
const { wrong } = require('./arguments');
const { check, made } = require('./errors');

const size = koffi.sizeof(structs.datablock_schema);
const registry = new FinalizationRegistry((memory) => call.schema_free(memory));

const readers = {
    u8: (view, at) => view.getUint8(at), i8: (view, at) => view.getInt8(at),
    u16: (view, at) => view.getUint16(at, true), i16: (view, at) => view.getInt16(at, true),
    u32: (view, at) => view.getUint32(at, true), i32: (view, at) => view.getInt32(at, true),
    u64: (view, at) => view.getBigUint64(at, true), i64: (view, at) => view.getBigInt64(at, true),
    f32: (view, at) => view.getFloat32(at, true), f64: (view, at) => view.getFloat64(at, true),
    bool: (view, at) => view.getUint8(at) !== 0,
};
const writers = {
    u8: (view, at, value) => view.setUint8(at, value), i8: (view, at, value) => view.setInt8(at, value),
    u16: (view, at, value) => view.setUint16(at, value, true), i16: (view, at, value) => view.setInt16(at, value, true),
    u32: (view, at, value) => view.setUint32(at, value, true), i32: (view, at, value) => view.setInt32(at, value, true),
    u64: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
    i64: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
    f32: (view, at, value) => view.setFloat32(at, value, true),
    f64: (view, at, value) => view.setFloat64(at, value, true),
    bool: (view, at, value) => view.setUint8(at, value ? 1 : 0),
};
const widths = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, u64: 8, i64: 8, f32: 4, f64: 8, bool: 1, char: 1 };

// Reads the canonical line: `Name{field:type[count]@offset,...}size/alignment`.
function parseLine(line) {
    let at = line.indexOf('{');
    const take = (pattern) => {
        pattern.lastIndex = at;
        const [found, ...groups] = pattern.exec(line);
        at += found.length;
        return groups;
    };
    const struct = () => {
        const fields = [];
        do {
            at++; // { or ,
            const [name] = take(/(\w+):/y);
            const nested = line[at] === '{' ? struct() : null;
            const type = nested ?? take(/(\w+)/y)[0];
            const [counts, offset] = take(/((?:\[\d+\])*)@(\d+)/y);
            const dims = [...counts.matchAll(/\d+/g)].map(Number);
            fields.push({ name, type, dims, offset: Number(offset), width: nested?.size ?? widths[type] });
        } while (line[at] === ',');
        at++; // }
        const [bytes, alignment] = take(/(\d+)\/(\d+)/y);
        const names = new Set(fields.map((field) => field.name));
        return { fields, names, size: Number(bytes), alignment: Number(alignment) };
    };
    return struct();
}

function decode(struct, view, at) {
    const record = {};
    for (const field of struct.fields) {
        record[field.name] = decodeItems(field, field.dims, view, at + field.offset);
    }
    return record;
}

function decodeItems(field, dims, view, at) {
    if (field.type === 'char' && dims.length === 1) { // a text ends at the first zero
        const bytes = Buffer.from(view.buffer, view.byteOffset + at, dims[0]);
        const end = bytes.indexOf(0);
        return bytes.toString('utf8', 0, end < 0 ? dims[0] : end);
    }
    if (dims.length > 0) {
        const stride = dims.slice(1).reduce((product, count) => product * count, field.width);
        return Array.from({ length: dims[0] }, (_, i) => decodeItems(field, dims.slice(1), view, at + i * stride));
    }
    if (typeof field.type === 'object') {
        return decode(field.type, view, at);
    }
    return field.type === 'char' ? String.fromCharCode(view.getUint8(at)) : readers[field.type](view, at);
}

// A field that the struct does not have is an error, because a misspelt one would be ignored.
function encode(struct, record, view, at) {
    if (typeof record !== 'object' || record === null) {
        throw wrong('the record', record, 'an object with fields');
    }
    for (const name of Object.keys(record)) {
        if (!struct.names.has(name)) {
            throw made('INVALID', `the schema has no field "${name}": there are ${[...struct.names].join(', ')}`);
        }
    }
    for (const field of struct.fields) {
        if (record[field.name] !== undefined) {
            encodeItems(field, field.dims, record[field.name], view, at + field.offset);
        }
    }
}

function encodeItems(field, dims, value, view, at) {
    if (field.type === 'char' && dims.length < 2) {
        encodeText(field, value, Buffer.from(view.buffer, view.byteOffset + at, dims[0] ?? 1));
    } else if (dims.length > 0) {
        const stride = dims.slice(1).reduce((product, count) => product * count, field.width);
        if (typeof value === 'string' || value?.length !== dims[0]) {
            throw wrong(`field "${field.name}"`, value, `an array of ${dims[0]} items`);
        }
        Array.from(value).forEach((item, i) => encodeItems(field, dims.slice(1), item, view, at + i * stride));
    } else if (typeof field.type === 'object') {
        encode(field.type, value, view, at);
    } else {
        if (!fits(field.type, value)) {
            throw wrong(`field "${field.name}"`, value, needed(field.type));
        }
        writers[field.type](view, at, field.width < 8 ? Number(value) : value);
    }
}

function encodeText(field, value, bytes) {
    if (typeof value !== 'string' || Buffer.byteLength(value) > bytes.length) {
        throw wrong(`field "${field.name}"`, value, `a string of up to ${bytes.length} bytes`);
    }
    bytes.fill(0);
    bytes.write(value, 'utf8');
}

// The least and the greatest value of an integer type.
function range(type) {
    const bits = BigInt(8 * widths[type]);
    return type[0] === 'u' ? [0n, 2n ** bits - 1n] : [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
}

const ranges = Object.fromEntries(Object.keys(widths).filter((type) => /^[iu]/.test(type))
    .map((type) => [type, range(type)]));

function fits(type, value) {
    if (type === 'bool') {
        return typeof value === 'boolean' || value === 0 || value === 1;
    }
    if (ranges[type] === undefined) {
        return typeof value === 'number';
    }
    const [least, greatest] = ranges[type];
    return (Number.isInteger(value) || typeof value === 'bigint') && value >= least && value <= greatest;
}

function needed(type) {
    if (type === 'bool') {
        return 'true or false';
    }
    return ranges[type] === undefined ? 'a number' : `a whole number from ${ranges[type].join(' to ')}`;
}

class Schema {
    #struct;

    constructor(memory) {
        const schema = koffi.decode(memory, structs.datablock_schema);
        this.canonical = schema.canonical;
        this.hash = Buffer.from(schema.hash).toString('hex');
        this.size = Number(schema.bytes);
        this.alignment = schema.alignment;
        this.version = `${schema.major}.${schema.minor}.${schema.patch}`;
        this.#struct = parseLine(this.canonical);
        Object.defineProperty(this, 'forC', { value: memory });
        registry.register(this, memory);
    }

    // Reads the text form, such as "schema Sample 1.0.0 { time: u64; }".
    static parse(text) {
        return read((memory) => call.schema_parse(text, memory));
    }

    // The schema of a block, also without a producer.
    static ofBlock(name) {
        return read((memory) => call.schema_of_block(name, memory));
    }

    // The fields by name: numbers, BigInt for 64-bit integers, boolean, strings, arrays, objects.
    decode(bytes) {
        this.#fits(bytes);
        return decode(this.#struct, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
    }

    // Stores fields by name. Fields that are not given keep their bytes.
    encode(record, bytes = Buffer.alloc(this.size)) {
        this.#fits(bytes);
        encode(this.#struct, record, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
        return bytes;
    }

    #fits(bytes) {
        if (bytes.byteLength < this.size) {
            throw made('INVALID', `${bytes.byteLength} bytes are too short for a struct of ${this.size}`);
        }
    }
}

function read(from) {
    const memory = Buffer.alloc(size);
    check(from(memory));
    return new Schema(memory);
}

// The schema of a handle; null: the block has none.
function schemaOf(from) {
    try {
        return read(from);
    } catch (error) {
        if (error.status === 'SCHEMA') {
            return null;
        }
        throw error;
    }
}

module.exports = { Schema };
Object.defineProperty(module.exports, 'schemaOf', { value: schemaOf });
