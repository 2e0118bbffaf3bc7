// What a program gives wrongly is an error with a name, never a crash or another value.
'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const datablock = require('..');
const { newBlock } = require('./common');

const { Consumer, InvalidError, Observer, Producer, Schema, recovery } = datablock;

const refused = (action, pattern) => assert.throws(action, (error) => {
    assert.ok(error instanceof InvalidError, error.stack);
    assert.match(error.message, pattern);
    return true;
});

// Values that are no text. koffi takes a number for a pointer.
const NO_TEXT = [5, 5.5, -1, 5n, true, {}, [], 'a\0b'];
// Values that are no whole number of 32 bits.
const NO_NUMBER = ['5', '0640', 5.5, -1, NaN, Infinity, 2 ** 60, true, {}, []];

test('a name that is no string', () => {
    for (const name of [...NO_TEXT, null, undefined]) {
        for (const open of [Producer, Consumer, Observer]) {
            refused(() => new open(name, open === Producer ? { slotSize: 8 } : {}), /^name is /);
        }
        refused(() => Schema.parse(name), /^text is /);
        refused(() => Schema.ofBlock(name), /^name is /);
        for (const [what, act] of Object.entries(recovery)) {
            if (what !== 'isProcessAlive') {
                refused(() => act(name, 0), /^(shm_)?name is /);
            }
        }
    }
});

test('options of another type', () => {
    const block = newBlock();
    const producer = new Producer(block, { slotSize: 8 });
    const other = newBlock();
    for (const option of ['directory', 'registered', 'registry']) {
        for (const value of NO_TEXT) {
            refused(() => new Producer(other, { slotSize: 8, [option]: value }), new RegExp(`^${option} is `));
            refused(() => new Consumer(block, { [option]: value }), new RegExp(`^${option} is `));
        }
    }
    for (const value of NO_TEXT) {
        refused(() => new Consumer(block, { name: value }), /^name is /);
    }
    for (const value of NO_NUMBER) {
        for (const option of ['slotSize', 'slotCount', 'spareSlots', 'alignment', 'consumerLimit', 'minConsumers',
            'mode', 'retention', 'zoneSize']) {
            refused(() => new Producer(other, { slotSize: 8, [option]: value }), new RegExp(`^${option} is `));
        }
        refused(() => new Consumer(block, { maxPins: value }), /^maxPins is /);
    }
    for (const value of [5, true, {}, []]) {
        refused(() => new Producer(other, { schema: value }), /^schema is /);
        refused(() => new Consumer(block, { schema: value }), /^schema is /);
        if (!Array.isArray(value)) {
            refused(() => new Consumer(block, { secret: value }), /^secret is /);
        }
    }
    for (const options of [5, 'x', null]) {
        refused(() => new Producer(other, options), /object of options/);
        refused(() => new Consumer(block, options), /object of options/);
        refused(() => new Observer(block, options), /object of options/);
    }
    assert.ok(!fs.existsSync(other));
    producer.close();
});

test('numbers of messages and slots', () => {
    const block = newBlock();
    const producer = new Producer(block, { slotSize: 8 }), consumer = new Consumer(block);
    const observer = new Observer(block);
    for (const value of NO_NUMBER) {
        refused(() => consumer.readAt(value), /^id is /);
        refused(() => observer.readAt(value), /^id is /);
        refused(() => recovery.diagnoseSlot(block, value), /^slot\w* is /);
        refused(() => recovery.forceResetSlot(block, value), /^slot\w* is /);
        refused(() => recovery.evictConsumer(block, value), /^row is /);
        refused(() => recovery.cleanupDeadConsumers(block, value), /^older is /);
    }
    for (const value of [...NO_NUMBER, 9, null]) {
        refused(() => producer.tryClaim().commit(value), /^the length is .*8 bytes/);
    }
    assert.equal(producer.nextId, 0);
    [observer, consumer, producer].forEach((one) => one.close());
});

test('messages that are no bytes', async () => {
    const producer = new Producer(newBlock(), { slotSize: 8 });
    for (const value of [5, null, undefined, {}, true, 5n]) {
        refused(() => producer.trySend(value), /^the message is /);
        await assert.rejects(producer.send(value), InvalidError);
    }
    for (const value of ['abc', Buffer.from('abc'), new Uint8Array(3), new DataView(new ArrayBuffer(3)), [1, 2, 3],
        new ArrayBuffer(3)]) {
        await producer.send(value);
    }
    assert.equal(producer.nextId, 6);
    producer.close();
});

test('fields that the schema does not have, and values that do not fit', () => {
    const text = 'schema P 1.0 { n: i32; u: u8; big: u64; x: f64; s: char[4]; names: char[2][4]; at: { y: f32; }; ' +
        'on: bool; }';
    const block = newBlock();
    const producer = new Producer(block, { schema: text });
    const consumer = new Consumer(block);
    const wrong = [
        [{ z: 1 }, /no field "z": there are n, u, big, x, s, names, at, on/],
        [{ at: { z: 1 } }, /no field "z": there are y/], [{ at: 5 }, /^the record is 5/], [5, /^the record is 5/],
        [{ n: 2 ** 31 }, /^field "n" is 2147483648: a whole number from -2147483648 to 2147483647/],
        [{ n: 1.5 }, /^field "n"/], [{ n: '1' }, /^field "n"/], [{ u: -1 }, /^field "u"/], [{ u: 256n }, /^field "u"/],
        [{ big: -1 }, /^field "big"/], [{ big: 2n ** 64n }, /^field "big"/], [{ big: 1.5 }, /^field "big"/],
        [{ x: 'a' }, /^field "x"/], [{ x: 1n }, /^field "x"/], [{ s: 'hello' }, /^field "s" is 'hello'.*4 bytes/],
        [{ s: 5 }, /^field "s"/],
        [{ on: 'no' }, /^field "on" is 'no': true or false/],
        [{ names: ['a', 'hello'] }, /^field "names"/], [{ names: 'ab' }, /^field "names"/],
    ];
    for (const [record, pattern] of wrong) {
        const claim = producer.tryClaim();
        refused(() => claim.commitRecord(record), pattern);
        assert.equal(claim.data.length, 0, 'the claim has ended');
    }
    const record = { n: -5, u: 255, big: 2n ** 64n - 1n, x: 0.5, s: 'four', names: ['one', 'two'], at: { y: 1.5 },
        on: true };
    producer.tryClaim().commitRecord(record);
    assert.deepEqual(consumer.tryRead().record, record);
    consumer.close();
    producer.close();
});

test('a library that cannot be loaded, or is another one', () => {
    const script = `require(${JSON.stringify(path.dirname(__dirname))})`;
    const loading = (library) => spawnSync(process.execPath, ['-e', script],
        { encoding: 'utf8', env: { ...process.env, DATABLOCK_LIBRARY: library } });
    for (const [library, pattern] of [
        ['/no/such/library', /the DataBlock library \/no\/such\/library cannot be loaded: .*DATABLOCK_LIBRARY/],
        [__filename, /mistakes\.test\.js cannot be loaded: .*DATABLOCK_LIBRARY/],
        ['libc.so.6', /libc\.so\.6 is not the DataBlock library, or is older than this package: .*DATABLOCK_LIBRARY/],
    ]) {
        const { status, stderr } = loading(library);
        assert.equal(status, 1);
        assert.match(stderr, pattern);
    }
});
