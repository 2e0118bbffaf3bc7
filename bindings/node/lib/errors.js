// One class for each status of docs/errors.md.
'use strict';

const { call } = require('./native');

const names = ['OK', 'TIMEOUT', 'INVALID', 'NOT_FOUND', 'EXISTS', 'PRODUCER_ACTIVE', 'ACCESS', 'SECRET', 'CORRUPT',
    'VERSION', 'GEOMETRY', 'SCHEMA', 'NO_SPACE', 'FULL', 'BUSY', 'CLOSED', 'SUPERSEDED', 'FENCED', 'OVERRUN', 'LOST',
    'NO_PRODUCER', 'NO_SPARE', 'CHECKSUM', 'FORKED', 'HANDLE', 'SYSTEM', 'PANIC'];
const status = Object.fromEntries(names.map((name, value) => [name, value]));

// The base of all errors. `status` is the name of the status, `code` its number in C. The message
// says what exactly was wrong, with the values, and what to do.
class DataBlockError extends Error {
    constructor(message, name, code) {
        super(message || name);
        this.name = this.constructor.name;
        this.status = name;
        this.code = code;
    }
}

// A function of diagnosis or recovery failed: `code` is a RecoveryResult, or a negative number.
class RecoveryError extends DataBlockError {}

const classes = { DataBlockError, RecoveryError };
for (const name of names.slice(1)) {
    const camel = name.toLowerCase().replace(/(^|_)(\w)/g, (_, __, letter) => letter.toUpperCase()) + 'Error';
    classes[camel] = { [camel]: class extends DataBlockError {} }[camel];
    classes[name] = classes[camel];
}
// A timeout without a producer is a timeout.
classes.NoProducerError = classes.NO_PRODUCER = class NoProducerError extends classes.TimeoutError {};

// The error of the last call. The text of the library belongs to the thread, so the call must have
// been made on this one.
function failed(code) {
    return made(names[code], call.error_detail(), code);
}

function made(name, message, code = status[name]) {
    return new (classes[name] ?? DataBlockError)(message, name ?? 'UNKNOWN', code);
}

function check(code) {
    if (code !== 0) {
        throw failed(code);
    }
}

const isPublic = ([name]) => name.endsWith('Error');

module.exports = {
    check, failed, made, status, RecoveryError, public: Object.fromEntries(Object.entries(classes).filter(isPublic)),
};
