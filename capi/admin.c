/*
 * What operators ask for: the blocks of a directory, metrics, participants, forced recovery, the
 * recovery log.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <string.h>

datablock_status datablock_list(const char *directory, datablock_block_info *out, size_t capacity,
                                size_t *count) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (count == NULL || (out == NULL && capacity != 0)) {
        return dbshim_null_argument(__func__, count == NULL ? "count" : "out");
    }
    dbshim_directory looked_in;
    datablock_status status = dbshim_find_directory(&looked_in, "directory", directory);
    if (status != DATABLOCK_OK) {
        return status;
    }
    size_t found;
    status =
        DBSHIM_GO(dbshim_self(), dbgo_list(looked_in.path, out, capacity, &found, dbshim_detail()));
    if (status == DATABLOCK_OK) {
        *count = found;
    }
    return status;
}

datablock_status datablock_unlink(const char *name, uint32_t flags) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (name == NULL) {
        return dbshim_null_argument(__func__, "name");
    }
    dbshim_directory directory;
    datablock_status status = dbshim_find_block(&directory, "directory", name, NULL);
    if (status != DATABLOCK_OK) {
        return status;
    }
    return DBSHIM_GO(dbshim_self(),
                     dbgo_unlink((char *)name, directory.path, flags, dbshim_detail()));
}

RecoveryResult datablock_force_reset_slot(const char *shm_name, uint32_t slot_index, bool force) {
    dbshim_directory directory;
    if (dbshim_begin_named_call(__func__, shm_name, NULL, &directory) != DATABLOCK_OK) {
        return RECOVERY_FAILED;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_force_reset_slot((char *)shm_name, directory.path,
                                                          slot_index, force, dbshim_detail()));
}

RecoveryResult datablock_force_reset_all_slots(const char *shm_name, bool force) {
    dbshim_directory directory;
    if (dbshim_begin_named_call(__func__, shm_name, NULL, &directory) != DATABLOCK_OK) {
        return RECOVERY_FAILED;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_force_reset_all_slots((char *)shm_name, directory.path,
                                                               force, dbshim_detail()));
}

RecoveryResult datablock_evict_consumer(const char *shm_name, uint32_t row, bool force) {
    dbshim_directory directory;
    if (dbshim_begin_named_call(__func__, shm_name, NULL, &directory) != DATABLOCK_OK) {
        return RECOVERY_FAILED;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_evict_consumer((char *)shm_name, directory.path, row,
                                                        force, dbshim_detail()));
}

/* What the oldest program passes: see arguments.c. */
enum { METRICS_SIZE_V1 = 168 };
_Static_assert(sizeof(datablock_metrics) >= METRICS_SIZE_V1, "version 1");

datablock_status datablock_get_metrics(const char *shm_name, datablock_metrics *out) {
    dbshim_directory directory;
    datablock_status status =
        dbshim_begin_named_call(__func__, shm_name, out == NULL ? "out" : NULL, &directory);
    if (status != DATABLOCK_OK) {
        return status;
    }
    const uint32_t size = out->size;
    if (size < METRICS_SIZE_V1) {
        return dbshim_invalid("metrics.size is %u, and %zu in this version: set it to "
                              "sizeof(datablock_metrics) first",
                              size, sizeof *out);
    }
    datablock_metrics metrics = {.size = size};
    status = DBSHIM_GO(dbshim_self(), dbgo_get_metrics((char *)shm_name, directory.path, &metrics,
                                                       dbshim_detail()));
    if (status == DATABLOCK_OK) {
        memcpy(out, &metrics, size < sizeof metrics ? size : sizeof metrics);
    }
    return status;
}

int datablock_list_participants(const char *shm_name, datablock_participant_info *out,
                                size_t capacity) {
    const char *missing = out == NULL && capacity != 0 ? "out" : NULL;
    dbshim_directory directory;
    datablock_status begun = dbshim_begin_named_call(__func__, shm_name, missing, &directory);
    if (begun != DATABLOCK_OK) {
        return dbshim_diagnosis_of(begun);
    }
    return DBSHIM_GO(dbshim_self(), dbgo_list_participants((char *)shm_name, directory.path, out,
                                                           capacity, dbshim_detail()));
}

int datablock_recovery_log(const char *shm_name, datablock_recovery_record *out, size_t capacity) {
    const char *missing = out == NULL && capacity != 0 ? "out" : NULL;
    dbshim_directory directory;
    datablock_status begun = dbshim_begin_named_call(__func__, shm_name, missing, &directory);
    if (begun != DATABLOCK_OK) {
        return dbshim_diagnosis_of(begun);
    }
    return DBSHIM_GO(dbshim_self(), dbgo_recovery_log((char *)shm_name, directory.path, out,
                                                      capacity, dbshim_detail()));
}
