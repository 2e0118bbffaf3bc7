/*
 * What operators ask for: metrics, participants, forced recovery and the recovery log. Conventions
 * as in shim.c.
 */
#include "shim.h"

#include <stdio.h>

enum { BAD_ARGUMENT = -1, FAILED_RUNNING = -4 };

/* False: refused, and the detail has the reason. */
static bool prepare(const char *function, const char *shm_name, char *copy, char **directory) {
    if (!dbshim_enter()) {
        return false;
    }
    if (shm_name == NULL) {
        dbshim_null_argument(function, "shm_name");
        return false;
    }
    return dbshim_find_block(shm_name, copy, directory);
}

RecoveryResult datablock_force_reset_slot(const char *shm_name, uint32_t slot_index, bool force) {
    char copy[DBSHIM_PATH_SIZE], *directory;
    if (!prepare(__func__, shm_name, copy, &directory)) {
        return RECOVERY_FAILED;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_force_reset_slot((char *)shm_name, directory, slot_index, force,
        dbshim_detail()));
}

RecoveryResult datablock_force_reset_all_slots(const char *shm_name, bool force) {
    char copy[DBSHIM_PATH_SIZE], *directory;
    if (!prepare(__func__, shm_name, copy, &directory)) {
        return RECOVERY_FAILED;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_force_reset_all_slots((char *)shm_name, directory, force, dbshim_detail()));
}

RecoveryResult datablock_evict_consumer(const char *shm_name, uint32_t row, bool force) {
    char copy[DBSHIM_PATH_SIZE], *directory;
    if (!prepare(__func__, shm_name, copy, &directory)) {
        return RECOVERY_FAILED;
    }
    return DBSHIM_GO(dbshim_self(), dbgo_evict_consumer((char *)shm_name, directory, row, force, dbshim_detail()));
}

datablock_status datablock_get_metrics(const char *shm_name, datablock_metrics *out) {
    char copy[DBSHIM_PATH_SIZE], *directory;
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (shm_name == NULL || out == NULL) {
        return dbshim_null_argument(__func__, shm_name == NULL ? "shm_name" : "out");
    }
    if (out->size < sizeof *out) {
        snprintf(dbshim_detail(), DBSHIM_DETAIL_SIZE,
            "metrics.size is %u, and %zu in this version: set it to sizeof(datablock_metrics) first", out->size,
            sizeof *out);
        return DATABLOCK_E_INVALID;
    }
    if (!dbshim_find_block(shm_name, copy, &directory)) {
        return DATABLOCK_E_INVALID;
    }
    datablock_metrics metrics = {.size = out->size};
    datablock_status status = DBSHIM_GO(dbshim_self(), dbgo_get_metrics((char *)shm_name, directory, &metrics,
        dbshim_detail()));
    if (status == DATABLOCK_OK) {
        *out = metrics; /* fields that only a newer program knows stay unchanged */
    }
    return status;
}

/* The common beginning of both lists. 0: continue. */
static int prepare_list(const char *function, const char *shm_name, bool nowhere, char *copy, char **directory) {
    if (!dbshim_enter()) {
        return FAILED_RUNNING;
    }
    if (shm_name == NULL || nowhere) {
        dbshim_null_argument(function, shm_name == NULL ? "shm_name" : "out");
        return BAD_ARGUMENT;
    }
    return dbshim_find_block(shm_name, copy, directory) ? 0 : BAD_ARGUMENT;
}

int datablock_list_participants(const char *shm_name, datablock_participant_info *out, size_t capacity) {
    char copy[DBSHIM_PATH_SIZE], *directory;
    int refused = prepare_list(__func__, shm_name, out == NULL && capacity != 0, copy, &directory);
    return refused != 0
        ? refused : DBSHIM_GO(dbshim_self(), dbgo_list_participants((char *)shm_name, directory, out, capacity,
            dbshim_detail()));
}

int datablock_recovery_log(const char *shm_name, datablock_recovery_record *out, size_t capacity) {
    char copy[DBSHIM_PATH_SIZE], *directory;
    int refused = prepare_list(__func__, shm_name, out == NULL && capacity != 0, copy, &directory);
    return refused != 0
        ? refused : DBSHIM_GO(dbshim_self(), dbgo_recovery_log((char *)shm_name, directory, out, capacity,
            dbshim_detail()));
}
