/** The version of the loaded library: (major * 1000 + minor) * 1000 + patch. */
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
    slotSize?: number;
    slotCount?: number;
    spareSlots?: number;
    alignment?: number;
    consumerLimit?: number;
    minConsumers?: number;
    mode?: number;
    /** Milliseconds. */
    retention?: number;
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

export class Producer {
    constructor(name: string, options?: ProducerOptions);
    readonly schema: Schema | null;
    readonly nextId: number;
    /** Null: there is no room now. */
    trySend(bytes: Bytes): number | null;
    /** The timeout is in milliseconds; by default there is none. */
    send(bytes: Bytes | string, timeout?: number): Promise<number>;
    tryClaim(): WriteSlot | null;
    claim(timeout?: number): Promise<WriteSlot>;
    close(): void;
}

export class WriteSlot {
    private constructor();
    readonly id: number;
    readonly index: number;
    /** Memory of the block, empty after commit and abort. */
    readonly data: Buffer;
    commit(length?: number): number;
    commitRecord(record: Fields): number;
    abort(): void;
}

export interface Received {
    id: number;
    missed: number;
    timestampNs: bigint;
    data: Buffer;
}

export class Consumer implements AsyncIterable<ReadSlot> {
    constructor(name: string, options?: ConsumerOptions);
    readonly schema: Schema | null;
    readonly resumed: boolean;
    /** Null: there is no message now. */
    tryRead(): ReadSlot | null;
    read(timeout?: number): Promise<ReadSlot>;
    readAt(id: number): ReadSlot;
    tryReceive(): Received | null;
    receive(timeout?: number): Promise<Received>;
    /** The messages until the end of the stream. */
    [Symbol.asyncIterator](): AsyncGenerator<ReadSlot, void, void>;
    close(): void;
}

export class ReadSlot {
    private constructor();
    readonly id: number;
    readonly missed: number;
    readonly timestampNs: bigint;
    readonly index: number;
    /** Memory of the block, read-only, empty after the release. */
    readonly data: Buffer;
    /** Copies of the fields of the schema. */
    readonly record: Fields;
    release(): void;
}

export interface Observation {
    id: number;
    nextId: number;
    timestampNs: bigint;
    index: number;
    data: Buffer;
}

export class Observer {
    constructor(name: string, options?: ObserverOptions);
    readonly schema: Schema | null;
    newest(): Observation;
    readAt(id: number): Observation;
    close(): void;
}

export class Schema {
    private constructor();
    static parse(text: string): Schema;
    static ofBlock(name: string): Schema;
    readonly canonical: string;
    /** 64 hexadecimal digits. */
    readonly hash: string;
    readonly size: number;
    readonly alignment: number;
    readonly version: string;
    decode(bytes: Uint8Array): Fields;
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

export namespace recovery {
    function diagnoseSlot(name: string, slot: number): SlotDiagnosis;
    function diagnoseAllSlots(name: string): SlotDiagnosis[];
    function isProcessAlive(pid: number): boolean;
    function releaseZombieReaders(name: string, slot: number): Recovered;
    function releaseZombieWriter(name: string, slot: number): Recovered;
    /** A durable consumer's row only if it has been dead for longer than `older` milliseconds. */
    function cleanupDeadConsumers(name: string, older?: number): number;
    function validateIntegrity(name: string): Integrity;
    function repair(name: string, force?: boolean): Recovered;
    function forceResetSlot(name: string, slot: number, force?: boolean): Recovered;
    function forceResetAllSlots(name: string, force?: boolean): Recovered;
    function evictConsumer(name: string, row: number, force?: boolean): Recovered;
    function listParticipants(name: string): Participant[];
    function metrics(name: string): Figures;
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
