// Processes that share a block survive the deaths of each other. The scenarios have the names of
// those in tests/go/process.
'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { recovery } = require('..');
const { eventually, Helper, newBlock } = require('./common');

const RING = 8;
const WRITING = { slotCount: RING, slotSize: 256 };
const DELIVERIES = ['lossless', 'ordered', 'latest'];

const read = async (consumer) => JSON.parse(await consumer.expect('read'));

test('exchange', async () => {
    const block = newBlock();
    const producer = await Helper.start('produce', block, WRITING);
    const consumers = await Promise.all(DELIVERIES.map((delivery) => Helper.start('consume', block, { delivery })));
    consumers.forEach((consumer) => consumer.send('read 0'));
    assert.equal(await producer.ask('write 5000', 'wrote'), '0 4999');
    await producer.close();
    for (const [i, consumer] of consumers.entries()) {
        const { count, missed, bad, last } = await read(consumer);
        assert.deepEqual([count + missed, bad, last], [5000, 0, 4999], DELIVERIES[i]);
        assert.ok(i > 0 || missed === 0);
        await consumer.close();
    }
    recovery.unlink(block);
});

test('producer killed with a claim open', async () => {
    const block = newBlock();
    const victim = await Helper.start('produce', block, WRITING);
    const witness = await Helper.start('consume', block);
    witness.send('read 0');
    await victim.ask('write 20', 'wrote');
    assert.equal(await victim.ask('claim', 'claimed'), '20');
    await victim.kill();
    const successor = await Helper.start('produce', block, WRITING);
    assert.equal(await successor.ask('write 16', 'wrote'), '20 35', 'the ids continue');
    await successor.close();
    assert.deepEqual(await read(witness), { count: 36, missed: 0, bad: 0, first: 0, last: 35 });
    await witness.close();
    assert.equal(recovery.validateIntegrity(block).healthy, true);
    recovery.unlink(block);
});

test('producer killed while writing', async () => {
    const block = newBlock();
    await (await Helper.start('produce', block, WRITING)).kill();
    const witness = await Helper.start('consume', block);
    witness.send('read 0');
    for (let round = 1; round <= 6; round++) {
        const goal = recovery.metrics(block).nextId + 37 * round;
        const victim = await Helper.start('produce', block, WRITING);
        victim.send('write 1000000');
        await eventually('the victim writes', () => recovery.metrics(block).nextId >= goal);
        await victim.kill();
    }
    const last = await Helper.start('produce', block, WRITING);
    const end = Number((await last.ask(`write ${RING}`, 'wrote')).split(' ')[1]);
    await last.close();
    assert.deepEqual(await read(witness), { count: end + 1, missed: 0, bad: 0, first: 0, last: end });
    await witness.close();
    assert.equal(recovery.validateIntegrity(block).healthy, true);
    recovery.unlink(block);
});

test('consumer killed while holding', async () => {
    const block = newBlock();
    const producer = await Helper.start('produce', block, WRITING);
    for (const delivery of DELIVERIES) {
        const victim = await Helper.start('consume', block, { delivery });
        await producer.ask('write 4', 'wrote');
        await victim.ask('hold', 'holding');
        await victim.kill();
        await producer.ask(`write ${5 * RING}`, 'wrote');
        assert.equal(recovery.validateIntegrity(block).healthy, true, delivery);
    }
    await producer.close();
    recovery.unlink(block);
});

test('consumer killed while asleep', async () => {
    const block = newBlock();
    const producer = await Helper.start('produce', block, WRITING);
    for (const delivery of DELIVERIES) {
        const victim = await Helper.start('consume', block, { delivery });
        victim.send('read 0');
        await victim.kill();
        await producer.ask(`write ${5 * RING}`, 'wrote');
    }
    await producer.close();
    recovery.unlink(block);
});

test('held message survives the producer', async () => {
    const block = newBlock();
    const victim = await Helper.start('produce', block, WRITING);
    const holder = await Helper.start('consume', block, { delivery: 'ordered' });
    await victim.ask('write 1', 'wrote');
    await holder.ask('hold', 'holding');
    await victim.ask(`write ${2 * RING}`, 'wrote'); // out of the ring
    await victim.kill();
    const successor = await Helper.start('produce', block, WRITING);
    await successor.ask(`write ${10 * RING}`, 'wrote');
    assert.equal(await holder.ask('check', 'checked'), 'true');
    await holder.close();
    await successor.close();
    recovery.unlink(block);
});

test('the dead are diagnosed and released', async () => {
    const block = newBlock();
    const producer = await Helper.start('produce', block, WRITING);
    const reader = await Helper.start('consume', block, { delivery: 'ordered' });
    const durable = await Helper.start('consume', block, { durable: true, name: 'log' });
    await producer.ask('write 1', 'wrote');
    await reader.ask('hold', 'holding');
    await durable.ask('read 1', 'read');
    await producer.ask('claim', 'claimed');
    const slots = recovery.diagnoseAllSlots(block);
    const held = slots.find((slot) => slot.readers > 0 && slot.id === 0).index;
    const claimed = slots.find((slot) => slot.writerPid === producer.pid).index;
    for (const victim of [producer, reader, durable]) {
        await victim.kill();
    }
    assert.equal(recovery.isProcessAlive(producer.pid), false);
    assert.equal(recovery.diagnoseSlot(block, held).stuck, true);
    assert.equal(recovery.releaseZombieReaders(block, held), 'DONE');
    assert.equal(recovery.releaseZombieWriter(block, claimed), 'DONE');
    assert.equal(recovery.cleanupDeadConsumers(block), 1, 'the durable one');
    const successor = await Helper.start('produce', block, WRITING);
    assert.equal(await successor.ask('write 1', 'wrote'), '1 1');
    await successor.close();
    recovery.unlink(block);
});
