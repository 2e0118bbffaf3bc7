/*
 * The structs and texts that a caller passes: checks, copies, and the directory of a block name.
 */
#define _POSIX_C_SOURCE 200809L

#include "shim.h"

#include <string.h>

/*
 * Structs that begin with their size grow at their end. The sizes of version 1 never change: they
 * are the sizes that the oldest program passes, and the sizes that a function fills if the caller
 * does not say its own. A newer program's larger struct is accepted while every byte that this
 * library does not know is zero.
 */
enum { CONFIG_SIZE_V1 = 136, OPTIONS_SIZE_V1 = 120, SIZE_LIMIT = 4096 };
_Static_assert(offsetof(datablock_config, algorithm) == CONFIG_SIZE_V1, "version 1");
_Static_assert(offsetof(datablock_consumer_options, wait_ms) == OPTIONS_SIZE_V1, "version 1");

/* ---- The defaults ---------------------------------------------------------------------------- */

/*
 * Fills the `size` bytes of the caller's struct, and no other byte: what the caller knows of
 * `defaults`, then zeros. The size becomes the struct's first field.
 */
static datablock_status init_struct(const char *what, void *given, size_t size, size_t v1_size,
                                    const void *defaults, size_t known) {
    if (size < v1_size || size > SIZE_LIMIT) {
        return dbshim_invalid("datablock_%s_init_sized: size is %zu, which is not in %zu .. %d: "
                              "pass sizeof(datablock_%s)",
                              what, size, v1_size, SIZE_LIMIT, what);
    }
    memset(given, 0, size);
    memcpy(given, defaults, size < known ? size : known);
    uint32_t stored = (uint32_t)size;
    memcpy(given, &stored, sizeof stored);
    return DATABLOCK_OK;
}

/*
 * The header has macros of the names datablock_config_init and datablock_consumer_options_init,
 * which pass the size. Therefore these names are in parentheses here, and in texts.
 */
datablock_status datablock_config_init_sized(datablock_config *config, size_t size,
                                             datablock_policy policy) {
    dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
    if (config == NULL) {
        return dbshim_null_argument("datablock_config_init", "config");
    }
    if (policy != DATABLOCK_SINGLE && policy != DATABLOCK_DOUBLE_BUFFER &&
        policy != DATABLOCK_RING) {
        return dbshim_invalid("datablock_config_init: policy %d is unknown: use DATABLOCK_SINGLE "
                              "(1), DATABLOCK_DOUBLE_BUFFER (2) or DATABLOCK_RING (3)",
                              (int)policy);
    }
    const datablock_config defaults = {
        .policy = (uint32_t)policy,
        .flags = policy == DATABLOCK_RING ? DATABLOCK_FLAG_ALLOW_LOSSLESS : 0,
    };
    return init_struct("config", config, size, CONFIG_SIZE_V1, &defaults, sizeof defaults);
}

datablock_status(datablock_config_init)(datablock_config *config, datablock_policy policy) {
    return datablock_config_init_sized(config, CONFIG_SIZE_V1, policy);
}

datablock_status datablock_consumer_options_init_sized(datablock_consumer_options *options,
                                                       size_t size) {
    dbshim_failed(DATABLOCK_INLINE_SUCCEEDED);
    if (options == NULL) {
        return dbshim_null_argument("datablock_consumer_options_init", "options");
    }
    const datablock_consumer_options defaults = {0};
    return init_struct("consumer_options", options, size, OPTIONS_SIZE_V1, &defaults,
                       sizeof defaults);
}

datablock_status(datablock_consumer_options_init)(datablock_consumer_options *options) {
    return datablock_consumer_options_init_sized(options, OPTIONS_SIZE_V1);
}

/* ---- Structs --------------------------------------------------------------------------------- */

/* Copies a struct that begins with its size into `own`, which is zeroed and has own_size bytes. */
static datablock_status import_struct(const char *what, const void *given, uint32_t v1_size,
                                      void *own, uint32_t own_size) {
    uint32_t size;
    memcpy(&size, given, sizeof size);
    if (size < v1_size || size > SIZE_LIMIT) {
        return dbshim_invalid("%s.size is %u, and %u in this version: call datablock_%s_init first",
                              what, size, own_size, what);
    }
    for (uint32_t i = own_size; i < size; i++) {
        if (((const unsigned char *)given)[i] != 0) {
            return dbshim_invalid(
                "%s has a setting at byte %u that this library, version %d.%d.%d, does not know: "
                "use a newer one",
                what, i, DATABLOCK_VERSION_MAJOR, DATABLOCK_VERSION_MINOR, DATABLOCK_VERSION_PATCH);
        }
    }
    memcpy(own, given, size < own_size ? size : own_size);
    return DATABLOCK_OK;
}

static datablock_status check_zero(const char *what, const char *field, uint32_t reserved) {
    return reserved == 0
               ? DATABLOCK_OK
               : dbshim_invalid("%s.%s is %u: reserved fields must be zero", what, field, reserved);
}

static datablock_status check_reserved(const char *what, const uint64_t *reserved, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (reserved[i] != 0) {
            return dbshim_invalid("%s.reserved[%zu] is %llu: reserved fields must be zero", what, i,
                                  (unsigned long long)reserved[i]);
        }
    }
    return DATABLOCK_OK;
}

static datablock_status check_secret(const char *what, const void *secret, size_t length) {
    if (secret == NULL && length != 0) {
        return dbshim_invalid("%s.secret is NULL and %s.secret_length is %zu", what, what, length);
    }
    if (length > DATABLOCK_TUNING_SECRET_LIMIT) {
        return dbshim_invalid("%s.secret_length is %zu, the limit is %d", what, length,
                              DATABLOCK_TUNING_SECRET_LIMIT);
    }
    return DATABLOCK_OK;
}

/* Copies and checks the configuration of a producer, and finds its block. */
datablock_status dbshim_import_config(const datablock_config *config, const char *name,
                                      datablock_config *own, char *registry,
                                      dbshim_directory *directory) {
    datablock_status status;
    *own = (datablock_config){0};
    if ((status = import_struct("config", config, CONFIG_SIZE_V1, own, sizeof *own)) !=
            DATABLOCK_OK ||
        (status = check_zero("config", "reserved1", own->reserved1)) != DATABLOCK_OK ||
        (status = check_reserved("config", own->reserved,
                                 sizeof own->reserved / sizeof own->reserved[0])) != DATABLOCK_OK ||
        (status = check_secret("config", own->secret, own->secret_length)) != DATABLOCK_OK ||
        (status = dbshim_check_schema("config.schema", own->schema)) != DATABLOCK_OK ||
        (status = dbshim_check_schema("config.zone_schema", own->zone_schema)) != DATABLOCK_OK ||
        (status = dbshim_find_registered("config", own->registered, &own->registry, registry)) !=
            DATABLOCK_OK) {
        return status;
    }
    return dbshim_find_block(directory, "config.directory", name, own->directory);
}

/* Copies and checks the options of a consumer or an observer, and finds its block. */
datablock_status dbshim_import_options(const datablock_consumer_options *options, const char *name,
                                       datablock_consumer_options *own, char *registry,
                                       dbshim_directory *directory) {
    datablock_status status;
    *own = (datablock_consumer_options){.size = sizeof *own};
    if (options != NULL && (status = import_struct("consumer_options", options, OPTIONS_SIZE_V1,
                                                   own, sizeof *own)) != DATABLOCK_OK) {
        return status;
    }
    if ((status = check_zero("consumer_options", "reserved0", own->reserved0)) != DATABLOCK_OK ||
        (status = check_zero("consumer_options", "reserved1", own->reserved1)) != DATABLOCK_OK ||
        (status = check_reserved("consumer_options", own->reserved,
                                 sizeof own->reserved / sizeof own->reserved[0])) != DATABLOCK_OK ||
        (status = check_secret("consumer_options", own->secret, own->secret_length)) !=
            DATABLOCK_OK ||
        (status = dbshim_check_schema("consumer_options.schema", own->schema)) != DATABLOCK_OK ||
        (status = dbshim_check_schema("consumer_options.zone_schema", own->zone_schema)) !=
            DATABLOCK_OK ||
        (status = dbshim_find_registered("consumer_options", own->registered, &own->registry,
                                         registry)) != DATABLOCK_OK) {
        return status;
    }
    return dbshim_find_block(directory, "consumer_options.directory", name, own->directory);
}

/* ---- Directories ----------------------------------------------------------------------------- */

datablock_status dbshim_find_directory(dbshim_directory *directory, const char *what,
                                       const char *given) {
    directory->path = NULL;
    if (given != NULL) {
        if (given[0] == '\0') {
            return dbshim_invalid("%s is empty: give an absolute path, or NULL for the default",
                                  what);
        }
        directory->path = (char *)given;
        return DATABLOCK_OK;
    }
    int length = dbshim_environment("DATABLOCK_DIR", directory->copy);
    if (length <= 0) {
        return DATABLOCK_OK;
    }
    if (length >= DBSHIM_PATH_SIZE) {
        return dbshim_invalid("the environment variable DATABLOCK_DIR has more than %zu bytes",
                              sizeof directory->copy - 1);
    }
    directory->path = directory->copy;
    return DATABLOCK_OK;
}

/*
 * As above, for a block's name. An absolute path contains its directory, whatever the environment
 * says.
 */
datablock_status dbshim_find_block(dbshim_directory *directory, const char *what, const char *name,
                                   const char *given) {
    if (given == NULL && dbshim_is_absolute(name)) {
        directory->copy[0] = '\0';
        directory->path = directory->copy;
        return DATABLOCK_OK;
    }
    return dbshim_find_directory(directory, what, given);
}
