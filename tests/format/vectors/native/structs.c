#include "show.h"
#include "structs.h"

#define F(type, member) DATABLOCK_FIELD(struct type, member)
#define A(type, member) DATABLOCK_ARRAY(struct type, member)
#define A2(type, member) DATABLOCK_ARRAY2(struct type, member)
#define A3(type, member) DATABLOCK_ARRAY3(struct type, member)
#define S(type, member, of) DATABLOCK_STRUCT(struct type, member, of##_layout)
#define SA(type, member, of) DATABLOCK_STRUCT_ARRAY(struct type, member, of##_layout)
#define DESCRIBE(type, ...)                                              \
    static const datablock_schema_field type##_fields[] = {__VA_ARGS__}; \
    static const datablock_schema_layout type##_layout = DATABLOCK_LAYOUT(struct type, type##_fields)

DESCRIBE(every, F(every, a), F(every, b), F(every, c), F(every, d), F(every, e), F(every, f), F(every, g), F(every, h),
         F(every, i), F(every, j), F(every, k), F(every, l));
DESCRIBE(inner_padding, F(inner_padding, a), F(inner_padding, b), F(inner_padding, c), F(inner_padding, d),
         F(inner_padding, e), F(inner_padding, f), F(inner_padding, g));
DESCRIBE(tail_padding, F(tail_padding, value), F(tail_padding, flag));
DESCRIBE(packed_int, F(packed_int, flag), F(packed_int, value), F(packed_int, tail));
DESCRIBE(packed_double, F(packed_double, flag), F(packed_double, value), F(packed_double, tail));
DESCRIBE(char_array, F(char_array, head), A(char_array, values), F(char_array, tail));
DESCRIBE(double_array, F(double_array, head), A(double_array, values), F(double_array, tail));
DESCRIBE(names, A(names, first), A2(names, others), F(names, one));
DESCRIBE(matrix, A2(matrix, cells));
DESCRIBE(cube, F(cube, head), A3(cube, cells));
DESCRIBE(one, A(one, cell));
DESCRIBE(point, F(point, x), F(point, y));
DESCRIBE(line, S(line, from, point), S(line, to, point), F(line, width));
DESCRIBE(tagged_point, F(tagged_point, x), F(tagged_point, tag));
DESCRIBE(path, F(path, count), SA(path, points, tagged_point));
DESCRIBE(outer_inner, F(outer_inner, a), F(outer_inner, b));
DESCRIBE(outer, F(outer, head), S(outer, inner, outer_inner), F(outer, tail));
DESCRIBE(three_c, F(three_c, d), F(three_c, e));
DESCRIBE(three_b, S(three_b, c, three_c), F(three_b, f));
DESCRIBE(three_a, SA(three_a, b, three_b), F(three_a, g));
DESCRIBE(three, S(three, a, three_a), F(three, h));
DESCRIBE(packed_inside, F(packed_inside, x), F(packed_inside, y));
DESCRIBE(packed_in_natural, F(packed_in_natural, a), S(packed_in_natural, inner, packed_inside),
         F(packed_in_natural, b));
DESCRIBE(natural_inside, F(natural_inside, x), F(natural_inside, y));
DESCRIBE(natural_in_packed, F(natural_in_packed, a), S(natural_in_packed, inner, natural_inside),
         F(natural_in_packed, b));
DESCRIBE(byte, F(byte, a));
DESCRIBE(packed_pair, F(packed_pair, a), F(packed_pair, b));
DESCRIBE(arrays_of_both, SA(arrays_of_both, s, byte), SA(arrays_of_both, p, packed_pair), F(arrays_of_both, t));
DESCRIBE(registers, F(registers, control), F(registers, status), A(registers, data));
DESCRIBE(frame, F(frame, id), F(frame, length));
DESCRIBE(line64, F(line64, value));
DESCRIBE(strange_inner, F(strange_inner, x));
DESCRIBE(strange, F(strange, a), S(strange, inner, strange_inner), F(strange, b));
DESCRIBE(wire, F(wire, kind), F(wire, value));
DESCRIBE(reading_inner, F(reading_inner, a), F(reading_inner, b));
DESCRIBE(reading, F(reading, time), A(reading, value), SA(reading, at, point), S(reading, inner, reading_inner),
         A2(reading, matrix), A(reading, name), F(reading, ok));
DESCRIBE(image, F(image, time), F(image, width), F(image, height), A3(image, pixels));

int main(void) {
    show("every type", "Every", &every_layout);
    show("inner padding", "Inner", &inner_padding_layout);
    show("tail padding", "Tail", &tail_padding_layout);
    show("i32 packed behind a byte", "Behind", &packed_int_layout);
    show("f64 packed behind a byte", "Behind", &packed_double_layout);
    show("array of char", "Array", &char_array_layout);
    show("array of f64", "Array", &double_array_layout);
    show("strings", "Names", &names_layout);
    show("two dimensions", "Matrix", &matrix_layout);
    show("three dimensions", "Cube", &cube_layout);
    show("an array of one", "One", &one_layout);
    show("nested", "Line", &line_layout);
    show("nested in an array", "Path", &path_layout);
    show("nested without a name", "Outer", &outer_layout);
    show("nested three deep", "Outer", &three_layout);
    show("packed in natural", "Outer", &packed_in_natural_layout);
    show("natural in packed", "Outer", &natural_in_packed_layout);
    show("packed array in natural", "Outer", &arrays_of_both_layout);
    show("explicit offset", "Register", &registers_layout);
    show("explicit size", "Frame", &frame_layout);
    show("explicit alignment", "Line64", &line64_layout);
    show("explicit nested", "Strange", &strange_layout);
    show("unaligned explicit offset", "Wire", &wire_layout);
    show("a sensor reading", "SensorReading", &reading_layout);
    show("an image", "Image", &image_layout);
    return 0;
}
