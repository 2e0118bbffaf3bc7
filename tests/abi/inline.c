/*
 * Includes the inline header alone, twice, and uses every function of it. In C11, C17, C++17 and
 * C++20 the inline functions must exist. In C99, which has no such atomics, the header must be
 * datablock.h and nothing else.
 */
#include "datablock_inline.h"
#include "datablock_inline.h"

#ifdef WANT_NO_INLINE
#if defined(DATABLOCK_HAS_INLINE) || defined(datablock_write_begin) || defined(DATABLOCK_LAYOUT_H)
#error "there is more than datablock.h"
#endif
#else
#if !DATABLOCK_HAS_INLINE
#error "no inline functions"
#endif
#if !defined(datablock_write_begin) || !defined(datablock_write_commit) || \
    !defined(datablock_write_abort) || !defined(datablock_read_begin) || \
    !defined(datablock_read_end)
#error "not all names are inline"
#endif
#endif

datablock_status use_everything(datablock_producer producer, datablock_consumer consumer);

datablock_status use_everything(datablock_producer producer, datablock_consumer consumer) {
    datablock_write_slot out;
    datablock_read_slot in;
    datablock_status status = datablock_write_begin(producer, 0, &out);
    if (status == DATABLOCK_OK) {
        status = datablock_write_commit(producer, &out, 0);
    }
    if (status == DATABLOCK_OK && (status = datablock_write_begin(producer, 0, &out)) == DATABLOCK_OK) {
        status = datablock_write_abort(producer, &out);
    }
    if (status == DATABLOCK_OK && (status = datablock_read_begin(consumer, 0, &in)) == DATABLOCK_OK) {
        status = datablock_read_end(consumer, &in);
    }
    return status;
}
