'use strict';

const { call, initial } = require('./native');
const { whole } = require('./arguments');
const { check, made } = require('./errors');
const { common, fillCommon, known } = require('./options');
const { schemaOf } = require('./schema');

const NEWEST = 2n ** 64n - 1n;

// Copies messages without being a participant.
class Observer {
    #handle;
    #room = Buffer.alloc(4096);

    constructor(name, options = {}) {
        known(options, [...common, 'exact'], 'an observer');
        const struct = {}, out = [null];
        check(initial.options(struct));
        struct.schema_mode = options.exact ? 1 : 0;
        const schema = fillCommon(struct, options);
        check(call.observer_open(name, struct, out));
        this.#handle = out[0];
        this.schema = schema ?? schemaOf((memory) => call.schema_of_observer(this.#handle, memory));
    }

    // A copy of the newest message.
    newest() {
        return this.#copy(NEWEST);
    }

    // A copy of message `id`.
    readAt(id) {
        return this.#copy(BigInt(whole(id, 'id')));
    }

    close() {
        const handle = this.#open();
        this.#handle = undefined;
        check(call.observer_close(handle));
    }

    [Symbol.dispose ?? Symbol.for('dispose')]() {
        if (this.#handle !== undefined) {
            this.close();
        }
    }

    #open() {
        if (this.#handle === undefined) {
            throw made('CLOSED', 'the observer is closed');
        }
        return this.#handle;
    }

    #copy(id) {
        for (;;) {
            const seen = {};
            check(call.observe(this.#open(), id, this.#room, this.#room.length, seen));
            if (seen.length <= this.#room.length) {
                const data = Buffer.from(this.#room.subarray(0, Number(seen.length)));
                return { id: Number(seen.id), nextId: Number(seen.next_id), timestampNs: BigInt(seen.timestamp_ns),
                    index: seen.index, data };
            }
            this.#room = Buffer.alloc(Number(seen.length));
        }
    }
}

module.exports = { Observer };
