/*
 * Schemas: checks the arguments of the caller, and writes the canonical line of a described struct.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_LIMIT = 64 << 10, DEPTH_LIMIT = 8, FIELD_LIMIT = 1024, NAME_LIMIT = 63 };

datablock_status dbshim_check_schema(const char *what, const datablock_schema *schema) {
    if (schema == NULL) {
        return DATABLOCK_OK;
    }
    if (schema->canonical == NULL) {
        return dbshim_invalid(
            "%s has no text: it was freed, or never made by datablock_schema_parse and the like",
            what);
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
    datablock_status status =
        DBSHIM_GO(dbshim_self(), dbgo_schema_parse((char *)text, &schema, dbshim_detail()));
    if (status == DATABLOCK_OK) {
        *out = schema;
    }
    return status;
}

/* Appends the rest of the path to a variable that was copied to `copy`. */
static datablock_status registry_in(const char *variable, int length, const char *rest,
                                    const char **registry, char *copy) {
    if (length + (int)strlen(rest) >= DBSHIM_PATH_SIZE) {
        return dbshim_invalid("the environment variable %s has more than %d bytes", variable,
                              DBSHIM_PATH_SIZE - 1 - (int)strlen(rest));
    }
    strcpy(copy + length, rest);
    *registry = copy;
    return DATABLOCK_OK;
}

/*
 * Programs may change their environment. Go's copy dates from the start of the library, so the
 * environment is read here. As schema.DefaultDirectory.
 */
static datablock_status find_registry(const char **registry, char *copy) {
    if (*registry != NULL) {
        return DATABLOCK_OK;
    }
    int length = dbshim_environment("DATABLOCK_SCHEMAS", copy);
    if (length > 0) {
        return registry_in("DATABLOCK_SCHEMAS", length, "", registry, copy);
    }
    length = dbshim_environment(DBSHIM_DATA, copy);
    if (length > 0 && dbshim_is_absolute(copy)) {
        return registry_in(DBSHIM_DATA, length, DBSHIM_BELOW_DATA, registry, copy);
    }
    length = dbshim_environment(DBSHIM_HOME, copy);
    if (length > 0) {
        return registry_in(DBSHIM_HOME, length, DBSHIM_BELOW_HOME, registry, copy);
    }
    dbshim_invalid("the registry of schemas: none of DATABLOCK_SCHEMAS, " DBSHIM_DATA
                   " and " DBSHIM_HOME " is set in the environment; set DATABLOCK_SCHEMAS to its "
                   "directory");
    return DATABLOCK_E_SYSTEM;
}

datablock_status dbshim_find_registered(const char *what, const char *reference,
                                        const char **registry, char *copy) {
    if (reference == NULL) {
        return DATABLOCK_OK;
    }
    if (reference[0] == '\0') {
        return dbshim_invalid(
            "%s.registered is empty: give a reference such as SensorReading@2.1, or NULL for none",
            what);
    }
    return find_registry(registry, copy);
}

static datablock_status schema_of_block(const char *function, const char *shm_name, bool zone,
                                        datablock_schema *out) {
    dbshim_directory directory;
    datablock_status status =
        dbshim_begin_named_call(function, shm_name, out == NULL ? "out" : NULL, &directory);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_schema schema = {0};
    status = DBSHIM_GO(dbshim_self(), dbgo_schema_of_block((char *)shm_name, directory.path, zone,
                                                           &schema, dbshim_detail()));
    if (status == DATABLOCK_OK) {
        *out = schema;
    }
    return status;
}

datablock_status datablock_schema_of_block(const char *shm_name, datablock_schema *out) {
    return schema_of_block(__func__, shm_name, false, out);
}
datablock_status datablock_zone_schema_of_block(const char *shm_name, datablock_schema *out) {
    return schema_of_block(__func__, shm_name, true, out);
}

/* The schema of an open block. */
static datablock_status of_handle(const char *function, uint64_t handle, uint64_t kind, bool zone,
                                  datablock_schema *out) {
    datablock_status status =
        dbshim_begin_handle_call(function, out == NULL ? "out" : NULL, handle, kind);
    if (status != DATABLOCK_OK) {
        return status;
    }
    datablock_schema schema = {0};
    dbshim_thread *thread = dbshim_self();
    status = DBSHIM_GO(thread,
                       dbgo_schema_of_handle(dbshim_index(handle), zone, &schema, thread->detail));
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
datablock_status datablock_zone_schema_of_consumer(datablock_consumer consumer,
                                                   datablock_schema *out) {
    return of_handle(__func__, consumer.handle, DATABLOCK_INLINE_CONSUMER, true, out);
}
datablock_status datablock_schema_of_observer(datablock_observer observer, datablock_schema *out) {
    return of_handle(__func__, observer.handle, DATABLOCK_INLINE_OBSERVER, false, out);
}

datablock_status datablock_schema_check(const datablock_schema *producer,
                                        const datablock_schema *consumer,
                                        datablock_schema_mode mode) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (producer == NULL || consumer == NULL) {
        return dbshim_null_argument(__func__, producer == NULL ? "producer" : "consumer");
    }
    datablock_status status;
    if ((status = dbshim_check_schema("producer", producer)) != DATABLOCK_OK ||
        (status = dbshim_check_schema("consumer", consumer)) != DATABLOCK_OK) {
        return status;
    }
    datablock_schema own[2] = {*producer, *consumer};
    return DBSHIM_GO(dbshim_self(),
                     dbgo_schema_check(&own[0], &own[1], (uint32_t)mode, dbshim_detail()));
}

datablock_status datablock_schema_lookup(const char *reference, const char *registry,
                                         datablock_schema *out) {
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
    status = DBSHIM_GO(dbshim_self(), dbgo_schema_lookup((char *)reference, (char *)registry,
                                                         &schema, dbshim_detail()));
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

/* ---- Described structs ----------------------------------------------------------------------- */

/* Where a field is, for messages: the fields around it. */
typedef struct field_path {
    const struct field_path *outer;
    const char *name;
} field_path;

/* The canonical line while it is written. No text of the caller gets into it unchecked. */
typedef struct description {
    char *line; /* NULL before the first text, and after there was no memory */
    size_t length, capacity;
    bool no_memory;
    const char *name;
    size_t fields; /* so far */
} description;

__attribute__((format(DBSHIM_PRINTF, 2, 3))) static void add(description *d, const char *format,
                                                             ...) {
    while (!d->no_memory) {
        const size_t room = d->capacity - d->length;
        va_list arguments;
        va_start(arguments, format);
        int length = vsnprintf(room > 0 ? d->line + d->length : NULL, room, format, arguments);
        va_end(arguments);
        if (length >= 0 && (size_t)length < room) {
            d->length += (size_t)length;
            return;
        }
        size_t capacity = d->capacity > 0 ? 2 * d->capacity : 1024;
        char *line = length >= 0 ? realloc(d->line, capacity) : NULL;
        if (line == NULL) {
            free(d->line);
            *d = (description){.name = d->name, .fields = d->fields, .no_memory = true};
            return;
        }
        d->line = line;
        d->capacity = capacity;
    }
}

/* A name of the caller, as a message may contain it. */
static const char *shown(const char *name, char copy[NAME_LIMIT + 4]) {
    size_t n = strnlen(name, NAME_LIMIT + 1);
    for (size_t i = 0; i < n && i < NAME_LIMIT; i++) {
        copy[i] = (unsigned char)name[i] < ' ' || name[i] == 0x7f ? '?' : name[i];
    }
    strcpy(copy + (n < NAME_LIMIT ? n : NAME_LIMIT), n > NAME_LIMIT ? "..." : "");
    return copy;
}

/* As schema.checkName. */
static const char *wrong_name(const char *name) {
    size_t n = strnlen(name, NAME_LIMIT + 1);
    if (n == 0) {
        return "is empty";
    }
    if (n > NAME_LIMIT) {
        return "has more than 63 bytes";
    }
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (c != '_' && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            (i == 0 || !(c >= '0' && c <= '9'))) {
            return "is no name: use letters, digits and _, beginning with no digit";
        }
    }
    return NULL;
}

static void write_path(char *to, size_t size, const field_path *at) {
    if (at->outer != NULL) {
        write_path(to, size, at->outer);
        strncat(to, ".", size - strlen(to) - 1);
    }
    char copy[NAME_LIMIT + 4];
    strncat(to, shown(at->name, copy), size - strlen(to) - 1);
}

/* An error in the caller's terms: the schema, and the field. */
__attribute__((format(DBSHIM_PRINTF, 3, 4))) static datablock_status refuse_field(
    const description *d, const field_path *at, const char *format, ...) {
    char path[8 * (NAME_LIMIT + 4)] = "", what[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (at == NULL) {
        return dbshim_invalid("schema %s: %s", d->name, what);
    }
    write_path(path, sizeof path, at);
    return dbshim_invalid("schema %s: field \"%s\" %s", d->name, path, what);
}

static datablock_status write_layout(description *d, const datablock_schema_layout *layout,
                                     int depth, const field_path *at);

static uint64_t size_of(const char *type) {
    static const struct {
        const char *name;
        uint64_t size;
    } known[] = {{"i8", 1},  {"u8", 1},  {"i16", 2}, {"u16", 2}, {"i32", 4},  {"u32", 4},
                 {"i64", 8}, {"u64", 8}, {"f32", 4}, {"f64", 8}, {"bool", 1}, {"char", 1}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, type) == 0) {
            return known[i].size;
        }
    }
    return 0;
}

/* Writes the type or the struct, and the dimensions. */
static datablock_status write_type(description *d, const datablock_schema_field *field, int depth,
                                   const field_path *at) {
    uint64_t item = field->type != NULL ? size_of(field->type) : field->nested->size, size = item;
    if (field->type != NULL && item == 0) {
        char copy[NAME_LIMIT + 4];
        return refuse_field(d, at,
                            "has the type \"%s\", which is none: use i8 i16 i32 i64 u8 u16 u32 u64 "
                            "f32 f64 bool char, or a struct",
                            shown(field->type, copy));
    }
    if (field->size == 0) {
        return refuse_field(d, at,
                            "has no bytes: an array of no items, or a struct without members, has "
                            "no counterpart in a schema");
    }
    if (field->type != NULL) {
        add(d, "%s", field->type);
    } else {
        datablock_status status = write_layout(d, field->nested, depth + 1, at);
        if (status != DATABLOCK_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < sizeof field->dims / sizeof field->dims[0] && field->dims[i] != 0; i++) {
        add(d, "[%" PRIu64 "]", field->dims[i]);
        if (__builtin_mul_overflow(size, field->dims[i], &size)) {
            size = 0;
        }
    }
    if (size != field->size) {
        return refuse_field(d, at, "has %" PRIu64 " bytes, and its type %" PRIu64, field->size,
                            size);
    }
    return DATABLOCK_OK;
}

static datablock_status write_field(description *d, const datablock_schema_field *field, int depth,
                                    const field_path *outer) {
    if (field->name == NULL) {
        return refuse_field(d, outer, "%s has no name",
                            outer == NULL ? "a field" : "has a field that");
    }
    field_path at = {outer, field->name};
    const char *wrong = wrong_name(field->name);
    if (wrong != NULL) {
        return refuse_field(d, &at, "%s", wrong);
    }
    if ((field->type == NULL) == (field->nested == NULL)) {
        return refuse_field(d, &at, "has not one of type and nested");
    }
    if (++d->fields > FIELD_LIMIT) {
        return refuse_field(d, NULL, "more than %d fields in all", FIELD_LIMIT);
    }
    add(d, "%s:", field->name);
    datablock_status status = write_type(d, field, depth, &at);
    add(d, "@%" PRIu64, field->offset);
    return status;
}

static datablock_status write_layout(description *d, const datablock_schema_layout *layout,
                                     int depth, const field_path *at) {
    if (depth > DEPTH_LIMIT) {
        return refuse_field(d, NULL, "structs are nested more than %d deep", DEPTH_LIMIT);
    }
    if (layout->fields == NULL && layout->count != 0) {
        return dbshim_null_argument("datablock_schema_describe", "fields");
    }
    if (layout->count == 0) {
        return refuse_field(d, at, "%s no fields: give it at least one",
                            at == NULL ? "the struct has" : "is a struct of");
    }
    add(d, "{");
    for (size_t i = 0; i < layout->count; i++) {
        if (i > 0) {
            add(d, ",");
        }
        datablock_status status = write_field(d, &layout->fields[i], depth, at);
        if (status != DATABLOCK_OK) {
            return status;
        }
    }
    add(d, "}%" PRIu64 "/%" PRIu64, layout->size, layout->alignment);
    return DATABLOCK_OK;
}

/* Writes the canonical line of the described struct. The caller frees it. */
static datablock_status write_line(const char *name, const datablock_schema_layout *layout,
                                   char **line) {
    description d = {.name = name};
    add(&d, "%s", name);
    datablock_status status = write_layout(&d, layout, 1, NULL);
    if (d.line == NULL && status == DATABLOCK_OK) {
        status = dbshim_invalid("datablock_schema_describe: no memory");
    }
    *line = d.line;
    return status;
}

datablock_status datablock_schema_describe(const char *name, uint32_t major, uint32_t minor,
                                           uint32_t patch, const datablock_schema_layout *layout,
                                           datablock_schema *out) {
    if (!dbshim_enter()) {
        return dbshim_refusal();
    }
    if (name == NULL || layout == NULL || out == NULL) {
        return dbshim_null_argument(__func__, name == NULL     ? "name"
                                              : layout == NULL ? "layout"
                                                               : "out");
    }
    const char *wrong = wrong_name(name);
    if (wrong != NULL) {
        char copy[NAME_LIMIT + 4];
        return dbshim_invalid("the schema's name, \"%s\", %s", shown(name, copy), wrong);
    }
    char *line = NULL;
    datablock_schema schema = {.major = major, .minor = minor, .patch = patch};
    datablock_status status = write_line(name, layout, &line);
    if (status == DATABLOCK_OK) {
        status = DBSHIM_GO(dbshim_self(), dbgo_schema_describe(line, &schema, dbshim_detail()));
    }
    if (status == DATABLOCK_OK) {
        *out = schema;
    }
    free(line);
    return status;
}
