/* One of several translation units that include the inline header and are linked into one
 * program; UNIT is its name. C or C++. See units_main.c. */
extern long points; /* crash points passed in inline code */
#define DATABLOCK_CRASH_POINT(name) ((void)points++)
#include "datablock_inline.h"
#include "units.h"

#define JOIN(a, b) a##b
#define NAME(unit, function) JOIN(unit, function)

datablock_status NAME(UNIT, _claim)(datablock_producer producer,
                                    datablock_write_slot *slot) { return datablock_write_begin(producer, 0, slot); }
datablock_status NAME(UNIT, _commit)(datablock_producer producer,
    const datablock_write_slot *slot) { return datablock_write_commit(producer, slot, 8); }
datablock_status NAME(UNIT, _abort)(datablock_producer producer,
                                    const datablock_write_slot *slot) { return datablock_write_abort(producer, slot); }
datablock_status NAME(UNIT, _read)(datablock_consumer consumer,
                                   datablock_read_slot *slot) { return datablock_read_begin(consumer, 0, slot); }
datablock_status NAME(UNIT, _end)(datablock_consumer consumer,
                                  const datablock_read_slot *slot) { return datablock_read_end(consumer, slot); }
