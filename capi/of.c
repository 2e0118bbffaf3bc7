/*
 * What is inline in datablock.h, as exported functions: for bindings, which cannot call what has no symbol.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATABLOCK_DECLARATIONS_ONLY
#define DATABLOCK_API __attribute__((visibility("default")))
#include "datablock.h"

datablock_participant datablock_of_producer(datablock_producer producer) {
    return (datablock_participant){producer.handle};
}

datablock_participant datablock_of_consumer(datablock_consumer consumer) {
    return (datablock_participant){consumer.handle};
}
