// The C interface over koffi: structs and functions of datablock.h, with the names of C without
// `datablock_`. test/header.test.js compares the structs with the header.
'use strict';

const koffi = require('koffi');
const { guarded } = require('./arguments');

const file = process.env.DATABLOCK_LIBRARY || 'libdatablock.so.1';
const library = load();

const number = (names, type) => Object.fromEntries(names.split(' ').map((name) => [name, type]));
const pad = (size) => koffi.array('uint8_t', size);
const text = (size) => koffi.array('char', size, 'String');

// A `Config` and an `Options` are filled by C and changed by their names.
const structs = {
    datablock_schema: koffi.struct('datablock_schema', {
        canonical: 'char *', bytes: 'uint64_t', ...number('alignment major minor patch', 'uint32_t'),
        hash: koffi.array('uint8_t', 32, 'Typed'),
    }),
    datablock_config: koffi.struct('datablock_config', {
        ...number('size flags policy slot_count spare_slots alignment', 'uint32_t'), slot_size: 'uint64_t',
        ...number('consumer_limit min_consumers mode checksum', 'uint32_t'), directory: 'char *', secret: 'void *',
        secret_length: 'size_t', ...number('retention_ms zone_size', 'uint64_t'), schema: 'datablock_schema *',
        registered: 'char *', registry: 'char *', zone_schema: 'datablock_schema *',
        reserved: koffi.array('uint64_t', 2), ...number('algorithm reserved1', 'uint32_t'),
    }),
    datablock_write_slot: koffi.struct('datablock_write_slot', {
        data: 'void *', capacity: 'size_t', id: 'uint64_t', ...number('index reserved', 'uint32_t'),
    }),
    datablock_consumer_options: koffi.struct('datablock_consumer_options', {
        ...number('size delivery start max_pins durable reserved0', 'uint32_t'), name: 'char *', directory: 'char *',
        secret: 'void *', secret_length: 'size_t', schema: 'datablock_schema *',
        ...number('schema_mode reserved1', 'uint32_t'), registered: 'char *', registry: 'char *',
        zone_schema: 'datablock_schema *', reserved: koffi.array('uint64_t', 3), wait_ms: 'int64_t',
    }),
    datablock_read_slot: koffi.struct('datablock_read_slot', {
        data: 'void *', length: 'size_t', ...number('id timestamp_ns missed', 'uint64_t'),
        ...number('index token', 'uint32_t'),
    }),
    datablock_copied: koffi.struct('datablock_copied', {
        ...number('id length timestamp_ns missed', 'uint64_t'), ...number('index reserved', 'uint32_t'),
    }),
    datablock_observation: koffi.struct('datablock_observation', {
        ...number('id length timestamp_ns next_id', 'uint64_t'), ...number('index reserved', 'uint32_t'),
    }),
    SlotDiagnostic: koffi.struct('SlotDiagnostic', {
        slot_id: 'uint64_t', slot_index: 'uint32_t', slot_state: 'uint8_t', write_lock: 'uint64_t',
        reader_count: 'uint32_t', write_generation: 'uint64_t', writer_waiting: 'uint8_t', is_stuck: 'bool',
        stuck_duration_ms: 'uint64_t',
    }),
    IntegrityCheck: koffi.struct('IntegrityCheck', {
        ...number('header_valid slot_states_valid checksum_valid', 'bool'), corrupted_slots: 'uint32_t',
        error_message: text(256),
    }),
    datablock_participant_info: koffi.struct('datablock_participant_info', {
        name: text(64),
        ...number('pid start_time pid_namespace attached_ns died_ns cursor lag read missed bytes waits wait_ns '
            + 'timeouts lost overruns checksum_failures silent_ms', 'uint64_t'),
        ...number('uid row delivery pins', 'uint32_t'), ...number('alive durable', 'bool'), reserved: pad(6),
    }),
    datablock_metrics: koffi.struct('datablock_metrics', {
        ...number('size consumers', 'uint32_t'),
        ...number('next_id written bytes aborted fenced waits wait_ns timeouts scans cleaned recoveries age_ms idle_ms '
            + 'read missed lost overruns checksum_failures max_lag schema_mismatches', 'uint64_t'),
    }),
};

// A handle is a struct of one uint64_t, and is passed as such a number.
const call = {};
for (const prototype of [
    'uint32_t datablock_version()',
    'str datablock_error_detail()',
    'int datablock_config_init_sized(_Out_ datablock_config *config, size_t size, int policy)',
    'int datablock_producer_open(str name, datablock_config *config, _Out_ uint64_t *out)',
    'int datablock_producer_close(uint64_t producer)',
    'int datablock_producer_next_id(uint64_t producer, _Out_ uint64_t *id)',
    'int datablock_write_begin(uint64_t producer, int64_t timeout, _Out_ datablock_write_slot *out)',
    'int datablock_write_commit(uint64_t producer, datablock_write_slot *slot, size_t length)',
    'int datablock_write_abort(uint64_t producer, datablock_write_slot *slot)',
    'int datablock_write(uint64_t producer, int64_t timeout, void *data, size_t length, _Out_ uint64_t *id)',
    'int datablock_consumer_options_init_sized(_Out_ datablock_consumer_options *options, size_t size)',
    'int datablock_consumer_open(str name, datablock_consumer_options *options, _Out_ uint64_t *out)',
    'int datablock_consumer_resumed(uint64_t consumer, _Out_ bool *resumed)',
    'int datablock_consumer_close(uint64_t consumer)',
    'int datablock_read_begin(uint64_t consumer, int64_t timeout, _Out_ datablock_read_slot *out)',
    'int datablock_read_at(uint64_t consumer, uint64_t id, _Out_ datablock_read_slot *out)',
    'int datablock_read_end(uint64_t consumer, datablock_read_slot *slot)',
    'int datablock_read_copy(uint64_t consumer, int64_t timeout, uint32_t flags, void *buffer, size_t capacity, '
        + '_Inout_ datablock_copied *out)',
    'int datablock_wait_any_or_wake(void *consumers, size_t count, int64_t timeout, void *ready, void *waker)',
    'void datablock_wake(void *waker)',
    'int datablock_observer_open(str name, datablock_consumer_options *options, _Out_ uint64_t *out)',
    'int datablock_observe(uint64_t observer, uint64_t id, void *buffer, size_t capacity, '
        + '_Out_ datablock_observation *out)',
    'int datablock_observer_close(uint64_t observer)',
    'int datablock_schema_parse(str text, void *out)',
    'int datablock_schema_of_block(str name, void *out)',
    'int datablock_schema_of_consumer(uint64_t consumer, void *out)',
    'int datablock_schema_of_observer(uint64_t observer, void *out)',
    'void datablock_schema_free(void *schema)',
    'int datablock_unlink(str name, uint32_t flags)',
    'int datablock_diagnose_slot(str name, uint32_t slot, _Out_ SlotDiagnostic *out)',
    'int datablock_diagnose_all_slots(str name, void *out, size_t capacity, _Out_ size_t *count)',
    'bool datablock_is_process_alive(uint64_t pid)',
    'int datablock_release_zombie_readers(str name, uint32_t slot)',
    'int datablock_release_zombie_writer(str name, uint32_t slot)',
    'int datablock_cleanup_dead_consumers(str name, uint64_t nanoseconds)',
    'int datablock_validate_integrity(str name, _Out_ IntegrityCheck *out)',
    'int datablock_repair(str name, bool force, void *out)',
    'int datablock_list_participants(str name, void *out, size_t capacity)',
    'int datablock_get_metrics(str name, _Inout_ datablock_metrics *out)',
    'int datablock_force_reset_slot(str name, uint32_t slot, bool force)',
    'int datablock_force_reset_all_slots(str name, bool force)',
    'int datablock_evict_consumer(str name, uint32_t row, bool force)',
]) {
    const run = functionOf(prototype);
    call[prototype.match(/datablock_(\w+)\(/)[1]] = prototype.includes('(str ') ? guarded(prototype, run) : run;
}

function load() {
    try {
        return koffi.load(file);
    } catch (error) {
        throw new Error(`the DataBlock library ${file} cannot be loaded: ${error.message}. Install DataBlock where `
            + 'the loader searches, or set DATABLOCK_LIBRARY to the path of libdatablock.so.1', { cause: error });
    }
}

function functionOf(prototype) {
    try {
        return library.func(prototype);
    } catch (error) {
        throw new Error(`${file} is not the DataBlock library, or is older than this package: ${error.message}. `
            + 'Set DATABLOCK_LIBRARY to the path of a newer libdatablock.so.1', { cause: error });
    }
}

const version = () => call.version();

// Initial settings, with the sizes of the structs above.
const initial = {
    config: (out, policy) => call.config_init_sized(out, koffi.sizeof(structs.datablock_config), policy),
    options: (out) => call.consumer_options_init_sized(out, koffi.sizeof(structs.datablock_consumer_options)),
};

module.exports = { call, initial, koffi, structs, version };
