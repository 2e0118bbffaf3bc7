// One wait for all consumers of this process, on one thread of libuv's pool.
'use strict';

const { call } = require('./native');
const { made, status } = require('./errors');

const LIMIT = 1024; // DATABLOCK_WAIT_ANY_MAX
const PART = 1000; // milliseconds: so long a process that ends may wait for the thread

const waiting = new Map(); // by handle: { resolve, until }
const waker = Buffer.alloc(8);
let running = false;

// Resolves to true when the consumer may have a message, and to false when the time is over.
function wait(handle, until) {
    if (waiting.has(handle)) {
        throw made('BUSY', 'another read of this consumer is waiting');
    }
    if (waiting.size === LIMIT) {
        throw made('BUSY', `${LIMIT} consumers wait already`);
    }
    return new Promise((resolve) => {
        waiting.set(handle, { resolve, until });
        if (running) {
            call.wake(waker); // the present wait does not know this consumer
        } else {
            run();
        }
    });
}

// Ends the wait of a consumer that is closed.
function forget(handle) {
    finish(handle, true);
    if (running) {
        call.wake(waker);
    }
}

function finish(handle, ready) {
    const one = waiting.get(handle);
    waiting.delete(handle);
    one?.resolve(ready);
}

function run() {
    if (waiting.size === 0) {
        running = false;
        return;
    }
    running = true;
    const handles = [...waiting.keys()];
    const numbers = Buffer.alloc(8 * handles.length), ready = Buffer.alloc(handles.length);
    handles.forEach((handle, i) => numbers.writeBigUInt64LE(BigInt(handle), 8 * i));
    const first = Math.min(...[...waiting.values()].map((one) => one.until)) - performance.now();
    const time = Math.max(0, Math.ceil(Math.min(first, PART)));
    call.wait_any_or_wake.async(numbers, handles.length, time, ready, waker, (error, code) => {
        const unclear = error || (code !== status.OK && code !== status.TIMEOUT); // each read will say
        const now = performance.now();
        handles.forEach((handle, i) => {
            const one = waiting.get(handle);
            if (one !== undefined && (unclear || ready[i] !== 0)) {
                finish(handle, true);
            } else if (one !== undefined && now >= one.until) {
                finish(handle, false);
            }
        });
        setImmediate(run); // the reads come first
    });
}

process.on('exit', () => call.wake(waker));

module.exports = { forget, isWaiting: (handle) => waiting.has(handle), wait };
