// Messages of one process.
'use strict';

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const test = require('node:test');
const datablock = require('..');
const { newBlock, payload } = require('./common');

const { Consumer, Observer, Producer, Schema, recovery } = datablock;
const SAMPLE = 'schema Sample 1.2.0 { time: u64; value: f64[2][3]; at: { x: f32; on: bool; }; name: char[8]; }';

function pair(options = {}, reading = {}) {
    const block = newBlock();
    const producer = new Producer(block, { slotCount: 4, slotSize: 256, ...options });
    const consumer = new Consumer(block, reading);
    return { block, producer, consumer, done() { consumer.close(); producer.close(); } };
}

test('a message is written and read in place', async () => {
    const { producer, consumer, done } = pair();
    const claim = producer.tryClaim();
    assert.equal(claim.data.length, 256);
    claim.data.write('hello');
    const written = claim.data;
    assert.equal(claim.commit(5), 0);
    assert.equal(written.length, 0, 'not accessible after the commit');
    const slot = await consumer.read();
    const read = slot.data, part = read.subarray(1, 3), bytes = new Uint8Array(read.buffer);
    assert.equal(read.toString(), 'hello');
    assert.deepEqual([slot.id, slot.missed, slot.timestampNs], [0, 0, 0n]);
    slot.release();
    assert.deepEqual([read.length, part.length, bytes.length, slot.data.length], [0, 0, 0, 0]);
    slot.release();
    done();
});

test('messages that are released in another order', () => {
    const { producer, consumer, done } = pair({}, { delivery: 'lossless', maxPins: 3 });
    for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 3; i++) {
            producer.trySend(Buffer.from('x'));
        }
        const [first, second, third] = [consumer.tryRead(), consumer.tryRead(), consumer.tryRead()];
        third.release();
        third.release();
        assert.equal(third.data.length, 0);
        second.release();
        producer.trySend(Buffer.from('y'));
        assert.throws(() => consumer.tryRead(), datablock.BusyError, 'all three are held');
        first.release();
        consumer.tryRead().release();
        assert.equal(consumer.tryRead(), null);
    }
    done();
});

test('a late release of another order ends with the consumer', () => {
    const { producer, consumer, done } = pair({}, { delivery: 'lossless', maxPins: 2 });
    producer.trySend(Buffer.from('x'));
    producer.trySend(Buffer.from('y'));
    const first = consumer.tryRead();
    consumer.tryRead().release();
    done();
    first.release();
    assert.equal(first.data.length, 0);
});

test('views end also when V8 has dropped unused code', () => {
    const script = `
        const { Producer } = require(${JSON.stringify(require.resolve('..'))});
        const producer = new Producer(process.argv[1], { slotSize: 64, unlinkOnClose: true });
        for (let i = 0; i < 30; i++) gc();
        const { data } = producer.tryClaim();
        producer.close();
        console.log(data.length);`;
    const flags = ['--expose-gc', '--flush-bytecode', '--stress-flush-code', '-e', script, newBlock()];
    assert.equal(execFileSync(process.execPath, flags, { encoding: 'utf8' }), '0\n');
});

test('a claim that is not committed publishes nothing', () => {
    const { producer, consumer, done } = pair();
    producer.tryClaim().abort();
    assert.throws(() => producer.tryClaim().commit(257), datablock.InvalidError);
    const claim = producer.tryClaim();
    assert.throws(() => producer.tryClaim(), datablock.InvalidError, 'one claim at a time');
    assert.equal(claim.commit(1), 0);
    assert.throws(() => claim.commit(1), datablock.InvalidError);
    assert.equal(consumer.tryReceive().id, 0);
    assert.equal(consumer.tryRead(), null);
    done();
});

test('a close ends the views', async () => {
    const { producer, consumer, done } = pair();
    producer.trySend(payload(0));
    const { data } = consumer.tryRead();
    const claim = producer.tryClaim().data;
    done();
    assert.deepEqual([data.length, claim.length], [0, 0]);
    assert.throws(() => consumer.tryRead(), datablock.ClosedError);
    await assert.rejects(consumer.read(), datablock.ClosedError);
});

test('a full ring holds the producer up, and the event loop goes on', async () => {
    const { producer, consumer, done } = pair();
    for (let i = 0; i < 4; i++) {
        assert.equal(await producer.send(payload(i)), i);
    }
    assert.equal(producer.trySend(payload(4)), null);
    await assert.rejects(producer.send(payload(4), 5), (error) => {
        assert.ok(error instanceof datablock.TimeoutError && error.status === 'TIMEOUT' && error.code === 1);
        return /LOSSLESS/.test(error.message);
    });
    const sending = producer.send(payload(4));
    setTimeout(() => consumer.tryRead().release(), 10);
    assert.equal(await sending, 4);
    done();
});

test('a read waits without blocking the event loop', async () => {
    const { producer, consumer, done } = pair();
    let turns = 0;
    const timer = setInterval(() => { turns++; }, 1);
    setTimeout(() => producer.trySend(payload(0)), 50);
    const slot = await consumer.read(10000);
    clearInterval(timer);
    assert.equal(slot.id, 0);
    assert.ok(turns > 0, 'timers ran during the wait');
    await assert.rejects(consumer.read(1), datablock.BusyError, 'maxPins is 1');
    slot.release();
    await assert.rejects(consumer.read(1), datablock.TimeoutError);
    producer.close();
    await assert.rejects(consumer.read(), datablock.ClosedError);
    consumer.close();
    assert.throws(done, datablock.ClosedError);
});

test('many consumers wait at once, on one thread', async () => {
    const pairs = Array.from({ length: 20 }, () => pair());
    const reads = pairs.map(({ consumer }) => consumer.receive());
    await assert.rejects(pairs[0].consumer.receive(), datablock.BusyError, 'one read at a time');
    pairs.forEach(({ producer }, i) => setTimeout(() => producer.trySend(payload(i)), i % 7));
    const received = await Promise.all(reads);
    received.forEach(({ data }, i) => assert.deepEqual(data, payload(i)));
    pairs.forEach(({ done }) => done());
});

test('closing a consumer ends its wait', async () => {
    const { producer, consumer } = pair();
    const reading = consumer.read();
    setImmediate(() => consumer.close());
    await assert.rejects(reading, datablock.ClosedError);
    producer.close();
});

test('an iteration ends with the stream', async () => {
    const { producer, consumer } = pair();
    const writing = (async () => {
        for (let i = 0; i < 1000; i++) {
            await producer.send(payload(i));
        }
        producer.close();
    })();
    let next = 0;
    for await (const slot of consumer) {
        assert.equal(slot.id, next);
        assert.deepEqual(slot.data, payload(next++));
    }
    assert.equal(next, 1000);
    await writing;
    consumer.close();
});

test('fields of the schema', async () => {
    const { producer, consumer, block, done } = pair({ schema: SAMPLE });
    const record = { time: 2n ** 60n, value: [[1, 2, 3], [4, 5, 6.5]], at: { x: 0.5, on: true }, name: 'probe' };
    producer.tryClaim().commitRecord(record);
    const slot = await consumer.read();
    assert.deepEqual(slot.record, record);
    slot.release();
    const schema = Schema.parse(SAMPLE);
    assert.equal(Schema.ofBlock(block).hash, schema.hash);
    assert.deepEqual([schema.version, schema.size, schema.alignment], ['1.2.0', 72, 8]);
    assert.deepEqual(schema.decode(schema.encode(record)), record);
    assert.throws(() => schema.encode({ value: [1] }), datablock.InvalidError);
    assert.throws(() => new Consumer(block, { schema: SAMPLE.replace('f32', 'u32') }), (error) =>
        error instanceof datablock.SchemaError && /retyped|"at"/.test(error.message));
    assert.throws(() => Schema.parse('schema S {'), datablock.InvalidError);
    done();
});

test('ordered counts what it missed, an observer takes no part', () => {
    const { producer, block, done } = pair({ allowLossless: false, policy: 'ring' }, { delivery: 'ordered' });
    const latest = new Consumer(block, { delivery: 'latest' }), ordered = new Consumer(block, { delivery: 'ordered' });
    const observer = new Observer(block);
    assert.throws(() => observer.newest(), datablock.NotFoundError);
    for (let i = 0; i < 20; i++) {
        producer.trySend(payload(i));
    }
    assert.equal(latest.tryReceive().id, 19);
    let seen = 0;
    for (let slot; (slot = ordered.tryRead()) !== null; slot.release()) {
        seen += 1 + slot.missed;
    }
    assert.equal(seen, 20);
    assert.deepEqual([observer.newest().id, observer.newest().nextId], [19, 20]);
    assert.deepEqual(observer.readAt(18).data, payload(18));
    assert.throws(() => observer.readAt(1), datablock.OverrunError);
    observer.close();
    latest.close();
    ordered.close();
    done();
});

test('a durable consumer continues', () => {
    const { producer, block, done } = pair();
    const options = { durable: true, name: 'log', start: 'oldest' };
    const first = new Consumer(block, options);
    assert.equal(first.resumed, false);
    producer.trySend(payload(0));
    producer.trySend(payload(1));
    first.tryRead().release();
    first.close();
    const second = new Consumer(block, options);
    assert.equal(second.resumed, true);
    assert.equal(second.tryReceive().id, 1);
    second.close();
    done();
});

test('mistakes are errors', () => {
    const block = newBlock();
    assert.throws(() => new Consumer(block), (error) => error instanceof datablock.NotFoundError
        && error instanceof datablock.DataBlockError && error.message.includes('"x"'));
    assert.throws(() => new Producer(block, { slotSizes: 1 }), datablock.InvalidError);
    assert.throws(() => new Producer(block, { slotSize: 1, policy: 'rings' }), datablock.InvalidError);
    assert.equal(datablock.version() >= 1000000, true);
});

test('diagnosis and recovery', () => {
    const { producer, consumer, block, done } = pair();
    producer.trySend(payload(0));
    const held = consumer.tryRead(), claim = producer.tryClaim();
    assert.equal(recovery.diagnoseSlot(block, held.index).state, 'COMMITTED');
    const claimed = recovery.diagnoseAllSlots(block)[claim.index];
    assert.deepEqual([claimed.state, claimed.writerPid, claimed.stuck], ['WRITING', process.pid, false]);
    assert.equal(recovery.releaseZombieReaders(block, held.index), 'NOT_STUCK');
    assert.throws(() => recovery.releaseZombieWriter(block, claim.index), (error) =>
        error instanceof datablock.RecoveryError && error.status === 'UNSAFE' && error.code === 2);
    assert.throws(() => recovery.diagnoseSlot(block, 1000), (error) => error.code === -3);
    assert.equal(recovery.forceResetSlot(block, claim.index, true), 'DONE');
    assert.throws(() => claim.commit(1), datablock.FencedError);
    assert.equal(recovery.evictConsumer(block, 1, true), 'DONE');
    assert.throws(() => held.release(), datablock.FencedError);
    assert.equal(recovery.repair(block), 'NOT_STUCK');
    assert.equal(recovery.validateIntegrity(block).healthy, true);
    assert.deepEqual([recovery.metrics(block).nextId, recovery.metrics(block).fenced], [1, 1]);
    assert.equal(recovery.listParticipants(block)[0].pid, process.pid);
    done();
    recovery.unlink(block);
});
