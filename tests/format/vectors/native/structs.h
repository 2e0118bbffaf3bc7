/* Golden schemas, written as structs of C and C++. */
#include <stdbool.h>
#include <stdint.h>

#define PACKED __attribute__((packed))
#define ALIGNED(n) __attribute__((aligned(n)))

struct every {
    int8_t a;
    int16_t b;
    int32_t c;
    int64_t d;
    uint8_t e;
    uint16_t f;
    uint32_t g;
    uint64_t h;
    float i;
    double j;
    bool k;
    char l;
};
struct inner_padding {
    uint8_t a;
    uint16_t b;
    uint8_t c;
    uint32_t d;
    uint8_t e;
    uint64_t f;
    uint8_t g;
};
struct tail_padding {
    double value;
    uint8_t flag;
};
struct PACKED packed_int {
    uint8_t flag;
    int32_t value;
    uint16_t tail;
};
struct PACKED packed_double {
    uint8_t flag;
    double value;
    uint16_t tail;
};
struct char_array {
    uint8_t head;
    char values[5];
    uint8_t tail;
};
struct double_array {
    uint8_t head;
    double values[5];
    uint8_t tail;
};
struct names {
    char first[16];
    char others[4][8];
    char one;
};
struct matrix {
    double cells[3][4];
};
struct cube {
    uint8_t head;
    int16_t cells[2][3][4];
};
struct one {
    uint32_t cell[1];
};
struct point {
    float x;
    float y;
};
struct line {
    struct point from;
    struct point to;
    uint8_t width;
};
struct tagged_point {
    double x;
    uint8_t tag;
};
struct path {
    uint16_t count;
    struct tagged_point points[7];
};
struct outer_inner {
    uint8_t a;
    uint64_t b;
};
struct outer {
    uint8_t head;
    struct outer_inner inner;
    uint8_t tail;
};
struct three_c {
    uint8_t d;
    uint32_t e;
};
struct three_b {
    struct three_c c;
    uint8_t f;
};
struct three_a {
    struct three_b b[2];
    uint16_t g;
};
struct three {
    struct three_a a;
    uint8_t h;
};
struct PACKED packed_inside {
    uint8_t x;
    uint64_t y;
};
struct packed_in_natural {
    uint8_t a;
    struct packed_inside inner;
    uint32_t b;
};
struct natural_inside {
    uint8_t x;
    uint32_t y;
};
struct PACKED natural_in_packed {
    uint8_t a;
    struct natural_inside inner;
    uint32_t b;
};
struct byte {
    uint8_t a;
};
struct PACKED packed_pair {
    uint8_t a;
    double b;
};
struct arrays_of_both {
    struct byte s[3];
    struct packed_pair p[3];
    uint16_t t;
};
struct registers {
    uint32_t control;
    uint8_t unused[12];
    uint32_t status;
    uint8_t more[12];
    uint8_t data[8];
};
struct frame {
    uint64_t id;
    uint32_t length;
    uint8_t rest[52];
};
struct ALIGNED(64) line64 {
    uint64_t value;
};
struct ALIGNED(4) strange_inner {
    uint8_t before;
    uint8_t x;
};
struct strange {
    uint8_t a;
    struct strange_inner inner;
    uint8_t b;
};
struct PACKED ALIGNED(8) wire {
    uint8_t kind;
    double value;
    uint8_t rest[7];
};
struct reading_inner {
    uint8_t a;
    uint16_t b;
};
struct reading {
    uint64_t time;
    double value[3];
    struct point at[2];
    struct reading_inner inner;
    int16_t matrix[2][3];
    char name[16];
    char gap[20];
    bool ok;
};
struct image {
    uint64_t time;
    uint32_t width;
    uint32_t height;
    uint8_t pixels[1080][1920][3];
};
