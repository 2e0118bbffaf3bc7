/**
 * The declarations of the package. README.md describes the package.
 *
 * These rules hold everywhere:
 *
 * - Timeouts are milliseconds. Without a timeout a promise waits without a limit.
 * - No call waits on the thread of the event loop, except as Consumer says. A function that returns
 *   a promise waits by the promise. Every other function looks once.
 * - `data` of a WriteSlot and of a ReadSlot is memory of the block until the slot ends. Then `data`
 *   is empty. Everything else that a function returns is a copy, and belongs to the program.
 * - An object is used by the one thread of JavaScript that made it. A worker opens its own.
 * - Errors are thrown, or reject the promise. "Errors:" lists them by status, as docs/errors.md
 *   does: NotFound is a NotFoundError. A function of a closed object throws ClosedError.
 */

/** The version of the loaded library: (major * 1000 + minor) * 1000 + patch. No errors. */
export function version(): number;

export type Bytes = Buffer | Uint8Array | DataView;
/** The fields of a schema by name. 64-bit integers are of type bigint. */
export type Value = number | bigint | boolean | string | Value[] | { [field: string]: Value };
export type Fields = { [field: string]: Value };

export interface CommonOptions {
    /** The directory of a block with a plain name; by default $DATABLOCK_DIR, then /dev/shm. */
    directory?: string;
    /** Both sides give the same secret. */
    secret?: string | Uint8Array;
    /** The type of a message, also in the text form. */
    schema?: Schema | string;
    /** The type of a message by a reference into the registry. */
    registered?: string;
    registry?: string;
}

export interface ProducerOptions extends CommonOptions {
    policy?: 'ring' | 'single' | 'double';
    /** The largest message, in bytes. Needed, unless a schema is given. */
    slotSize?: number;
    /** How many messages a ring keeps, 1 to 1048576; by default 8. */
    slotCount?: number;
    /** Slots in addition to the slots of the ring, at least 2. */
    spareSlots?: number;
    /** Of a message, in bytes: a power of two from 64 to 4096; by default 64. */
    alignment?: number;
    consumerLimit?: number;
    minConsumers?: number;
    mode?: number;
    /** Milliseconds for which the row of a dead durable consumer is kept; by default for ever. */
    retention?: number;
    /** The size of the flexible zone, in bytes; by default 4032. */
    zoneSize?: number;
    checksum?: 'none' | 'manual' | 'enforced';
    algorithm?: 'default' | 'crc32c' | 'blake2b';
    allowLossless?: boolean;
    replace?: boolean;
    force?: boolean;
    unlinkOnClose?: boolean;
    timestamps?: boolean;
    /** Use the slot of a message again as soon as every LOSSLESS consumer has released it. */
    reclaim?: boolean;
}

export interface ConsumerOptions extends CommonOptions {
    delivery?: 'default' | 'lossless' | 'ordered' | 'latest';
    start?: 'latest' | 'oldest';
    /** How many messages can be held at once, 1 to 8. */
    maxPins?: number;
    durable?: boolean;
    name?: string;
    /** The schema must be exactly the block's. */
    exact?: boolean;
}

export interface ObserverOptions extends CommonOptions {
    exact?: boolean;
}

/** The writer of a block. */
export class Producer {
    /**
     * Creates the block of this name or absolute path, or takes over the block that is there.
     *
     * Errors: Invalid, ProducerActive, Access, Secret, Corrupt, Version, Geometry, Schema, NoSpace,
     * NotFound (the directory, the registered schema), System.
     */
    constructor(name: string, options?: ProducerOptions);
    /** The schema of the options; null: none. */
    readonly schema: Schema | null;
    /** The id of the next message. */
    readonly nextId: number;
    /**
     * Publishes a copy, and returns the id. Null: there is no room now.
     *
     * Errors: Invalid (longer than a slot, or shorter than the schema's struct; a claim is open),
     * Superseded (another producer replaced the block: open again), Fenced, Corrupt.
     */
    trySend(bytes: Bytes): number | null;
    /**
     * As `trySend`, and waits while there is no room: it looks every millisecond. The bytes must
     * not change before the promise settles. Errors: as `trySend`, and Timeout.
     */
    send(bytes: Bytes | string, timeout?: number): Promise<number>;
    /**
     * Claims a slot, to be filled in place. Null: there is no room now.
     *
     * Errors: Invalid (a claim is open), Superseded, Corrupt.
     */
    tryClaim(): WriteSlot | null;
    /** As `tryClaim`, and waits as `send` does. Errors: as `tryClaim`, and Timeout. */
    claim(timeout?: number): Promise<WriteSlot>;
    /**
     * Ends the stream. An open claim is aborted. A waiting `send` or `claim` is rejected as Closed.
     * Errors: Closed (already).
     */
    close(): void;
}

/** A claimed slot. After `commit` and `abort` the slot has ended. */
export class WriteSlot {
    private constructor();
    /** The id that the commit publishes. */
    readonly id: number;
    /** The number of the slot in the diagnosis. */
    readonly index: number;
    /** Memory of the block, empty after commit and abort. */
    readonly data: Buffer;
    /**
     * Publishes the first `length` bytes, by default the whole slot, and returns the id. After an
     * error nothing was published, and the slot has ended.
     *
     * Errors: Invalid (the slot has ended; a length above the slot's or below the schema's), Fenced,
     * Superseded.
     */
    commit(length?: number): number;
    /**
     * Stores the fields, and publishes the struct. Fields that are not given have arbitrary values.
     * After an error of `Schema.encode` too the slot has ended. Errors: as `commit` and
     * `Schema.encode`; Schema (the producer has none).
     */
    commitRecord(record: Fields): number;
    /** Publishes nothing. Does nothing when the slot has ended. */
    abort(): void;
}

export interface Received {
    id: number;
    /** Messages skipped before this message. */
    missed: number;
    /** The time of the commit, in nanoseconds since 1970; 0: the block has no timestamps. */
    timestampNs: bigint;
    /** A copy of the message. */
    data: Buffer;
}

/**
 * A reader of a block. One read at a time waits. Meanwhile another thread enters the consumer ten
 * times a second. A call that meets this thread tries again for up to 100 ms, without the event
 * loop, and then throws BusyError.
 */
export class Consumer implements AsyncIterable<ReadSlot> {
    /**
     * Attaches to the block of this name or absolute path.
     *
     * Errors: Invalid, NotFound, Access, Secret, Corrupt, Version, Schema, Full, NoSpare, Busy (a
     * consumer of the durable name is attached), Superseded, System.
     */
    constructor(name: string, options?: ConsumerOptions);
    /** The schema of the options, else the block's; null: the block has none. */
    readonly schema: Schema | null;
    /** Whether a durable consumer continues at the cursor that was kept. */
    readonly resumed: boolean;
    /**
     * Holds the next message in place. Null: there is no message now.
     *
     * Errors: Closed (the end of the stream), Superseded, Lost and Checksum (the next call continues
     * behind the message), Overrun and Fenced (attach again), Busy (`maxPins` messages are held),
     * Corrupt.
     */
    tryRead(): ReadSlot | null;
    /**
     * Holds the next message in place, and waits for it. Errors: as `tryRead`; Timeout, also as
     * NoProducer; Busy (another read waits, or 1024 consumers of the process do).
     */
    read(timeout?: number): Promise<ReadSlot>;
    /**
     * Holds message `id` in place, if it is there. The cursor does not move.
     *
     * Errors: NotFound (not written yet), Overrun (overwritten), Lost, Checksum, Fenced, Busy
     * (`maxPins` messages are held), Corrupt.
     */
    readAt(id: number): ReadSlot;
    /** A copy of the next message. Null: there is none now. Errors: as `tryRead` and `release`. */
    tryReceive(): Received | null;
    /** A copy of the next message. Waits as `read` does. Errors: as `read` and `release`. */
    receive(timeout?: number): Promise<Received>;
    /**
     * The messages until the end of the stream. Waits for each. A message is held until the next
     * one is asked for. Errors: as `read` and `release`, except Closed and Timeout.
     */
    [Symbol.asyncIterator](): AsyncGenerator<ReadSlot, void, void>;
    /**
     * Detaches, and releases what is held. A waiting read is rejected as Closed. Errors: Closed
     * (already).
     */
    close(): void;
}

/** A message that is held. */
export class ReadSlot {
    private constructor();
    readonly id: number;
    /** Messages skipped before this message. */
    readonly missed: number;
    /** The time of the commit, in nanoseconds since 1970; 0: the block has no timestamps. */
    readonly timestampNs: bigint;
    /** The number of the slot in the diagnosis. */
    readonly index: number;
    /** Memory of the block, empty after the release. A write to it ends the process. */
    readonly data: Buffer;
    /** Copies of the fields of the schema. Throws SchemaError where the block has none. */
    readonly record: Fields;
    /**
     * Ends the hold. Does nothing the second time. A LOSSLESS consumer that still holds an earlier
     * message ends this hold together with the earlier one. Errors: Overrun and Fenced (discard what
     * was computed from the message).
     */
    release(): void;
}

/** A copy of a message. */
export interface Observation {
    id: number;
    /** The id of the message that is written next. */
    nextId: number;
    /** The time of the commit, in nanoseconds since 1970; 0: the block has no timestamps. */
    timestampNs: bigint;
    /** The number of the slot in the diagnosis. */
    index: number;
    data: Buffer;
}

/** Copies messages out of a block without being a participant. */
export class Observer {
    /**
     * Opens the block of this name or absolute path, with or without a producer.
     *
     * Errors: Invalid, NotFound, Access, Secret, Schema, Corrupt, Version, System.
     */
    constructor(name: string, options?: ObserverOptions);
    /** The schema of the options, else the block's; null: the block has none. */
    readonly schema: Schema | null;
    /**
     * A copy of the newest message.
     *
     * Errors: NotFound (no message yet), Overrun (the producer was faster at each attempt),
     * Checksum, Superseded (noticed within 100 ms: open again), Corrupt.
     */
    newest(): Observation;
    /**
     * A copy of message `id`. Errors: as `newest`; NotFound (not written yet), Overrun
     * (overwritten), Lost.
     */
    readAt(id: number): Observation;
    /** Leaves the block. Errors: Closed (already). */
    close(): void;
}

/** The fields of a message. A schema is immutable. */
export class Schema {
    private constructor();
    /** From the text form of docs/schema.md. Errors: Invalid, with line and column. */
    static parse(text: string): Schema;
    /**
     * Of a block, also without a producer. Errors: Schema (the block has none), NotFound, Access,
     * Corrupt, Version, Invalid, System.
     */
    static ofBlock(name: string): Schema;
    /** One line that describes all fields. */
    readonly canonical: string;
    /** 64 hexadecimal digits. */
    readonly hash: string;
    /** Of the struct, in bytes. */
    readonly size: number;
    /** Of the struct, in bytes. */
    readonly alignment: number;
    /** Such as `1.2.0`. */
    readonly version: string;
    /** Copies of the fields. Errors: Invalid (fewer bytes than the struct). */
    decode(bytes: Uint8Array): Fields;
    /**
     * Stores fields in `bytes`, by default in a new Buffer of zeros, and returns it: no copy. Fields
     * that are not given keep their bytes. Errors: Invalid (fewer bytes than the struct, a field that
     * the schema does not have, a value of another type, a number or a text that does not fit, an
     * array of another length). Fields before the wrong one are stored.
     */
    encode(record: Fields, bytes?: Buffer): Buffer;
}

export interface SlotDiagnosis {
    id: number;
    index: number;
    state: 'FREE' | 'WRITING' | 'COMMITTED' | 'DRAINING';
    writerPid: number;
    readers: number;
    generation: number;
    writerWaiting: boolean;
    stuck: boolean;
    stuckMs: number;
}

export interface Integrity {
    healthy: boolean;
    headerValid: boolean;
    slotStatesValid: boolean;
    checksumValid: boolean;
    corruptedSlots: number;
    errorMessage: string;
}

/** The fields of `datablock_metrics` and `datablock_participant_info`, in camelCase. */
export type Figures = { [figure: string]: number };
export type Participant = { name: string; alive: boolean; durable: boolean } & { [figure: string]: unknown };
export type Recovered = 'DONE' | 'NOT_STUCK';

/**
 * Diagnosis and recovery of a block, by its name or absolute path.
 *
 * Errors: RecoveryError. Its status is FAILED, UNSAFE, INVALID_SLOT, or DIAGNOSIS with a negative
 * `code`, as datablock.h defines them. Validation and repair read the whole block before they return.
 */
export namespace recovery {
    /** Changes nothing. */
    function diagnoseSlot(name: string, slot: number): SlotDiagnosis;
    /** Changes nothing. */
    function diagnoseAllSlots(name: string): SlotDiagnosis[];
    /** Informational: the library judges by locks. */
    function isProcessAlive(pid: number): boolean;
    /** Removes the dead consumers of a slot. */
    function releaseZombieReaders(name: string, slot: number): Recovered;
    /** Ends a dead producer's claim on a slot. */
    function releaseZombieWriter(name: string, slot: number): Recovered;
    /**
     * Removes the rows of dead consumers, and returns their number. A durable consumer's row only
     * if it has been dead for longer than `older` milliseconds.
     */
    function cleanupDeadConsumers(name: string, older?: number): number;
    /** Changes nothing. Damage is in the result. */
    function validateIntegrity(name: string): Integrity;
    /** Rebuilds what is damaged. Without `force` nothing is taken from a living producer. */
    function repair(name: string, force?: boolean): Recovered;
    /** Makes a slot usable again. With `force` it also takes what living participants hold. */
    function forceResetSlot(name: string, slot: number, force?: boolean): Recovered;
    /** The same for every slot. With `force` every message is discarded. */
    function forceResetAllSlots(name: string, force?: boolean): Recovered;
    /** Removes the row of a dead consumer, and with `force` of a living one. */
    function evictConsumer(name: string, row: number, force?: boolean): Recovered;
    /** Changes nothing. */
    function listParticipants(name: string): Participant[];
    /** Changes nothing. Errors: NotFound, Access, Corrupt, Version, Invalid, System. */
    function metrics(name: string): Figures;
    /**
     * Removes a block. With `force` also while participants live; they get Superseded. Errors:
     * NotFound, ProducerActive, Busy, Access, Corrupt (not a block), Invalid, System.
     */
    function unlink(name: string, force?: boolean): void;
}

/** The base of all errors. */
export class DataBlockError extends Error {
    /** The status of C without its prefix, such as 'TIMEOUT'. */
    readonly status: string;
    /** The number in C. */
    readonly code: number;
}
export class RecoveryError extends DataBlockError {}
export class TimeoutError extends DataBlockError {}
export class NoProducerError extends TimeoutError {}
export class InvalidError extends DataBlockError {}
export class NotFoundError extends DataBlockError {}
export class ExistsError extends DataBlockError {}
export class ProducerActiveError extends DataBlockError {}
export class AccessError extends DataBlockError {}
export class SecretError extends DataBlockError {}
export class CorruptError extends DataBlockError {}
export class VersionError extends DataBlockError {}
export class GeometryError extends DataBlockError {}
export class SchemaError extends DataBlockError {}
export class NoSpaceError extends DataBlockError {}
export class FullError extends DataBlockError {}
export class BusyError extends DataBlockError {}
export class ClosedError extends DataBlockError {}
export class SupersededError extends DataBlockError {}
export class FencedError extends DataBlockError {}
export class OverrunError extends DataBlockError {}
export class LostError extends DataBlockError {}
export class NoSpareError extends DataBlockError {}
export class ChecksumError extends DataBlockError {}
export class ForkedError extends DataBlockError {}
export class HandleError extends DataBlockError {}
export class SystemError extends DataBlockError {}
export class PanicError extends DataBlockError {}
