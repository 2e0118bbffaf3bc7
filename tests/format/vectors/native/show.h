/* Prints the schema of a struct: the golden schema's name, its canonical line, its hash. */
#include <datablock_schema.h>

#include <stdio.h>
#include <stdlib.h>

static inline void show(const char *golden, const char *name, const datablock_schema_layout *layout) {
    datablock_schema schema;
    if (datablock_schema_describe(name, 1, 0, 0, layout, &schema) != DATABLOCK_OK) {
        fprintf(stderr, "%s: %s\n", golden, datablock_error_detail());
        exit(1);
    }
    printf("%s\t%s\t", golden, schema.canonical);
    for (size_t i = 0; i < sizeof schema.hash; i++) {
        printf("%02x", schema.hash[i]);
    }
    printf("\n");
    datablock_schema_free(&schema);
}
