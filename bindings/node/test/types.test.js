// index.d.ts names what the package exports.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const datablock = require('..');

const text = fs.readFileSync(path.join(__dirname, '..', 'index.d.ts'), 'utf8');
const declared = (pattern, from = text) => [...from.matchAll(pattern)].map((match) => match[1]).sort();

test('the types have every name that the package exports, and no other', () => {
    const names = declared(/^export (?:function|class|namespace) (\w+)/gm);
    assert.deepEqual(names, Object.keys(datablock).sort());
});

test('the types have the functions of recovery', () => {
    const names = declared(/^ {4}function (\w+)/gm);
    assert.deepEqual(names, Object.keys(datablock.recovery).sort());
});

test('the types have the members of each class', () => {
    for (const [name, type] of Object.entries(datablock)) {
        const body = new RegExp(`^export class ${name} [^{]*\\{\\n(.*?)^\\}`, 'ms').exec(text)?.[1];
        if (body === undefined || name.endsWith('Error')) {
            continue;
        }
        const members = declared(/^ {4}(?:readonly )?(\w+)[(:]/gm, body).filter((one) => one !== 'constructor');
        const own = Object.getOwnPropertyNames(type.prototype).filter((one) => !['constructor', 'ended'].includes(one));
        for (const member of own) {
            assert.ok(members.includes(member), `${name}.${member}`);
        }
    }
});
