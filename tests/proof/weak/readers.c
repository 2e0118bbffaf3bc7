/* One or two readers, of the deliveries FIRST and SECOND (0: none), while the ring wraps. */
#include "block.h"

#ifndef FIRST
#define FIRST DATABLOCK_LAYOUT_LOSSLESS
#endif
#ifndef SECOND
#define SECOND DATABLOCK_LAYOUT_ORDERED
#endif

static void first(void) { read_all(&reader[1]); }
static void second(void) { read_all(&reader[2]); }

void setup(void) {
    block_begin();
    weak_thread("producer", write_all);
    block_attached(1, FIRST);
    weak_thread("first", first);
    if (SECOND) {
        block_attached(2, SECOND);
        weak_thread("second", second);
    }
}

void finish(void) {}
