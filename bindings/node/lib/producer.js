'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { isAnyArrayBuffer } = require('node:util').types;
const { call, initial } = require('./native');
const { UINT32, whole, wrong } = require('./arguments');
const { check, failed, made, status } = require('./errors');
const { end, view } = require('./memory');
const { choice, common, fillCommon, known, milliseconds } = require('./options');

const POLICIES = { single: 1, double: 2, ring: 3 };
const CHECKSUMS = { none: 0, manual: 1, enforced: 2 };
const ALGORITHMS = { default: 0, crc32c: 1, blake2b: 2 };
const FLAGS = { replace: 2, force: 4, unlinkOnClose: 8, timestamps: 16, reclaim: 64 };
const NUMBERS = { slotSize: 'slot_size', slotCount: 'slot_count', spareSlots: 'spare_slots', alignment: 'alignment',
    consumerLimit: 'consumer_limit', minConsumers: 'min_consumers', mode: 'mode', retention: 'retention_ms',
    zoneSize: 'zone_size' };
const LONG = ['slotSize', 'retention', 'zoneSize']; // 64 bits in C
const OPTIONS = [...Object.keys(NUMBERS), ...Object.keys(FLAGS), ...common, 'policy', 'checksum', 'algorithm',
    'allowLossless'];

// The memory of bytes, without a copy; of a string or an array, a copy.
function bufferOf(bytes) {
    if (typeof bytes === 'string' || Array.isArray(bytes) || isAnyArrayBuffer(bytes)) {
        return Buffer.from(bytes);
    }
    if (!ArrayBuffer.isView(bytes)) {
        throw wrong('the message', bytes, 'a Buffer, another view of bytes, or a string');
    }
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

// The writer of a block. No call waits on the event loop's thread.
class Producer {
    #handle;
    #claim = null;

    constructor(name, options = {}) {
        known(options, OPTIONS, 'a producer');
        const config = {}, out = [null];
        check(initial.config(config, choice(options.policy ?? 'ring', POLICIES, 'policy')));
        for (const [own, field] of Object.entries(NUMBERS)) {
            config[field] = whole(options[own] ?? 0, own, LONG.includes(own) ? undefined : UINT32);
        }
        for (const [own, flag] of Object.entries(FLAGS)) {
            config.flags |= options[own] ? flag : 0;
        }
        if (options.allowLossless !== undefined) {
            config.flags = (config.flags & ~33) | (options.allowLossless ? 1 : 32);
        }
        config.checksum = choice(options.checksum, CHECKSUMS, 'checksum');
        config.algorithm = choice(options.algorithm, ALGORITHMS, 'algorithm');
        this.schema = fillCommon(config, options);
        check(call.producer_open(name, config, out));
        this.#handle = out[0];
    }

    // Publishes a copy if there is room, and returns the id; null: there is no room now.
    trySend(bytes) {
        const out = [null], data = bufferOf(bytes);
        const code = call.write(this.#open(), 0, data, data.length, out);
        if (code === status.TIMEOUT) {
            return null;
        }
        check(code);
        return Number(out[0]);
    }

    // Publishes a copy, and returns the id. While there is no room the promise waits, without a
    // limit unless a timeout in milliseconds is given.
    async send(bytes, timeout) {
        const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
        return this.#eventually(() => this.trySend(data), timeout);
    }

    // Claims a slot to be filled in place; null: there is no room now.
    tryClaim() {
        const slot = {};
        const code = call.write_begin(this.#open(), 0, slot);
        if (code === status.TIMEOUT) {
            return null;
        }
        check(code);
        this.#claim = new WriteSlot(this.#handle, slot, this.schema);
        return this.#claim;
    }

    // Claims a slot, and waits as `send` does.
    async claim(timeout) {
        return this.#eventually(() => this.tryClaim(), timeout);
    }

    // The id of the next message.
    get nextId() {
        const out = [null];
        check(call.producer_next_id(this.#open(), out));
        return Number(out[0]);
    }

    // Ends the stream. An open claim is aborted, and its memory is not accessible any more.
    close() {
        const handle = this.#open();
        this.#claim?.abort();
        this.#handle = undefined;
        check(call.producer_close(handle));
    }

    [Symbol.dispose ?? Symbol.for('dispose')]() {
        if (this.#handle !== undefined) {
            this.close();
        }
    }

    #open() {
        if (this.#handle === undefined) {
            throw made('CLOSED', 'the producer is closed');
        }
        return this.#handle;
    }

    // A producer without room looks every millisecond.
    async #eventually(attempt, timeout) {
        const until = performance.now() + milliseconds(timeout, Infinity);
        for (;;) {
            const result = attempt();
            if (result !== null) {
                return result;
            }
            if (performance.now() >= until) {
                throw failed(status.TIMEOUT);
            }
            await sleep(1);
        }
    }
}

// A claimed slot: `data` is memory of the block until `commit` or `abort`.
class WriteSlot {
    #handle;
    #slot;
    #schema;

    constructor(handle, slot, schema) {
        this.#handle = handle;
        this.#slot = slot;
        this.#schema = schema;
        this.id = Number(slot.id);
        this.index = slot.index;
        this.data = view(slot.data, Number(slot.capacity));
    }

    // Publishes the first `length` bytes. After an error nothing was published, and the claim has
    // ended.
    commit(length = this.data.length) {
        const room = this.data.length;
        const slot = this.#ended();
        if (!Number.isInteger(length) || length < 0 || length > room) {
            call.write_abort(this.#handle, slot);
            throw wrong('the length', length, `a whole number up to the slot's ${room} bytes`);
        }
        const code = call.write_commit(this.#handle, slot, length);
        if (code !== status.OK) {
            const error = failed(code);
            call.write_abort(this.#handle, slot); // a claim that is still open, after a short length
            throw error;
        }
        return this.id;
    }

    // Stores the fields of the block's schema, and publishes the struct. An error ends the claim.
    commitRecord(record) {
        if (this.#schema === null) {
            throw made('SCHEMA', 'this producer has no schema');
        }
        try {
            this.#schema.encode(record, this.data);
        } catch (error) {
            this.abort();
            throw error;
        }
        return this.commit(this.#schema.size);
    }

    // Nothing is published. Does nothing after `commit`.
    abort() {
        if (this.#slot !== null) {
            call.write_abort(this.#handle, this.#ended());
        }
    }

    #ended() {
        if (this.#slot === null) {
            throw made('INVALID', 'the claim has ended');
        }
        const slot = this.#slot;
        this.#slot = null;
        end(this.data);
        return slot;
    }
}

module.exports = { Producer, WriteSlot };
