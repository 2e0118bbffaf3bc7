//! The functions of `datablock.h`, in the order of the header.

use super::*;

extern "C" {
    pub fn datablock_version() -> u32;
    pub fn datablock_strerror(status: datablock_status) -> *const c_char;
    pub fn datablock_error_detail() -> *const c_char;
    pub fn datablock_error_detail_copy(buffer: *mut c_char, capacity: usize) -> usize;

    pub fn datablock_config_init_sized(
        config: *mut datablock_config,
        size: usize,
        policy: datablock_policy,
    ) -> datablock_status;
    pub fn datablock_config_init(config: *mut datablock_config, policy: datablock_policy)
        -> datablock_status;
    pub fn datablock_producer_open(
        name: *const c_char,
        config: *const datablock_config,
        out: *mut datablock_producer,
    ) -> datablock_status;
    pub fn datablock_producer_close(producer: datablock_producer) -> datablock_status;
    pub fn datablock_producer_next_id(producer: datablock_producer, id: *mut u64) -> datablock_status;
    pub fn datablock_write_begin(
        producer: datablock_producer,
        timeout_ms: i64,
        out: *mut datablock_write_slot,
    ) -> datablock_status;
    pub fn datablock_write_commit(
        producer: datablock_producer,
        slot: *const datablock_write_slot,
        length: usize,
    ) -> datablock_status;
    pub fn datablock_write_checksum(
        producer: datablock_producer,
        slot: *const datablock_write_slot,
        length: usize,
    ) -> datablock_status;
    pub fn datablock_write_abort(
        producer: datablock_producer,
        slot: *const datablock_write_slot,
    ) -> datablock_status;

    pub fn datablock_consumer_options_init_sized(
        options: *mut datablock_consumer_options,
        size: usize,
    ) -> datablock_status;
    pub fn datablock_consumer_options_init(options: *mut datablock_consumer_options) -> datablock_status;
    pub fn datablock_consumer_open(
        name: *const c_char,
        options: *const datablock_consumer_options,
        out: *mut datablock_consumer,
    ) -> datablock_status;
    pub fn datablock_consumer_resumed(consumer: datablock_consumer, resumed: *mut bool) -> datablock_status;
    pub fn datablock_consumer_close(consumer: datablock_consumer) -> datablock_status;
    pub fn datablock_read_begin(
        consumer: datablock_consumer,
        timeout_ms: i64,
        out: *mut datablock_read_slot,
    ) -> datablock_status;
    pub fn datablock_read_at(
        consumer: datablock_consumer,
        id: u64,
        out: *mut datablock_read_slot,
    ) -> datablock_status;
    pub fn datablock_read_id(
        consumer: datablock_consumer,
        id: u64,
        timeout_ms: i64,
        out: *mut datablock_read_slot,
    ) -> datablock_status;
    pub fn datablock_read_verify(
        consumer: datablock_consumer,
        slot: *const datablock_read_slot,
    ) -> datablock_status;
    pub fn datablock_read_end(
        consumer: datablock_consumer,
        slot: *const datablock_read_slot,
    ) -> datablock_status;
    pub fn datablock_read_undo(
        consumer: datablock_consumer,
        slot: *const datablock_read_slot,
    ) -> datablock_status;

    pub fn datablock_wait_any(
        consumers: *const datablock_consumer,
        count: usize,
        timeout_ms: i64,
        ready: *mut bool,
    ) -> datablock_status;
    pub fn datablock_wait_any_or_wake(
        consumers: *const datablock_consumer,
        count: usize,
        timeout_ms: i64,
        ready: *mut bool,
        waker: *mut datablock_waker,
    ) -> datablock_status;
    pub fn datablock_wake(waker: *mut datablock_waker);

    pub fn datablock_write(
        producer: datablock_producer,
        timeout_ms: i64,
        data: *const c_void,
        length: usize,
        id: *mut u64,
    ) -> datablock_status;
    pub fn datablock_write_batch(
        producer: datablock_producer,
        timeout_ms: i64,
        messages: *const datablock_message,
        count: usize,
        written: *mut usize,
    ) -> datablock_status;
    pub fn datablock_read_copy(
        consumer: datablock_consumer,
        timeout_ms: i64,
        flags: u32,
        buffer: *mut c_void,
        capacity: usize,
        out: *mut datablock_copied,
    ) -> datablock_status;
    pub fn datablock_read_batch(
        consumer: datablock_consumer,
        timeout_ms: i64,
        out: *mut datablock_read_slot,
        capacity: usize,
        count: *mut usize,
    ) -> datablock_status;
    pub fn datablock_read_batch_end(
        consumer: datablock_consumer,
        slots: *const datablock_read_slot,
        count: usize,
    ) -> datablock_status;

    pub fn datablock_observer_open(
        name: *const c_char,
        options: *const datablock_consumer_options,
        out: *mut datablock_observer,
    ) -> datablock_status;
    pub fn datablock_observe(
        observer: datablock_observer,
        id: u64,
        buffer: *mut c_void,
        capacity: usize,
        out: *mut datablock_observation,
    ) -> datablock_status;
    pub fn datablock_observer_close(observer: datablock_observer) -> datablock_status;

    pub fn datablock_schema_parse(text: *const c_char, out: *mut datablock_schema) -> datablock_status;
    pub fn datablock_schema_of_block(shm_name: *const c_char, out: *mut datablock_schema)
        -> datablock_status;
    pub fn datablock_schema_of_consumer(
        consumer: datablock_consumer,
        out: *mut datablock_schema,
    ) -> datablock_status;
    pub fn datablock_schema_of_observer(
        observer: datablock_observer,
        out: *mut datablock_schema,
    ) -> datablock_status;
    pub fn datablock_zone_schema_of_block(
        shm_name: *const c_char,
        out: *mut datablock_schema,
    ) -> datablock_status;
    pub fn datablock_zone_schema_of_consumer(
        consumer: datablock_consumer,
        out: *mut datablock_schema,
    ) -> datablock_status;
    pub fn datablock_schema_check(
        producer: *const datablock_schema,
        consumer: *const datablock_schema,
        mode: datablock_schema_mode,
    ) -> datablock_status;
    pub fn datablock_schema_lookup(
        reference: *const c_char,
        registry: *const c_char,
        out: *mut datablock_schema,
    ) -> datablock_status;
    pub fn datablock_schema_register(
        schema: *const datablock_schema,
        registry: *const c_char,
    ) -> datablock_status;
    pub fn datablock_schema_free(schema: *mut datablock_schema);
    pub fn datablock_schema_describe(
        name: *const c_char,
        major: u32,
        minor: u32,
        patch: u32,
        layout: *const datablock_schema_layout,
        out: *mut datablock_schema,
    ) -> datablock_status;

    pub fn datablock_of_producer(producer: datablock_producer) -> datablock_participant;
    pub fn datablock_of_consumer(consumer: datablock_consumer) -> datablock_participant;
    pub fn datablock_lock_acquire(
        participant: datablock_participant,
        lock: u32,
        timeout_ms: i64,
        abandoned: *mut bool,
    ) -> datablock_status;
    pub fn datablock_lock_release(participant: datablock_participant, lock: u32) -> datablock_status;
    pub fn datablock_zone_begin(
        participant: datablock_participant,
        flags: u32,
        timeout_ms: i64,
        out: *mut datablock_zone,
    ) -> datablock_status;
    pub fn datablock_zone_end(participant: datablock_participant, spoilt: bool) -> datablock_status;
    pub fn datablock_counter_get(
        participant: datablock_participant,
        counter: u32,
        value: *mut u64,
    ) -> datablock_status;
    pub fn datablock_counter_set(
        participant: datablock_participant,
        counter: u32,
        value: u64,
        before: *mut u64,
    ) -> datablock_status;
    pub fn datablock_counter_add(
        participant: datablock_participant,
        counter: u32,
        amount: u64,
        before: *mut u64,
    ) -> datablock_status;
    pub fn datablock_counter_exchange(
        participant: datablock_participant,
        counter: u32,
        expected: u64,
        value: u64,
        before: *mut u64,
    ) -> datablock_status;

    pub fn datablock_list(
        directory: *const c_char,
        out: *mut datablock_block_info,
        capacity: usize,
        count: *mut usize,
    ) -> datablock_status;
    pub fn datablock_unlink(name: *const c_char, flags: u32) -> datablock_status;

    pub fn datablock_diagnose_slot(
        shm_name: *const c_char,
        slot_index: u32,
        out: *mut SlotDiagnostic,
    ) -> c_int;
    pub fn datablock_diagnose_all_slots(
        shm_name: *const c_char,
        out_array: *mut SlotDiagnostic,
        array_capacity: usize,
        out_count: *mut usize,
    ) -> c_int;
    pub fn datablock_is_process_alive(pid: u64) -> bool;
    pub fn datablock_release_zombie_readers(shm_name: *const c_char, slot_index: u32) -> RecoveryResult;
    pub fn datablock_release_zombie_writer(shm_name: *const c_char, slot_index: u32) -> RecoveryResult;
    pub fn datablock_cleanup_dead_consumers(shm_name: *const c_char, timeout_ns: u64) -> c_int;
    pub fn datablock_validate_integrity(shm_name: *const c_char, out: *mut IntegrityCheck) -> c_int;
    pub fn datablock_repair(shm_name: *const c_char, force: bool, out: *mut IntegrityCheck)
        -> RecoveryResult;
    pub fn datablock_auto_recover(
        shm_name: *const c_char,
        dry_run: bool,
        callback: datablock_recovery_callback,
        context: *mut c_void,
    ) -> c_int;
    pub fn datablock_list_participants(
        shm_name: *const c_char,
        out: *mut datablock_participant_info,
        capacity: usize,
    ) -> c_int;
    pub fn datablock_get_metrics(shm_name: *const c_char, out: *mut datablock_metrics) -> datablock_status;
    pub fn datablock_force_reset_slot(
        shm_name: *const c_char,
        slot_index: u32,
        force: bool,
    ) -> RecoveryResult;
    pub fn datablock_force_reset_all_slots(shm_name: *const c_char, force: bool) -> RecoveryResult;
    pub fn datablock_evict_consumer(shm_name: *const c_char, row: u32, force: bool) -> RecoveryResult;
    pub fn datablock_recovery_log(
        shm_name: *const c_char,
        out: *mut datablock_recovery_record,
        capacity: usize,
    ) -> c_int;
}
