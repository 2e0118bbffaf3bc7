// exchange.c in Node.js: exchange.js produce|consume NAME COUNT [STOP [CONSUMERS]].
'use strict';

const fs = require('node:fs');
const { Consumer, NoProducerError, ClosedError, NotFoundError, Producer, TimeoutError } = require('datablock');
const { setTimeout: sleep } = require('node:timers/promises');

const OWN = 6, WRITERS = 6, PART = 100, PARTS = 600;
const schema = 'schema Message 1.0.0 { number: u64; half: f64; writer: u32; inverse: u32; words: u64[16]; }';

// Standard output is a pipe: a line is there when the call returns.
function say(...words) {
    fs.writeSync(1, `${words.join(' ')}\n`);
}

function messageOf(number, writer) {
    const words = Array.from({ length: 16 }, (_, i) => BigInt(number * 1024 + i * 8 + writer));
    return { number: BigInt(number), half: number / 2, writer, inverse: ~writer >>> 0, words };
}

function stopped(number) {
    say('stopped at', number);
    while (fs.readSync(0, Buffer.alloc(64)) > 0) { /* the test says nothing */ }
    process.exit(1);
}

async function write(producer, number, stop) {
    for (let part = 0; part < PARTS; part++) {
        try {
            const slot = await producer.claim(PART);
            if (number === stop) {
                const whole = producer.schema.encode(messageOf(number, OWN));
                whole.copy(slot.data, 0, 0, whole.length / 2);
                stopped(number);
            }
            slot.commitRecord(messageOf(number, OWN));
            return;
        } catch (error) {
            if (!(error instanceof TimeoutError)) {
                throw error;
            }
            if (part === 0) {
                say('waiting at', number);
            }
        }
    }
    throw new Error('no room for a minute');
}

async function produce(name, count, stop, consumers) {
    const producer = new Producer(name, { schema, slotCount: 64, minConsumers: consumers, unlinkOnClose: true });
    say('open at', producer.nextId);
    for (let number = producer.nextId; number < count; number++) {
        await write(producer, number, stop);
    }
    producer.close();
}

// The package has no option that waits for a block.
async function opened(name) {
    const options = { delivery: 'lossless', start: 'oldest', schema, exact: true };
    for (let part = 0; ; part++) {
        try {
            return new Consumer(name, options);
        } catch (error) {
            if (!(error instanceof NotFoundError) || part === 300) {
                throw error;
            }
            await sleep(PART);
        }
    }
}

function checked(slot, number) {
    const { number: found, half, writer, inverse, words } = slot.record;
    const expected = messageOf(number, writer);
    if (slot.id !== number || slot.missed !== 0 || slot.data.length !== 152 || writer < 1 || writer > WRITERS ||
        found !== expected.number || half !== expected.half || inverse !== expected.inverse ||
        words.length !== 16 || words.some((word, i) => word !== expected.words[i])) {
        throw new Error(`message ${number} has other contents`);
    }
    return writer;
}

async function consume(name, count, stop) {
    const consumer = await opened(name), from = new Array(WRITERS + 1).fill(0);
    say('open at', 0);
    let read = 0;
    for (let part = 0; part < PARTS; part++) {
        try {
            const slot = await consumer.read(PART);
            from[checked(slot, read)]++;
            if (read === stop) {
                stopped(read);
            }
            read++;
            part = 0;
            if (read % 1000 === 0) {
                say('at', read);
            }
            slot.release();
        } catch (error) {
            if (error instanceof ClosedError) {
                say('from', ...from.slice(1));
                say(`read ${read} of ${count}`);
                consumer.close();
                process.exitCode = count === 0 || read === count ? 0 : 1;
                return;
            }
            if (error instanceof NoProducerError) {
                say('gone at', read);
            } else if (!(error instanceof TimeoutError)) {
                throw error;
            }
        }
    }
    throw new Error('nothing to read for a minute');
}

async function main([role, name, ...numbers]) {
    const [count, stop = count, consumers = 1] = numbers.map(Number);
    await (role === 'produce' ? produce(name, count, stop, consumers) : consume(name, count, stop));
}

main(process.argv.slice(2)).catch((error) => {
    process.stderr.write(`exchange.js: ${error.message}\n`);
    process.exitCode = 1;
});
