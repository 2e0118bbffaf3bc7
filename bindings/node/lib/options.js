// Options of JavaScript as structs of C.
'use strict';

const path = require('node:path');
const { text, wrong } = require('./arguments');
const { made } = require('./errors');
const { Schema } = require('./schema');

function choice(value, words, what) {
    if (value === undefined) {
        return 0;
    }
    const number = words[value];
    if (number === undefined) {
        throw made('INVALID', `${what} is ${JSON.stringify(value)}, not one of ${Object.keys(words).join(', ')}`);
    }
    return number;
}

// An option without a meaning is an error, because a misspelt one would be ignored.
function known(options, names, what) {
    if (typeof options !== 'object' || options === null) {
        throw wrong(`the second argument of ${what}`, options, 'an object of options');
    }
    for (const name of Object.keys(options)) {
        if (!names.includes(name)) {
            throw made('INVALID', `${what} has no option ${JSON.stringify(name)}: there are ${names.join(', ')}`);
        }
    }
}

const common = ['directory', 'secret', 'schema', 'registered', 'registry'];

function textOrNull(value, what) {
    return (value ?? null) === null ? null : text(value, what);
}

function secretOf(value) {
    if (value !== null && typeof value !== 'string' && !(value instanceof Uint8Array)) {
        throw made('INVALID', 'secret is neither a string nor a Uint8Array'); // and its value stays secret
    }
    return value === null ? null : Buffer.from(value);
}

// Fills what both sides say. The result keeps the schema alive during the open.
function fillCommon(struct, options) {
    const secret = secretOf(options.secret ?? null);
    const given = (option) => textOrNull(options[option], option);
    const folder = (option) => (given(option) === null ? null : path.resolve(given(option)));
    struct.directory = folder('directory');
    struct.secret = secret;
    struct.secret_length = secret?.length ?? 0;
    struct.registered = given('registered');
    struct.registry = folder('registry');
    const schema = typeof options.schema === 'string' ? Schema.parse(options.schema) : options.schema ?? null;
    if (schema !== null && !(schema instanceof Schema)) {
        throw wrong('schema', schema, 'a Schema, or its text form,');
    }
    struct.schema = schema === null ? null : schema.forC;
    return schema;
}

// Milliseconds for C. Without a timeout a call of JavaScript does not wait.
function milliseconds(timeout, otherwise) {
    const time = timeout ?? otherwise;
    if (time === Infinity) {
        return Infinity;
    }
    if (!(time >= 0)) {
        throw made('INVALID', `the timeout is ${time}, not a number of milliseconds`);
    }
    return Math.ceil(time);
}

module.exports = { choice, common, fillCommon, known, milliseconds, textOrNull };
