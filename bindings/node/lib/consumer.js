'use strict';

const { call, initial } = require('./native');
const { UINT32, whole } = require('./arguments');
const { check, failed, made, status } = require('./errors');
const { end, view } = require('./memory');
const { choice, common, fillCommon, known, milliseconds, textOrNull } = require('./options');
const { schemaOf } = require('./schema');
const waiter = require('./waiter');

const DELIVERIES = { default: 0, lossless: 1, ordered: 2, latest: 3 };
const STARTS = { latest: 0, oldest: 1 };
const OPTIONS = [...common, 'delivery', 'start', 'maxPins', 'durable', 'name', 'exact'];
const STILL_HELD = [status.INVALID, status.BUSY, status.SYSTEM];

// A reader of a block. No call waits on the event loop's thread.
class Consumer {
    #handle;
    #held = new Set();
    #late = []; // slots that the library still holds, although the program has released them
    #schema;
    #reading = false;
    #absent; // TIMEOUT or NO_PRODUCER, of the last attempt

    constructor(name, options = {}) {
        known(options, OPTIONS, 'a consumer');
        const struct = {}, out = [null];
        check(initial.options(struct));
        struct.delivery = choice(options.delivery, DELIVERIES, 'delivery');
        struct.start = choice(options.start, STARTS, 'start');
        struct.max_pins = whole(options.maxPins ?? 0, 'maxPins', UINT32);
        struct.durable = options.durable ? 1 : 0;
        struct.name = textOrNull(options.name, 'name');
        struct.schema_mode = options.exact ? 1 : 0;
        const expected = fillCommon(struct, options);
        check(call.consumer_open(name, struct, out));
        this.#handle = out[0];
        this.#schema = expected ?? undefined;
    }

    // Holds the next message; null: there is none now.
    tryRead() {
        const slot = {};
        const code = this.#call((handle) => call.read_begin(handle, 0, slot));
        if (code === status.TIMEOUT || code === status.NO_PRODUCER) {
            this.#absent = code;
            return null;
        }
        check(code);
        return this.#hold(slot);
    }

    // Holds the next message, and waits for it, without a limit unless a timeout in milliseconds is
    // given.
    async read(timeout) {
        return this.#eventually(() => this.tryRead(), timeout);
    }

    // Holds message `id`, if it is there. The cursor does not move.
    readAt(id) {
        const slot = {};
        whole(id, 'id');
        check(this.#call((handle) => call.read_at(handle, id, slot)));
        return this.#hold(slot);
    }

    // A copy of the next message; null: there is none now.
    tryReceive() {
        const slot = this.tryRead();
        if (slot === null) {
            return null;
        }
        const data = Buffer.from(slot.data);
        slot.release();
        return { id: slot.id, missed: slot.missed, timestampNs: slot.timestampNs, data };
    }

    // A copy of the next message, which waits as `read` does.
    async receive(timeout) {
        return this.#eventually(() => this.tryReceive(), timeout);
    }

    // The messages until the end of the stream. Each is released when the next one is asked for.
    async* [Symbol.asyncIterator]() {
        for (;;) {
            let slot;
            try {
                slot = await this.read();
            } catch (error) {
                if (error.status === 'CLOSED') {
                    return;
                }
                throw error;
            }
            try {
                yield slot;
            } finally {
                slot.release();
            }
        }
    }

    // Whether a durable consumer continues at the cursor that was kept.
    get resumed() {
        const out = [null];
        check(this.#call((handle) => call.consumer_resumed(handle, out)));
        return out[0];
    }

    // The schema that was asked for, or the block's; null: the block has none.
    get schema() {
        this.#schema ??= schemaOf((memory) => this.#call((handle) => call.schema_of_consumer(handle, memory)));
        return this.#schema;
    }

    // Detaches. Messages that are held are released, and their memory is not accessible any more.
    close() {
        const handle = this.#open();
        for (const slot of this.#held) {
            slot.ended();
        }
        this.#handle = undefined;
        this.#late = [];
        waiter.forget(handle);
        check(call.consumer_close(handle));
    }

    [Symbol.dispose ?? Symbol.for('dispose')]() {
        if (this.#handle !== undefined) {
            this.close();
        }
    }

    #open() {
        if (this.#handle === undefined) {
            throw made('CLOSED', 'the consumer is closed');
        }
        return this.#handle;
    }

    // While a wait is on, its thread enters the handle ten times a second. Another call then gets
    // BUSY.
    #call(make) {
        const handle = this.#open();
        let code = make(handle);
        for (let i = 0; i < 100 && code === status.BUSY && waiter.isWaiting(handle); i++) {
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
            code = make(handle);
        }
        return code;
    }

    #hold(slot) {
        const held = new ReadSlot(this, slot, {
            release: () => this.#release(slot),
            gone: (ended) => this.#held.delete(ended),
        });
        this.#held.add(held);
        return held;
    }

    // Ends a hold. A LOSSLESS consumer releases in the order of the reads: a later message waits
    // for the earlier one. The library also holds a message after BUSY and SYSTEM.
    #release(slot) {
        const code = this.#call((handle) => call.read_end(handle, slot));
        const later = this.#releaseLate();
        if (STILL_HELD.includes(code)) {
            this.#late.push(slot);
        }
        return code === status.INVALID || code === status.OK ? later : code;
    }

    // Ends the late holds, as far as it goes, and returns the first error.
    #releaseLate() {
        let first = status.OK;
        this.#late.sort((one, other) => Number(one.id) - Number(other.id));
        this.#late = this.#late.filter((slot) => {
            const code = this.#call((handle) => call.read_end(handle, slot));
            const over = !STILL_HELD.includes(code);
            first = over && first === status.OK ? code : first;
            return !over;
        });
        return first;
    }

    async #eventually(attempt, timeout) {
        const until = performance.now() + milliseconds(timeout, Infinity);
        if (this.#reading) {
            throw made('BUSY', 'another read of this consumer is waiting');
        }
        this.#reading = true;
        try {
            for (;;) {
                const result = attempt();
                if (result !== null) {
                    return result;
                }
                if (performance.now() >= until || !await waiter.wait(this.#open(), until)) {
                    return this.#last(attempt);
                }
            }
        } finally {
            this.#reading = false;
        }
    }

    // The time is over. The error of the last attempt says whether there is a producer.
    #last(attempt) {
        const result = attempt();
        if (result === null) {
            throw failed(this.#absent);
        }
        return result;
    }
}

// A message that is held: `data` is memory of the block, which is read-only, until `release`. A
// write to `data` ends the process.
class ReadSlot {
    #consumer;
    #does;

    constructor(consumer, slot, does) {
        this.#consumer = consumer;
        this.#does = does;
        this.id = Number(slot.id);
        this.missed = Number(slot.missed);
        this.timestampNs = BigInt(slot.timestamp_ns);
        this.index = slot.index;
        this.data = view(slot.data, Number(slot.length));
    }

    // The fields of the schema, as copies.
    get record() {
        if (this.#consumer.schema === null) {
            throw made('SCHEMA', 'the block has no schema');
        }
        return this.#consumer.schema.decode(this.data);
    }

    // Releases the message. After OVERRUN and FENCED discard what was computed from it. Does
    // nothing the second time.
    release() {
        if (this.#does !== null) {
            const { release } = this.#does;
            this.ended();
            check(release());
        }
    }

    // The memory is not accessible any more.
    ended() {
        end(this.data);
        this.#does.gone(this);
        this.#does = null;
    }

    [Symbol.dispose ?? Symbol.for('dispose')]() {
        this.release();
    }
}

module.exports = { Consumer, ReadSlot };
