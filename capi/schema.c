/* Schemas: looks at what the caller has, and writes the text of a struct that is described. */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_LIMIT = 64 << 10, DEPTH_LIMIT = 8 };

datablock_status dbshim_check_schema(const char *what, const datablock_schema *schema) {
    if (schema == NULL) {
        return DATABLOCK_OK;
    }
    if (schema->canonical == NULL) {
        return dbshim_invalid("%s has no text: it was freed, or never made by datablock_schema_parse and the like", what);
    }
    if (strnlen(schema->canonical, TEXT_LIMIT + 1) > TEXT_LIMIT) {
        return dbshim_invalid("%s has a text of more than %d bytes", what, TEXT_LIMIT);
    }
    return DATABLOCK_OK;
}

datablock_status datablock_schema_parse(const char *text, datablock_schema *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (text == NULL || out == NULL) {
        return dbshim_null_argument(__func__, text == NULL ? "text" : "out");
    }
    if (strnlen(text, TEXT_LIMIT + 1) > TEXT_LIMIT) {
        return dbshim_invalid("%s: the text has more than %d bytes", __func__, TEXT_LIMIT);
    }
    datablock_schema schema = {0};
    datablock_status status = DBSHIM_GO(dbshim_self(), dbgo_schema_parse((char *)text, &schema, dbshim_detail()));
    if (status == DATABLOCK_OK) {
        *out = schema;
    }
    return status;
}

/* A registry that a variable of the environment says, with what comes after it. */
static datablock_status registry_in(const char *variable, const char *value, const char *rest, const char **registry, char *copy) {
    int length = snprintf(copy, DBSHIM_PATH_SIZE, "%s%s", value, rest);
    if (length < 0 || length >= DBSHIM_PATH_SIZE) {
        return dbshim_invalid("the environment variable %s has more than %d bytes", variable, DBSHIM_PATH_SIZE - 1 - (int)strlen(rest));
    }
    *registry = copy;
    return DATABLOCK_OK;
}

/* Programs may change their environment; Go's copy of it is as old as the library. As schema.DefaultDirectory. */
static datablock_status find_registry(const char **registry, char *copy) {
    if (*registry != NULL) {
        return DATABLOCK_OK;
    }
    const char *schemas = getenv("DATABLOCK_SCHEMAS"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (schemas != NULL && schemas[0] != '\0') {
        return registry_in("DATABLOCK_SCHEMAS", schemas, "", registry, copy);
    }
    if (data != NULL && data[0] == '/') {
        return registry_in("XDG_DATA_HOME", data, "/datablock/schemas", registry, copy);
    }
    if (home != NULL && home[0] != '\0') {
        return registry_in("HOME", home, "/.local/share/datablock/schemas", registry, copy);
    }
    dbshim_invalid("the registry of schemas: none of DATABLOCK_SCHEMAS, XDG_DATA_HOME and HOME is set in the environment; set DATABLOCK_SCHEMAS to its directory");
    return DATABLOCK_E_SYSTEM;
}

datablock_status dbshim_find_registered(const char *what, const char *reference, const char **registry, char *copy) {
    if (reference == NULL) {
        return DATABLOCK_OK;
    }
    if (reference[0] == '\0') {
        return dbshim_invalid("%s.registered is empty: give a reference such as SensorReading@2.1, or NULL for none", what);
    }
    return find_registry(registry, copy);
}

static datablock_status schema_of_block(const char *function, const char *shm_name, bool zone, datablock_schema *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (shm_name == NULL || out == NULL) {
        return dbshim_null_argument(function, shm_name == NULL ? "shm_name" : "out");
    }
    char copy[DBSHIM_PATH_SIZE], *directory;
    if (!dbshim_find_block(shm_name, copy, &directory)) {
        return DATABLOCK_E_INVALID;
    }
    datablock_schema schema = {0};
    datablock_status status = DBSHIM_GO(dbshim_self(), dbgo_schema_of_block((char *)shm_name, directory, zone, &schema, dbshim_detail()));
    if (status == DATABLOCK_OK) {
        *out = schema;
    }
    return status;
}

datablock_status datablock_schema_of_block(const char *shm_name, datablock_schema *out) { return schema_of_block(__func__, shm_name, false, out); }
datablock_status datablock_zone_schema_of_block(const char *shm_name, datablock_schema *out) { return schema_of_block(__func__, shm_name, true, out); }

/* Of an open block. */
static datablock_status of_handle(const char *function, uint64_t handle, uint64_t kind, bool zone, datablock_schema *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (out == NULL) {
        return dbshim_null_argument(function, "out");
    }
    datablock_status status = dbshim_take(handle, kind);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_schema schema = {0};
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread, dbgo_schema_of_handle(dbshim_index(handle), zone, &schema, thread->detail));
    status = dbshim_end(handle, status, false);
    if (status == DATABLOCK_OK) {
        *out = schema;
    } else {
        free(schema.canonical);
    }
    return status;
}

datablock_status datablock_schema_of_consumer(datablock_consumer consumer, datablock_schema *out) {
    return of_handle(__func__, consumer.handle, DATABLOCK_INLINE_CONSUMER, false, out);
}
datablock_status datablock_zone_schema_of_consumer(datablock_consumer consumer, datablock_schema *out) {
    return of_handle(__func__, consumer.handle, DATABLOCK_INLINE_CONSUMER, true, out);
}
datablock_status datablock_schema_of_observer(datablock_observer observer, datablock_schema *out) {
    return of_handle(__func__, observer.handle, DATABLOCK_INLINE_OBSERVER, false, out);
}

datablock_status datablock_schema_check(const datablock_schema *producer, const datablock_schema *consumer, datablock_schema_mode mode) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (producer == NULL || consumer == NULL) {
        return dbshim_null_argument(__func__, producer == NULL ? "producer" : "consumer");
    }
    datablock_status status;
    if ((status = dbshim_check_schema("producer", producer)) != DATABLOCK_OK || (status = dbshim_check_schema("consumer", consumer)) != DATABLOCK_OK) {
        return status;
    }
    datablock_schema own[2] = {*producer, *consumer};
    return DBSHIM_GO(dbshim_self(), dbgo_schema_check(&own[0], &own[1], (uint32_t)mode, dbshim_detail()));
}

datablock_status datablock_schema_lookup(const char *reference, const char *registry, datablock_schema *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (reference == NULL || out == NULL) {
        return dbshim_null_argument(__func__, reference == NULL ? "reference" : "out");
    }
    char copy[DBSHIM_PATH_SIZE];
    datablock_status status = find_registry(&registry, copy);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_schema schema = {0};
    status = DBSHIM_GO(dbshim_self(), dbgo_schema_lookup((char *)reference, (char *)registry, &schema, dbshim_detail()));
    if (status == DATABLOCK_OK) {
        *out = schema;
    }
    return status;
}

datablock_status datablock_schema_register(const datablock_schema *schema, const char *registry) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (schema == NULL) {
        return dbshim_null_argument(__func__, "schema");
    }
    datablock_status status = dbshim_check_schema("schema", schema);
    if (status != DATABLOCK_OK) {
        return status;
    }
    char copy[DBSHIM_PATH_SIZE];
    if ((status = find_registry(&registry, copy)) != DATABLOCK_OK) {
        return status;
    }
    datablock_schema own = *schema;
    return DBSHIM_GO(dbshim_self(), dbgo_schema_register(&own, (char *)registry, dbshim_detail()));
}

void datablock_schema_free(datablock_schema *schema) {
    if (schema != NULL) {
        free(schema->canonical);
        *schema = (datablock_schema){0};
    }
}

/* ---- Described structs ------------------------------------------------------------------------------------------------------------- */

static datablock_status write_layout(FILE *to, const datablock_schema_layout *layout, int depth);

static uint64_t size_of(const char *type) {
    static const struct {
        const char *name;
        uint64_t size;
    } known[] = {{"i8", 1}, {"u8", 1}, {"i16", 2}, {"u16", 2}, {"i32", 4}, {"u32", 4}, {"i64", 8}, {"u64", 8}, {"f32", 4}, {"f64", 8}, {"bool", 1}, {"char", 1}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, type) == 0) {
            return known[i].size;
        }
    }
    return 0;
}

static datablock_status write_field(FILE *to, const datablock_schema_field *field, int depth) {
    if (field->name == NULL || (field->type == NULL) == (field->nested == NULL)) {
        return dbshim_invalid("datablock_schema_describe: a field has no name, or not one of type and nested");
    }
    uint64_t item = field->type != NULL ? size_of(field->type) : field->nested->size, size = item;
    fprintf(to, "%s: ", field->name);
    if (field->type != NULL) {
        fputs(field->type, to);
    } else {
        datablock_status status = write_layout(to, field->nested, depth + 1);
        if (status != DATABLOCK_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < sizeof field->dims / sizeof field->dims[0] && field->dims[i] != 0; i++) {
        fprintf(to, "[%" PRIu64 "]", field->dims[i]);
        if (__builtin_mul_overflow(size, field->dims[i], &size)) {
            size = 0;
        }
    }
    if (item != 0 && size != field->size) {
        return dbshim_invalid("datablock_schema_describe: field \"%.63s\" has %" PRIu64 " bytes, and its type %" PRIu64, field->name, field->size, size);
    }
    fprintf(to, " @ %" PRIu64 "; ", field->offset);
    return DATABLOCK_OK;
}

static datablock_status write_layout(FILE *to, const datablock_schema_layout *layout, int depth) {
    if (depth > DEPTH_LIMIT) {
        return dbshim_invalid("datablock_schema_describe: structs are nested more than %d deep", DEPTH_LIMIT);
    }
    if (layout->fields == NULL && layout->count != 0) {
        return dbshim_null_argument("datablock_schema_describe", "fields");
    }
    fputs("{ ", to);
    for (size_t i = 0; i < layout->count && ftell(to) <= TEXT_LIMIT; i++) {
        datablock_status status = write_field(to, &layout->fields[i], depth);
        if (status != DATABLOCK_OK) {
            return status;
        }
    }
    fprintf(to, "} size %" PRIu64 " align %" PRIu64, layout->size, layout->alignment);
    return DATABLOCK_OK;
}

datablock_status datablock_schema_describe(const char *name, uint32_t major, uint32_t minor, uint32_t patch, const datablock_schema_layout *layout, datablock_schema *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (name == NULL || layout == NULL || out == NULL) {
        return dbshim_null_argument(__func__, name == NULL ? "name" : layout == NULL ? "layout" : "out");
    }
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    if (to == NULL) {
        return dbshim_invalid("%s: no memory", __func__);
    }
    fprintf(to, "schema %s %" PRIu32 ".%" PRIu32 ".%" PRIu32 " ", name, major, minor, patch);
    datablock_status status = write_layout(to, layout, 1);
    if (fclose(to) != 0 && status == DATABLOCK_OK) {
        status = dbshim_invalid("%s: no memory", __func__);
    }
    if (status == DATABLOCK_OK) {
        status = datablock_schema_parse(text, out);
    }
    free(text);
    return status;
}
