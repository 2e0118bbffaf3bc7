// koffi lays the structs out as C does.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { koffi, structs } = require('../lib/native');
const { newBlock } = require('./common');

const include = process.env.DATABLOCK_INCLUDE_DIR || path.join(__dirname, '../../../include');

test('sizes and offsets are those of the header', () => {
    const lines = [], expected = [];
    for (const [name, type] of Object.entries(structs)) {
        lines.push(`printf("${name} %zu\\n", sizeof(${name}));`);
        expected.push(`${name} ${koffi.sizeof(type)}`);
        for (const field of Object.keys(type.members)) {
            const where = `offsetof(${name}, ${field})`, bytes = `sizeof(((${name} *)0)->${field})`;
            lines.push(`printf("${name}.${field} %zu %zu\\n", ${where}, ${bytes});`);
            const size = koffi.sizeof(type.members[field].type);
            expected.push(`${name}.${field} ${koffi.offsetof(type, field)} ${size}`);
        }
    }
    assert.ok(expected.length > 100);
    const directory = path.dirname(newBlock()), source = path.join(directory, 'layout.c');
    fs.writeFileSync(source, `#include <datablock.h>\n#include <stdio.h>\nint main(void) {\n${lines.join('\n')}\n}\n`);
    execFileSync(process.env.CC || 'cc', ['-I', include, '-o', path.join(directory, 'layout'), source]);
    const printed = execFileSync(path.join(directory, 'layout'), { encoding: 'utf8' });
    assert.deepEqual(printed.trim().split('\n'), expected);
});
