// Views of a block's memory that end with their slot.
'use strict';

const v8 = require('node:v8');
const vm = require('node:vm');
const { koffi } = require('./native');

// A view must not outlive its hold: after a close its memory is unmapped, and an access would end
// the process. Node.js detaches no memory of C, so V8 does.
function compile() {
    v8.setFlagsFromString('--allow-natives-syntax');
    try {
        const native = vm.runInThisContext('(buffer) => %ArrayBufferDetach(buffer)');
        native(new ArrayBuffer(8));
        return native;
    } finally {
        v8.setFlagsFromString('--no-allow-natives-syntax');
    }
}

let native = compile();

function detach(memory) {
    try {
        native(memory);
    } catch { // V8 has dropped the code of a function that was not called for long
        native = compile();
        native(memory);
    }
}

// The memory as a Buffer.
function view(pointer, length) {
    return length === 0 ? Buffer.alloc(0) : Buffer.from(koffi.view(pointer, length));
}

// Makes a Buffer of `view` empty. Every other Buffer or array over the same memory is empty then
// too.
function end(buffer) {
    if (buffer.length !== 0) {
        detach(buffer.buffer);
    }
}

module.exports = { end, view };
