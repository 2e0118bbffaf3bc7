/*
 * The inline functions of datablock.h as exported functions. Bindings need them, because they
 * cannot call a function without a symbol.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATABLOCK_DECLARATIONS_ONLY
#ifdef _WIN32
#define DATABLOCK_API __declspec(dllexport)
#else
#define DATABLOCK_API __attribute__((visibility("default")))
#endif
#include "datablock.h"

datablock_participant datablock_of_producer(datablock_producer producer) {
    return (datablock_participant){producer.handle};
}

datablock_participant datablock_of_consumer(datablock_consumer consumer) {
    return (datablock_participant){consumer.handle};
}
