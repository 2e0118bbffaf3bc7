/*
 * What datablock_schema.h refuses, one case for each number, and the program without a fault for
 * none. Each case is
 * a wrong answer if it compiles: addresses, or the bytes of another struct, would travel as data.
 */
#include "datablock_schema.h"

struct xy {
    float x, y;
};
struct mass {
    double kg;
};
union either {
    float x[2];
    double kg;
};
struct all {
    const char *text;
    double *pointer;
    int *pointers[2];
    struct xy *address;
    uint64_t number;
    struct mass mass;
    struct mass masses[2];
    struct xy at;
    struct xy several[2];
    struct xy grid[2][2];
    union either either;
    long double wide;
    double value[3];
    int matrix[2][3];
    int cube[2][3][4];
};

static const datablock_schema_field xy_fields[] = {DATABLOCK_FIELD(struct xy, x), DATABLOCK_FIELD(struct xy, y)};
static const datablock_schema_layout plain = DATABLOCK_LAYOUT(struct xy, xy_fields);
DATABLOCK_TYPED_LAYOUT(typed, struct xy, (FIELD, x), (FIELD, y));

static const datablock_schema_field fields[] = {
#if !defined(CASE)
    DATABLOCK_STRUCT(struct all, at, plain),
    DATABLOCK_STRUCT(struct all, at, typed),
    DATABLOCK_STRUCT_ARRAY(struct all, several, plain),
    DATABLOCK_STRUCT_ARRAY(struct all, several, typed),
    DATABLOCK_ARRAY(struct all, value),
    DATABLOCK_ARRAY2(struct all, matrix),
    DATABLOCK_ARRAY3(struct all, cube),
    DATABLOCK_FIELD(struct all, number),
#elif CASE == 1
    DATABLOCK_ARRAY(struct all, text),
#elif CASE == 2
    DATABLOCK_ARRAY(struct all, pointer),
#elif CASE == 3
    DATABLOCK_ARRAY2(struct all, pointers),
#elif CASE == 4
    DATABLOCK_STRUCT(struct all, address, plain),
#elif CASE == 5
    DATABLOCK_STRUCT(struct all, address, typed),
#elif CASE == 6
    DATABLOCK_STRUCT_ARRAY(struct all, address, plain),
#elif CASE == 7
    DATABLOCK_STRUCT(struct all, number, plain),
#elif CASE == 8
    DATABLOCK_STRUCT(struct all, number, typed),
#elif CASE == 9
    DATABLOCK_STRUCT(struct all, mass, typed),
#elif CASE == 10
    DATABLOCK_STRUCT_ARRAY(struct all, masses, typed),
#elif CASE == 11
    DATABLOCK_STRUCT(struct all, several, plain),
#elif CASE == 12
    DATABLOCK_STRUCT(struct all, several, typed),
#elif CASE == 13
    DATABLOCK_STRUCT_ARRAY(struct all, at, typed),
#elif CASE == 14
    DATABLOCK_STRUCT_ARRAY(struct all, grid, plain),
#elif CASE == 15
    DATABLOCK_STRUCT(struct all, either, plain),
#elif CASE == 16
    DATABLOCK_FIELD(struct all, pointer),
#elif CASE == 17
    DATABLOCK_FIELD(struct all, value),
#elif CASE == 18
    DATABLOCK_ARRAY(struct all, number),
#elif CASE == 19
    DATABLOCK_ARRAY(struct all, matrix),
#elif CASE == 20
    DATABLOCK_ARRAY2(struct all, cube),
#elif CASE == 21
    DATABLOCK_FIELD(struct all, wide),
#elif CASE == 22
    DATABLOCK_FIELD(struct all, at),
#elif CASE == 23
    DATABLOCK_STRUCT(struct all, at, xy_fields),
#elif CASE == 24
    DATABLOCK_STRUCT_ARRAY(struct all, text, plain),
#elif CASE == 25
    DATABLOCK_ARRAY3(struct all, matrix),
#endif
#if defined(CASE) && CASE > 25
    DATABLOCK_FIELD(struct all, number),
#endif
};

#if defined(CASE) && CASE == 26
DATABLOCK_TYPED_LAYOUT(of_another, struct mass, (FIELD, x));
#elif defined(CASE) && CASE == 27
static const datablock_schema_field *pointer = fields;
static const datablock_schema_layout of_pointer = DATABLOCK_LAYOUT(struct all, pointer);
#elif defined(CASE) && CASE == 28
DATABLOCK_TYPED_LAYOUT(none, struct xy);
#elif defined(CASE) && CASE == 29
struct many {
    int a;
};
#define TEN                                                                                        \
    (FIELD, a), (FIELD, a), (FIELD, a), (FIELD, a), (FIELD, a), (FIELD, a), (FIELD, a),            \
        (FIELD, a), (FIELD, a), (FIELD, a)
DATABLOCK_TYPED_LAYOUT(too_many, struct many, TEN, TEN, TEN, TEN, (FIELD, a));
#endif

int main(void) { return fields[0].size == 0 || typed.layout.count == 0 || plain.count == 0; }
