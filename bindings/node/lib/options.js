// Options of JavaScript as structs of C.
'use strict';

const path = require('node:path');
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
    for (const name of Object.keys(options)) {
        if (!names.includes(name)) {
            throw made('INVALID', `${what} has no option ${JSON.stringify(name)}: there are ${names.join(', ')}`);
        }
    }
}

const common = ['directory', 'secret', 'schema', 'registered', 'registry'];

// Fills what both sides say. The result keeps the schema alive during the open.
function fillCommon(struct, options) {
    const secret = options.secret === undefined ? null : Buffer.from(options.secret);
    struct.directory = options.directory === undefined ? null : path.resolve(options.directory);
    struct.secret = secret;
    struct.secret_length = secret?.length ?? 0;
    struct.registered = options.registered ?? null;
    struct.registry = options.registry === undefined ? null : path.resolve(options.registry);
    const schema = typeof options.schema === 'string' ? Schema.parse(options.schema) : options.schema ?? null;
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

module.exports = { choice, common, fillCommon, known, milliseconds };
