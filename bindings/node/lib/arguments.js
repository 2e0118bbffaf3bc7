// What a program gives, before C gets it: koffi takes a number for a pointer to text, and cuts a
// fraction off.
'use strict';

const { inspect } = require('node:util');

const UINT32 = 2 ** 32 - 1;

function wrong(what, value, needed) {
    const { made } = require('./errors'); // the errors need the functions of C, which need this file
    return made('INVALID', `${what} is ${inspect(value, { depth: 0 })}: ${needed} is needed`);
}

function text(value, what) {
    if (typeof value !== 'string') {
        throw wrong(what, value, 'a string');
    }
    if (value.includes('\0')) {
        throw wrong(what, value, 'a string without a zero');
    }
    return value;
}

// A number or a bigint, from 0 to `most`.
function whole(value, what, most = Number.MAX_SAFE_INTEGER) {
    const right = typeof value === 'bigint' ? value < 2n ** 64n : Number.isInteger(value) && value <= most;
    if (!right || value < 0) {
        throw wrong(what, value, `a whole number from 0 to ${most}`);
    }
    return value;
}

const checks = {
    str: text,
    uint32_t: (value, what) => whole(value, what, UINT32),
    uint64_t: (value, what) => whole(value, what),
};

// A function of C that looks at its texts and numbers first. The prototype has their names.
function guarded(prototype, run) {
    const parameters = prototype.match(/\((.*)\)/)[1].split(', ').map((parameter) => {
        const [, type, name] = parameter.match(/^(\w+) (\w+)$/) ?? [];
        return { check: checks[type], name };
    });
    return (...values) => {
        parameters.forEach(({ check, name }, i) => check?.(values[i], name));
        return run(...values);
    };
}

module.exports = { guarded, text, UINT32, whole, wrong };
