// A producer or a consumer that a test controls: `helper.js produce|consume BLOCK OPTIONS`. It
// answers one line for each line.
'use strict';

const fs = require('node:fs');
const readline = require('node:readline');
const { Consumer, Producer } = require('..');
const { payload } = require('./common');

const [role, block, options] = process.argv.slice(2);

// One system call for each line, so that a kill never leaves half of it.
const say = (line) => fs.writeSync(1, line + '\n');

async function write(producer, n) {
    const first = producer.nextId;
    for (let i = 0; i < n; i++) {
        const slot = await producer.claim();
        const bytes = payload(slot.id);
        slot.data.set(bytes);
        slot.commit(bytes.length);
    }
    say(`wrote ${first} ${producer.nextId - 1}`);
}

// Reads n messages, or all messages of the stream if n is 0.
async function read(consumer, n) {
    let count = 0, bad = 0, missed = 0, first = -1, last = -1;
    for await (const slot of consumer) {
        const whole = slot.data.equals(payload(slot.id));
        const follows = count === 0 || slot.id === last + 1 + slot.missed;
        bad += whole && follows ? 0 : 1;
        first = count === 0 ? slot.id : first;
        last = slot.id;
        missed += slot.missed;
        if (++count === n) {
            break;
        }
    }
    say(`read ${JSON.stringify({ count, missed, bad, first, last })}`);
}

async function main() {
    const participant = role === 'produce' ? new Producer(block, JSON.parse(options))
        : new Consumer(block, JSON.parse(options));
    const held = [];
    say('attached');
    for await (const line of readline.createInterface(process.stdin)) {
        const [word, argument] = line.split(' ');
        if (word === 'write') {
            await write(participant, Number(argument));
        } else if (word === 'claim') {
            const slot = await participant.claim();
            slot.data.fill(0xff); // a kill from here on leaves a half-written message
            held.push(slot);
            say(`claimed ${slot.id}`);
        } else if (word === 'read') {
            await read(participant, Number(argument));
        } else if (word === 'hold') {
            held.push(await participant.read());
            say(`holding ${held.at(-1).id}`);
        } else if (word === 'check') {
            say(`checked ${held[0].data.equals(payload(held[0].id))}`);
        } else if (word === 'close') {
            participant.close();
            say('closed');
        }
    }
}

main();
