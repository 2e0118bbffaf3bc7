/*
 * What the participants of a block share: locks, the flexible zone, counters. The functions accept
 * the handle of a producer or of a consumer.
 */
#include "shim.h"

static datablock_status begin(const char *function, const char *missing,
                              datablock_participant participant) {
    bool producer = (participant.handle & 3) == DATABLOCK_INLINE_PRODUCER;
    return dbshim_begin_handle_call(function, missing, participant.handle,
                                    producer ? DATABLOCK_INLINE_PRODUCER
                                             : DATABLOCK_INLINE_CONSUMER);
}

datablock_status datablock_lock_acquire(datablock_participant participant, uint32_t lock,
                                        int64_t timeout_ms, bool *abandoned) {
    datablock_status status = begin(__func__, NULL, participant);
    if (status != DATABLOCK_OK) {
        return status;
    }
    bool left = false;
    dbshim_thread *thread = dbshim_self();
    dbshim_sleep sleep = {0};
    int result;
    do {
        result = DBSHIM_GO(thread, dbgo_lock_acquire(dbshim_index(participant.handle), lock,
                                                     timeout_ms, &left, &sleep, thread->detail));
    } while (dbshim_slept(&sleep, result));
    status = (datablock_status)result;
    status = dbshim_end(participant.handle, status, false);
    if (status == DATABLOCK_OK && abandoned != NULL) {
        *abandoned = left;
    }
    return status;
}

datablock_status datablock_lock_release(datablock_participant participant, uint32_t lock) {
    datablock_status status = begin(__func__, NULL, participant);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread,
                       dbgo_lock_release(dbshim_index(participant.handle), lock, thread->detail));
    return dbshim_end(participant.handle, status, false);
}

datablock_status datablock_zone_begin(datablock_participant participant, uint32_t flags,
                                      int64_t timeout_ms, datablock_zone *out) {
    datablock_status status = begin(__func__, out == NULL ? "out" : NULL, participant);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_zone zone = {0};
    dbshim_thread *thread = dbshim_self();
    dbshim_sleep sleep = {0};
    int result;
    do {
        result = DBSHIM_GO(thread, dbgo_zone_begin(dbshim_index(participant.handle), flags,
                                                   timeout_ms, &zone, &sleep, thread->detail));
    } while (dbshim_slept(&sleep, result));
    status = (datablock_status)result;
    status = dbshim_end(participant.handle, status, true);
    if (status == DATABLOCK_OK) {
        *out = zone;
    }
    return status;
}

datablock_status datablock_zone_end(datablock_participant participant, bool spoilt) {
    datablock_status status = begin(__func__, NULL, participant);
    if (status != DATABLOCK_OK) {
        return status;
    }
    dbshim_thread *thread = dbshim_self();
    status =
        DBSHIM_GO(thread, dbgo_zone_end(dbshim_index(participant.handle), spoilt, thread->detail));
    return dbshim_end(participant.handle, status, false);
}

/* ---- Counters -------------------------------------------------------------------------------- */

typedef enum { GET, SET, ADD, EXCHANGE } operation;

static datablock_status count(datablock_participant participant, uint32_t counter,
                              operation operation, uint64_t expected, uint64_t value,
                              uint64_t *before) {
    datablock_status status = begin(__func__, NULL, participant);
    if (status != DATABLOCK_OK) {
        return status;
    }
    uint64_t was = expected;
    if (counter >= DATABLOCK_LAYOUT_COUNTER_COUNT) {
        status = dbshim_invalid("block \"%.200s\" has counters 0 to %d, there is no counter %u",
                                dbshim_name(dbshim_index(participant.handle)),
                                DATABLOCK_LAYOUT_COUNTER_COUNT - 1, counter);
    } else {
        /* the first member of both */
        const datablock_inline_block *block = dbshim_self()->shared.current->state;
        uint64_t *word =
            datablock_inline_u64(block->ctl, DATABLOCK_LAYOUT_CTL_COUNTERS +
                                                 (uint64_t)counter * DATABLOCK_LAYOUT_CACHE_LINE);
        switch (operation) {
        case GET: was = __atomic_load_n(word, __ATOMIC_SEQ_CST); break;
        case SET: was = __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST); break;
        case ADD: was = __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST); break;
        case EXCHANGE:
            (void)__atomic_compare_exchange_n(word, &was, value, false, __ATOMIC_SEQ_CST,
                                              __ATOMIC_SEQ_CST);
            break;
        }
    }
    status = dbshim_end(participant.handle, status, false);
    if (status == DATABLOCK_OK && before != NULL) {
        *before = was;
    }
    return status;
}

datablock_status datablock_counter_get(datablock_participant participant, uint32_t counter,
                                       uint64_t *value) {
    if (value == NULL) {
        return dbshim_refuse_null(__func__, "value");
    }
    return count(participant, counter, GET, 0, 0, value);
}

datablock_status datablock_counter_set(datablock_participant participant, uint32_t counter,
                                       uint64_t value, uint64_t *before) {
    return count(participant, counter, SET, 0, value, before);
}

datablock_status datablock_counter_add(datablock_participant participant, uint32_t counter,
                                       uint64_t amount, uint64_t *before) {
    return count(participant, counter, ADD, 0, amount, before);
}

datablock_status datablock_counter_exchange(datablock_participant participant, uint32_t counter,
                                            uint64_t expected, uint64_t value, uint64_t *before) {
    return count(participant, counter, EXCHANGE, expected, value, before);
}
