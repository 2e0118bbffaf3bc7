/*
 * Diagnosis, recovery and validation of blocks, by their names.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <stdlib.h>

/* The result of an int function of a refused call: -1 for a wrong argument, otherwise -4. */
int dbshim_diagnosis_of(datablock_status refused) {
    return refused == DATABLOCK_E_INVALID ? -1 : -4;
}

int datablock_diagnose_slot(const char *shm_name, uint32_t slot_index, SlotDiagnostic *out) {
    dbshim_directory directory;
    datablock_status begun =
        dbshim_begin_named_call(__func__, shm_name, out == NULL ? "out" : NULL, &directory);
    if (begun != DATABLOCK_OK) {
        return dbshim_diagnosis_of(begun);
    }
    SlotDiagnostic diagnostic;
    int result =
        DBSHIM_GO(dbshim_self(), dbgo_diagnose_slot((char *)shm_name, directory.path, slot_index,
                                                    &diagnostic, dbshim_detail()));
    if (result == 0) {
        *out = diagnostic;
    }
    return result;
}

int datablock_diagnose_all_slots(const char *shm_name, SlotDiagnostic *out_array,
                                 size_t array_capacity, size_t *out_count) {
    dbshim_directory directory;
    datablock_status begun =
        dbshim_begin_named_call(__func__, shm_name,
                                out_count == NULL                          ? "out_count"
                                : out_array == NULL && array_capacity != 0 ? "out_array"
                                                                           : NULL,
                                &directory);
    if (begun != DATABLOCK_OK) {
        return dbshim_diagnosis_of(begun);
    }
    size_t count;
    int result = DBSHIM_GO(dbshim_self(),
                           dbgo_diagnose_all_slots((char *)shm_name, directory.path, out_array,
                                                   array_capacity, &count, dbshim_detail()));
    if (result == 0) {
        *out_count = count;
    }
    return result;
}

bool datablock_is_process_alive(uint64_t pid) {
    return dbshim_enter() &&
           DBSHIM_GO(dbshim_self(), dbgo_is_process_alive(pid, dbshim_detail())) != 0;
}

RecoveryResult datablock_release_zombie_readers(const char *shm_name, uint32_t slot_index) {
    dbshim_directory directory;
    if (dbshim_begin_named_call(__func__, shm_name, NULL, &directory) != DATABLOCK_OK) {
        return RECOVERY_FAILED;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_release_zombie_readers((char *)shm_name, directory.path,
                                                                slot_index, dbshim_detail()));
}

RecoveryResult datablock_release_zombie_writer(const char *shm_name, uint32_t slot_index) {
    dbshim_directory directory;
    if (dbshim_begin_named_call(__func__, shm_name, NULL, &directory) != DATABLOCK_OK) {
        return RECOVERY_FAILED;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_release_zombie_writer((char *)shm_name, directory.path,
                                                               slot_index, dbshim_detail()));
}

int datablock_cleanup_dead_consumers(const char *shm_name, uint64_t timeout_ns) {
    dbshim_directory directory;
    datablock_status begun = dbshim_begin_named_call(__func__, shm_name, NULL, &directory);
    if (begun != DATABLOCK_OK) {
        return dbshim_diagnosis_of(begun);
    }
    return DBSHIM_GO(dbshim_self(), dbgo_cleanup_dead_consumers((char *)shm_name, directory.path,
                                                                timeout_ns, dbshim_detail()));
}

int datablock_validate_integrity(const char *shm_name, IntegrityCheck *out) {
    dbshim_directory directory;
    datablock_status begun =
        dbshim_begin_named_call(__func__, shm_name, out == NULL ? "out" : NULL, &directory);
    if (begun != DATABLOCK_OK) {
        return dbshim_diagnosis_of(begun);
    }
    IntegrityCheck check;
    int result = DBSHIM_GO(dbshim_self(), dbgo_validate_integrity((char *)shm_name, directory.path,
                                                                  &check, dbshim_detail()));
    if (result == 0) {
        *out = check;
    }
    return result;
}

RecoveryResult datablock_repair(const char *shm_name, bool force, IntegrityCheck *out) {
    dbshim_directory directory;
    if (dbshim_begin_named_call(__func__, shm_name, NULL, &directory) != DATABLOCK_OK) {
        return RECOVERY_FAILED;
    }
    IntegrityCheck check;
    bool filled = false;
    RecoveryResult result =
        DBSHIM_GO(dbshim_self(), dbgo_repair((char *)shm_name, directory.path, force, &check,
                                             &filled, dbshim_detail()));
    if (filled && out != NULL) {
        *out = check;
    }
    return result;
}

int datablock_auto_recover(const char *shm_name, bool dry_run, datablock_recovery_callback callback,
                           void *context) {
    dbshim_directory directory;
    datablock_status begun = dbshim_begin_named_call(__func__, shm_name, NULL, &directory);
    if (begun != DATABLOCK_OK) {
        return dbshim_diagnosis_of(begun);
    }
    datablock_recovery_step *steps = NULL;
    size_t count = 0;
    int result =
        DBSHIM_GO(dbshim_self(), dbgo_auto_recover((char *)shm_name, directory.path, dry_run,
                                                   &steps, &count, dbshim_detail()));
    /* In C, and not from Go: whatever the callback does, no Go frame is below it. */
    for (size_t i = 0; callback != NULL && i < count; i++) {
        callback(&steps[i], context);
    }
    free(steps);
    return result;
}
