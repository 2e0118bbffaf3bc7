// host.js DIRECTORY KOFFI EXCEPT: a host in Node.js over koffi, for run.py. DIRECTORY has
// libdatablock.so and tests/hosts/libhandlers.so, KOFFI is the package's folder.
//
// The event loop's thread publishes. Threads of libuv's pool wait for messages and diagnose. The
// process also sends itself signals. Some handlers are in JavaScript, the others in C.
'use strict';

const fs = require('fs');
const [directory, package_, except = ''] = process.argv.slice(2);
const koffi = require(package_);

const SLOT = 512;
const OK = 0, TIMEOUT = 1, CLOSED = 15;
const LOSSLESS = 1, ORDERED = 2;
const OF_JAVASCRIPT = ['SIGUSR2', 'SIGALRM', 'SIGHUP', 'SIGCHLD', 'SIGIO'];
// HANDLERS_NO_NESTING; HANDLERS_ANY_STACK, because koffi makes its calls on stacks of its own.
const HOW = 4 | 8;

const library = koffi.load(directory + '/libdatablock.so');
const handlers = koffi.load(directory + '/tests/hosts/libhandlers.so');
// A handle is a struct of one 64-bit number, and is passed as such a number.
const call = {};
for (const prototype of [
    'const char *datablock_error_detail()',
    'int datablock_config_init(void *config, int policy)',
    'int datablock_producer_open(const char *name, void *config, void *out)',
    'int datablock_producer_close(uint64_t producer)',
    'int datablock_write(uint64_t producer, int64_t timeout, void *data, size_t length, void *id)',
    'int datablock_consumer_options_init(void *options)',
    'int datablock_consumer_open(const char *name, void *options, void *out)',
    'int datablock_consumer_close(uint64_t consumer)',
    'int datablock_read_begin(uint64_t consumer, int64_t timeout, void *out)',
    'int datablock_read_end(uint64_t consumer, void *slot)',
    'int datablock_wait_any(void *consumers, size_t count, int64_t timeout, void *ready)',
    'int datablock_lock_acquire(uint64_t participant, uint32_t lock, int64_t timeout, void *abandoned)',
    'int datablock_lock_release(uint64_t participant, uint32_t lock)',
    'int datablock_diagnose_all_slots(const char *name, void *out, size_t capacity, void *count)',
    'int datablock_validate_integrity(const char *name, void *out)',
]) {
    call[prototype.match(/datablock_(\w+)/)[1]] = library.func(prototype);
}
const handlersBegin = handlers.func('void handlers_begin(const char *except, int how)');
const handlersThread = handlers.func('int handlers_thread()');
const handlersEnd = handlers.func('int handlers_end(int strangers)');

function fail(what) {
    fs.writeSync(2, `host.js: ${what}; detail "${call.error_detail()}"\n`);
    process.abort();
}

function check(right, what) {
    if (!right) {
        fail(what);
    }
}

// True for OK. Every other status must be one of `others`.
function ok(what, status, ...others) {
    check(status === OK || others.includes(status), `${what}: status ${status}`);
    return status === OK;
}

function payload(id) {
    const bytes = Buffer.alloc(1 + ((id * 37) % SLOT));
    for (let i = 0; i < bytes.length; i++) {
        bytes[i] = (id * 31 + i) & 0xff;
    }
    return bytes;
}

function make(name) {
    const config = Buffer.alloc(256), out = Buffer.alloc(8);
    ok('config_init', call.config_init(config, 3));
    config.writeUInt32LE(config.readUInt32LE(4) | 8, 4); // flags: UNLINK_ON_CLOSE
    config.writeUInt32LE(4, 12); // slot_count
    config.writeBigUInt64LE(BigInt(SLOT), 24);
    config.writeUInt32LE(2, 44); // checksum: ENFORCED
    ok('producer_open', call.producer_open(name, config, out));
    return out.readBigUInt64LE();
}

function attach(name, delivery) {
    const options = Buffer.alloc(256), out = Buffer.alloc(8);
    ok('options_init', call.consumer_options_init(options));
    options.writeUInt32LE(delivery, 4);
    ok('consumer_open', call.consumer_open(name, options, out));
    return out.readBigUInt64LE();
}

// A call on a thread of libuv's pool.
function elsewhere(name, ...values) {
    return new Promise((resolve) => {
        call[name].async(...values, (error, status) => (error ? fail(String(error)) : resolve(status)));
    });
}

let stop = false, endOfStream = false; // first stop: so no thread uses a removed block
let written = 0, diagnoses = 0, locked = 0;
const seen = {};

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function publish(producer) {
    const id = Buffer.alloc(8);
    while (!endOfStream) {
        const bytes = payload(written);
        if (ok('write', call.write(producer, 2, bytes, bytes.length, id), TIMEOUT)) {
            check(Number(id.readBigUInt64LE()) === written, 'the id of a message');
            written++;
        }
        if (written % 16 === 0 && ok('lock_acquire', call.lock_acquire(producer, 1, 2, null), TIMEOUT)) {
            locked++;
            ok('lock_release', call.lock_release(producer, 1));
        }
        await turn();
    }
    ok('producer_close', call.producer_close(producer));
}

async function consume(consumer, any) {
    const slot = Buffer.alloc(64), one = Buffer.alloc(8), ready = Buffer.alloc(1);
    one.writeBigUInt64LE(consumer);
    let read = 0;
    for (;;) {
        if (any && !ok('wait_any', await elsewhere('wait_any', one, 1, 20, ready), TIMEOUT)) {
            continue;
        }
        const status = await elsewhere('read_begin', consumer, any ? 0 : 20, slot);
        if (status === CLOSED) {
            break;
        }
        if (!ok('read_begin', status, TIMEOUT)) {
            continue;
        }
        const length = Number(slot.readBigUInt64LE(8));
        const data = koffi.decode(slot, 'void *');
        const bytes = Buffer.from(koffi.decode(data, koffi.array('uint8_t', length, 'Typed')));
        check(Number(slot.readBigUInt64LE(16)) === read && bytes.equals(payload(read)), `message ${read}`);
        ok('read_end', call.read_end(consumer, slot));
        read++;
        if (read % 16 === 0 && ok('lock_acquire', await elsewhere('lock_acquire', consumer, 1, 20, null), TIMEOUT)) {
            locked++;
            await turn();
            ok('lock_release', call.lock_release(consumer, 1));
        }
    }
    ok('consumer_close', call.consumer_close(consumer));
    return read;
}

async function lookAbout() {
    const room = Buffer.alloc(4096), count = Buffer.alloc(8);
    while (!stop) {
        check((await elsewhere('diagnose_all_slots', 'stream', room, 16, count)) === 0, 'diagnose_all_slots');
        const result = call.validate_integrity('stream', room);
        check(result === 0 && room.subarray(0, 3).equals(Buffer.from([1, 1, 1])), 'validate_integrity');
        ok('consumer_close', call.consumer_close(attach('stream', ORDERED)));
        ok('producer_close', call.producer_close(make('brief')));
        diagnoses++;
        await turn();
    }
}

async function main() {
    const producer = make('stream');
    const consumers = [attach('stream', LOSSLESS), attach('stream', LOSSLESS)];
    const numbers = OF_JAVASCRIPT.map((name) => require('os').constants.signals[name]);
    handlersBegin([except, ...numbers].join(' '), HOW);
    for (const name of OF_JAVASCRIPT) {
        process.on(name, () => { seen[name] = (seen[name] || 0) + 1; });
    }
    fs.writeSync(1, `thread ${handlersThread()}\nready\n`);
    process.stdin.once('data', () => { stop = true; });
    const own = setInterval(() => process.kill(process.pid, OF_JAVASCRIPT[diagnoses % 2]), 1);
    const looking = lookAbout();
    const reading = consumers.map((consumer, i) => consume(consumer, i === 1));
    const publishing = publish(producer);
    await looking;
    endOfStream = true;
    await publishing;
    const read = await Promise.all(reading);
    clearInterval(own);
    process.stdin.destroy();
    check(written > 0 && read.every((count) => count === written), `${written} messages written, ${read} read`);
    check(OF_JAVASCRIPT.every((name) => seen[name] > 0), `signals seen: ${JSON.stringify(seen)}`);
    // Node.js has threads of its own, and handlers may run there.
    if (handlersEnd(1) === 0) {
        process.abort();
    }
    fs.writeSync(1, `ok ${written} messages, ${locked} locks, ${diagnoses} diagnoses\n`);
}

main().catch((error) => fail(error.stack));
