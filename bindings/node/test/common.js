// A directory with one block, and processes that share it.
'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { after } = require('node:test');

let number = 0;

// The path of a new block in a directory of its own, which goes with the tests of the file.
function newBlock() {
    const directory = `/dev/shm/datablock-test-node-${process.pid}-${number++}`;
    fs.mkdirSync(directory);
    after(() => fs.rmSync(directory, { recursive: true, force: true }));
    return path.join(directory, 'x');
}

// A process that is started, controlled and killed by lines of text: helper.js.
class Helper {
    static all = [];

    constructor(role, block, options = {}) {
        const helper = path.join(__dirname, 'helper.js');
        this.process = spawn(process.execPath, [helper, role, block, JSON.stringify(options)],
            { stdio: ['pipe', 'pipe', 'inherit'] });
        this.lines = readline.createInterface(this.process.stdout)[Symbol.asyncIterator]();
        this.exit = once(this.process, 'exit');
        Helper.all.push(this.process);
    }

    static async start(role, block, options) {
        const helper = new Helper(role, block, options);
        await helper.expect('attached');
        return helper;
    }

    get pid() {
        return this.process.pid;
    }

    async next() {
        const { value, done } = await this.lines.next();
        if (done) {
            throw new Error('the helper has ended');
        }
        return value;
    }

    // The next line, without its first word.
    async expect(word) {
        const line = await this.next();
        const [first, ...rest] = line.split(' ');
        if (first !== word) {
            throw new Error(`the helper said ${JSON.stringify(line)}; expected ${word}`);
        }
        return rest.join(' ');
    }

    send(command) {
        this.process.stdin.write(command + '\n');
    }

    async ask(command, word) {
        this.send(command);
        return this.expect(word);
    }

    // SIGKILL. Resolves when the system has released everything of the process.
    async kill() {
        this.process.kill('SIGKILL');
        const [, signal] = await this.exit;
        if (signal !== 'SIGKILL') {
            throw new Error(`the helper ended by itself (${signal})`);
        }
    }

    async close() {
        await this.ask('close', 'closed');
        this.process.stdin.end();
        await this.exit;
    }
}

process.on('exit', () => Helper.all.forEach((one) => one.kill('SIGKILL')));

// Polls until a condition holds.
async function eventually(what, condition) {
    const until = performance.now() + 30000;
    while (!condition()) {
        if (performance.now() > until) {
            throw new Error(`not within 30 s: ${what}`);
        }
        await new Promise((resolve) => { setTimeout(resolve, 1); });
    }
}

// The payload of a message: it depends on the id, and every byte is checked.
function payload(id) {
    const bytes = Buffer.alloc(16 + (id * 37) % 200);
    for (let i = 0; i < bytes.length; i++) {
        bytes[i] = (id * 31 + i * 7) & 0xff;
    }
    return bytes;
}

module.exports = { eventually, Helper, newBlock, payload };
