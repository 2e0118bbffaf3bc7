/*
 * datablock/detail/calls.h - the functions of datablock.h, inline
 *
 * Copyright (c) The DataBlock authors. SPDX-License-Identifier: BSD-3-Clause
 *
 * Part of datablock_inline.h, which programs include.
 */
#ifndef DATABLOCK_DETAIL_CALLS_H
#define DATABLOCK_DETAIL_CALLS_H

#include "consumer.h"
#include "handle.h"
#include "producer.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A read that does not wait and found nothing; a program may poll so millions of times. False: the
 * library has to probe for a producer, once a tick, or has to report the end of the stream. Only a
 * probe may report that there is no producer: a new one may have attached.
 */
DATABLOCK_INLINE bool datablock_inline_idle(datablock_inline_consumer *c) {
    if (DATABLOCK_UNLIKELY(
            !c->producer_there ||
            DATABLOCK_LAYOUT_CAST(int64_t, c->clock.seen - c->producer_probed) > 0 ||
            (++c->polls % DATABLOCK_TUNING_CLOCK_CHECK_INTERVAL == 0 &&
             !datablock_inline_check(&c->clock)) ||
            __atomic_load_n(datablock_inline_u32(c->block.data, DATABLOCK_LAYOUT_STATE),
                            DATABLOCK_PLAIN) != DATABLOCK_LAYOUT_STATE_READY)) {
        return false;
    }
    datablock_inline_count(c->row, DATABLOCK_LAYOUT_ROW_TIMEOUTS, 1);
    return true;
}

/* Each function does its work, or does nothing and returns false: then the library works. */

DATABLOCK_INLINE bool datablock_inline_try_write_begin(datablock_producer producer,
                                                       int64_t timeout_ms,
                                                       datablock_write_slot *out) {
    if (DATABLOCK_UNLIKELY(timeout_ms < -1 || out == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(
            !datablock_inline_enter(producer.handle, DATABLOCK_INLINE_PRODUCER, &state))) {
        return false;
    }
    datablock_inline_producer *p = DATABLOCK_LAYOUT_CAST(datablock_inline_producer *, state);
    bool done = datablock_inline_claim(p, out);
    datablock_inline_leave(done);
    return done;
}

/*
 * Publishes the open claim, and wakes consumers that sleep. False: the claim is still open, and the
 * library publishes or ends it. The caller has entered the handle.
 */
DATABLOCK_INLINE bool datablock_inline_publish(datablock_inline_producer *p, uint64_t length,
                                               uint64_t stamp) {
    bool done = datablock_inline_commit(p, length, stamp);
    if (DATABLOCK_UNLIKELY(!done)) {
        p->claimed = 1;
    } else if (DATABLOCK_UNLIKELY(datablock_inline_sleepers(&p->block))) {
        datablock_inline_wake_consumers(&p->block);
    } else if (DATABLOCK_UNLIKELY(datablock_inline_self->waited)) {
        datablock_inline_self->waited = 0;
        uint8_t *payload = datablock_inline_payload(&p->block, p->slot);
        datablock_inline_hand_on(payload - DATABLOCK_LAYOUT_SLOT_HEADER);
        datablock_inline_hand_on(payload);
        if (datablock_inline_is_current(p)) {
            if (p->next >= p->fast_path_end) {
                datablock_inline_prepare_next(p);
            }
            datablock_inline_own_next(p, length);
        }
    }
    return done;
}

/*
 * The checksum of the open claim. False: the library makes the checksum, or reports that a page of
 * the payload is missing.
 */
DATABLOCK_INLINE bool datablock_inline_certify(const datablock_inline_producer *p, uint64_t handle,
                                               uint64_t length) {
    return datablock_inline_seal(&p->block, p->slot, p->next, length) &&
           __atomic_load_n(&datablock_inline_self->current->word, __ATOMIC_ACQUIRE) == handle;
}

DATABLOCK_INLINE bool datablock_inline_try_write_commit(datablock_producer producer,
                                                        const datablock_write_slot *slot,
                                                        size_t length) {
    if (DATABLOCK_UNLIKELY(slot == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(
            !datablock_inline_enter(producer.handle, DATABLOCK_INLINE_PRODUCER, &state))) {
        return false;
    }
    datablock_inline_producer *p = DATABLOCK_LAYOUT_CAST(datablock_inline_producer *, state);
    uint64_t stamp = 0;
    bool done = datablock_inline_claimed(p, slot) && length <= p->block.slot_size;
    if (DATABLOCK_UNLIKELY(p->block.flags & (DATABLOCK_INLINE_ENFORCED | DATABLOCK_INLINE_SHORTEST |
                                             DATABLOCK_LAYOUT_FLAG_TIMESTAMP))) {
        /* the library refuses messages that are too short */
        done = done && length >= p->shortest &&
               ((p->block.flags & DATABLOCK_INLINE_ENFORCED) == 0 ||
                datablock_inline_certify(p, producer.handle, length));
        stamp = done && (p->block.flags & DATABLOCK_LAYOUT_FLAG_TIMESTAMP)
                    ? datablock_inline_realtime()
                    : 0;
    }
    if (DATABLOCK_LIKELY(done)) {
        done = datablock_inline_publish(p, length, stamp);
    }
    datablock_inline_leave(done);
    return done;
}

DATABLOCK_INLINE bool datablock_inline_try_write_checksum(datablock_producer producer,
                                                          const datablock_write_slot *slot,
                                                          size_t length) {
    if (DATABLOCK_UNLIKELY(slot == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(
            !datablock_inline_enter(producer.handle, DATABLOCK_INLINE_PRODUCER, &state))) {
        return false;
    }
    datablock_inline_producer *p = DATABLOCK_LAYOUT_CAST(datablock_inline_producer *, state);
    bool done = datablock_inline_claimed(p, slot) && length <= p->block.slot_size &&
                datablock_inline_certify(p, producer.handle, length);
    datablock_inline_leave(done);
    return done;
}

DATABLOCK_INLINE bool datablock_inline_try_write_abort(datablock_producer producer,
                                                       const datablock_write_slot *slot) {
    if (DATABLOCK_UNLIKELY(slot == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(
            !datablock_inline_enter(producer.handle, DATABLOCK_INLINE_PRODUCER, &state))) {
        return false;
    }
    datablock_inline_producer *p = DATABLOCK_LAYOUT_CAST(datablock_inline_producer *, state);
    bool done = datablock_inline_claimed(p, slot);
    if (DATABLOCK_LIKELY(done)) {
        datablock_inline_abort(p);
    }
    datablock_inline_leave(done);
    return done;
}

/*
 * After SLOW: reads the message if only the checksum is left to compare. A separate function keeps
 * the checksum out of the instructions of all other messages.
 */
DATABLOCK_INLINE_COLD datablock_inline_found
datablock_inline_look_again(datablock_inline_consumer *c, datablock_read_slot *out, bool wake) {
    bool found = datablock_inline_compares(&c->block) &&
                 datablock_inline_next(c, true, out, &wake) == DATABLOCK_INLINE_MESSAGE;
    c->near_producer &= found && !c->polling;
    c->polling = !found;
    if (wake) {
        datablock_inline_wake_producer(&c->block);
    }
    return found ? DATABLOCK_INLINE_MESSAGE : DATABLOCK_INLINE_SLOW;
}

/* Back-off of a consumer that shares a line of entries with the producer, in a stream. */
DATABLOCK_INLINE void datablock_inline_keep_distance(datablock_inline_consumer *c) {
    if (DATABLOCK_UNLIKELY(c->near_producer)) {
        c->near_producer = 0;
        for (uint32_t i = 0; i < datablock_inline_self->stand_back; i++) {
            datablock_inline_pause();
        }
    }
}

/*
 * A read that finds the message or does not wait. The caller has entered the handle. SLOW: the
 * library has to continue. NOTHING: a call that does not wait found nothing, and the text for
 * datablock_error_detail is noted.
 */
DATABLOCK_INLINE datablock_inline_found datablock_inline_look_for(datablock_inline_consumer *c,
                                                                  uint64_t handle,
                                                                  int64_t timeout_ms,
                                                                  datablock_read_slot *out) {
    if (DATABLOCK_UNLIKELY(datablock_inline_is_due(&c->clock))) {
        return DATABLOCK_INLINE_SLOW;
    }
    bool wake = false;
    datablock_inline_found found;
    datablock_inline_keep_distance(c);
    for (int looks = 1; DATABLOCK_UNLIKELY((found = datablock_inline_next(c, false, out, &wake)) ==
                                               DATABLOCK_INLINE_NOTHING &&
                                           c->polling) &&
                        looks < DATABLOCK_TUNING_POLL_LOOKS_C;
         looks++) {
        /* without a pause, in which the message would come later */
    }
    if (DATABLOCK_LIKELY(found == DATABLOCK_INLINE_MESSAGE)) {
        if (DATABLOCK_UNLIKELY(c->polling)) {
            /* the reader waits for the producer, which is the slower one */
            c->polling = c->near_producer = 0;
        }
    } else if (found == DATABLOCK_INLINE_SLOW) {
        return datablock_inline_look_again(c, out, wake);
    } else {
        c->near_producer = 0;
        c->polling = 1;
        datablock_inline_pause();
        if (timeout_ms != 0 || !datablock_inline_idle(c)) {
            found = DATABLOCK_INLINE_SLOW;
        }
    }
    if (DATABLOCK_UNLIKELY(wake)) {
        datablock_inline_wake_producer(&c->block);
    }
    if (DATABLOCK_UNLIKELY(found == DATABLOCK_INLINE_NOTHING)) {
        datablock_inline_self->waited = 1;
        datablock_inline_self->idle =
            DATABLOCK_LAYOUT_CAST(uint32_t, handle >> DATABLOCK_INLINE_INDEX_SHIFT);
        datablock_inline_self->failed = DATABLOCK_INLINE_IDLE;
    }
    return found;
}

/* *status is OK, or TIMEOUT for a call that does not wait. */
DATABLOCK_INLINE bool datablock_inline_try_read_begin(datablock_consumer consumer,
                                                      int64_t timeout_ms, datablock_read_slot *out,
                                                      datablock_status *status) {
    if (DATABLOCK_UNLIKELY(timeout_ms < -1 || out == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(
            !datablock_inline_enter(consumer.handle, DATABLOCK_INLINE_CONSUMER, &state))) {
        return false;
    }
    datablock_inline_found found =
        datablock_inline_look_for(DATABLOCK_LAYOUT_CAST(datablock_inline_consumer *, state),
                                  consumer.handle, timeout_ms, out);
    datablock_inline_leave(found == DATABLOCK_INLINE_MESSAGE);
    *status = found == DATABLOCK_INLINE_MESSAGE ? DATABLOCK_OK : DATABLOCK_E_TIMEOUT;
    return found != DATABLOCK_INLINE_SLOW;
}

DATABLOCK_INLINE bool datablock_inline_try_read_end(datablock_consumer consumer,
                                                    const datablock_read_slot *slot) {
    if (DATABLOCK_UNLIKELY(slot == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(
            !datablock_inline_enter(consumer.handle, DATABLOCK_INLINE_CONSUMER, &state))) {
        return false;
    }
    datablock_inline_consumer *c = DATABLOCK_LAYOUT_CAST(datablock_inline_consumer *, state);
    bool wake = false;
    bool done = datablock_inline_release(c, slot, &wake);
    if (DATABLOCK_UNLIKELY(wake)) {
        datablock_inline_wake_producer(&c->block);
    }
    datablock_inline_leave(done);
    return done;
}

DATABLOCK_INLINE bool datablock_inline_try_read_verify(datablock_consumer consumer,
                                                       const datablock_read_slot *slot) {
    if (DATABLOCK_UNLIKELY(slot == DATABLOCK_INLINE_NULL)) {
        return false;
    }
    void *state;
    if (DATABLOCK_UNLIKELY(
            !datablock_inline_enter(consumer.handle, DATABLOCK_INLINE_CONSUMER, &state))) {
        return false;
    }
    bool done =
        datablock_inline_verify(DATABLOCK_LAYOUT_CAST(datablock_inline_consumer *, state), slot);
    datablock_inline_leave(done);
    return done;
}

#ifndef DATABLOCK_INLINE_NO_NAMES /* set by the library itself, which exports these names */

DATABLOCK_INLINE datablock_status datablock_inline_write_begin(datablock_producer producer,
                                                               int64_t timeout_ms,
                                                               datablock_write_slot *out) {
    return DATABLOCK_LIKELY(datablock_inline_try_write_begin(producer, timeout_ms, out))
               ? DATABLOCK_OK
               : datablock_write_begin(producer, timeout_ms, out);
}
DATABLOCK_INLINE datablock_status datablock_inline_write_commit(datablock_producer producer,
                                                                const datablock_write_slot *slot,
                                                                size_t length) {
    return DATABLOCK_LIKELY(datablock_inline_try_write_commit(producer, slot, length))
               ? DATABLOCK_OK
               : datablock_write_commit(producer, slot, length);
}
DATABLOCK_INLINE datablock_status datablock_inline_write_checksum(datablock_producer producer,
                                                                  const datablock_write_slot *slot,
                                                                  size_t length) {
    return DATABLOCK_LIKELY(datablock_inline_try_write_checksum(producer, slot, length))
               ? DATABLOCK_OK
               : datablock_write_checksum(producer, slot, length);
}
DATABLOCK_INLINE datablock_status datablock_inline_write_abort(datablock_producer producer,
                                                               const datablock_write_slot *slot) {
    return DATABLOCK_LIKELY(datablock_inline_try_write_abort(producer, slot))
               ? DATABLOCK_OK
               : datablock_write_abort(producer, slot);
}
DATABLOCK_INLINE datablock_status datablock_inline_read_begin(datablock_consumer consumer,
                                                              int64_t timeout_ms,
                                                              datablock_read_slot *out) {
    datablock_status status;
    return DATABLOCK_LIKELY(datablock_inline_try_read_begin(consumer, timeout_ms, out, &status))
               ? status
               : datablock_read_begin(consumer, timeout_ms, out);
}
DATABLOCK_INLINE datablock_status datablock_inline_read_end(datablock_consumer consumer,
                                                            const datablock_read_slot *slot) {
    return DATABLOCK_LIKELY(datablock_inline_try_read_end(consumer, slot))
               ? DATABLOCK_OK
               : datablock_read_end(consumer, slot);
}
DATABLOCK_INLINE datablock_status datablock_inline_read_verify(datablock_consumer consumer,
                                                               const datablock_read_slot *slot) {
    return DATABLOCK_LIKELY(datablock_inline_try_read_verify(consumer, slot))
               ? DATABLOCK_OK
               : datablock_read_verify(consumer, slot);
}

#define datablock_write_begin datablock_inline_write_begin
#define datablock_write_checksum datablock_inline_write_checksum
#define datablock_read_verify datablock_inline_read_verify
#define datablock_write_commit datablock_inline_write_commit
#define datablock_write_abort datablock_inline_write_abort
#define datablock_read_begin datablock_inline_read_begin
#define datablock_read_end datablock_inline_read_end

#endif /* DATABLOCK_INLINE_NO_NAMES */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* DATABLOCK_DETAIL_CALLS_H */
