#include "show.hpp"

namespace {
#include "structs.h"

struct eight_dimensions {
    std::array<std::uint8_t, 2> cells[1][2][1][2][1][2][1];
};
enum class Level : std::uint32_t { low };
struct enum_array {
    Level cell[1];
};
} // namespace

DATABLOCK_DESCRIBE(every, "Every", 1, 0, 0, a, b, c, d, e, f, g, h, i, j, k, l)
DATABLOCK_DESCRIBE(inner_padding, "Inner", 1, 0, 0, a, b, c, d, e, f, g)
DATABLOCK_DESCRIBE(tail_padding, "Tail", 1, 0, 0, value, flag)
DATABLOCK_DESCRIBE(packed_int, "Behind", 1, 0, 0, flag, value, tail)
DATABLOCK_DESCRIBE(packed_double, "Behind", 1, 0, 0, flag, value, tail)
DATABLOCK_DESCRIBE(char_array, "Array", 1, 0, 0, head, values, tail)
DATABLOCK_DESCRIBE(double_array, "Array", 1, 0, 0, head, values, tail)
DATABLOCK_DESCRIBE(names, "Names", 1, 0, 0, first, others, one)
DATABLOCK_DESCRIBE(matrix, "Matrix", 1, 0, 0, cells)
DATABLOCK_DESCRIBE(cube, "Cube", 1, 0, 0, head, cells)
DATABLOCK_DESCRIBE(eight_dimensions, "Deep", 1, 0, 0, cells)
DATABLOCK_DESCRIBE(enum_array, "One", 1, 0, 0, cell)
DATABLOCK_DESCRIBE(point, "Point", 1, 0, 0, x, y)
DATABLOCK_DESCRIBE(line, "Line", 1, 0, 0, from, to, width)
DATABLOCK_DESCRIBE(tagged_point, "Point", 1, 0, 0, x, tag)
DATABLOCK_DESCRIBE(path, "Path", 1, 0, 0, count, points)
DATABLOCK_DESCRIBE(outer_inner, "Inner", 1, 0, 0, a, b)
DATABLOCK_DESCRIBE(outer, "Outer", 1, 0, 0, head, inner, tail)
DATABLOCK_DESCRIBE(three_c, "C", 1, 0, 0, d, e)
DATABLOCK_DESCRIBE(three_b, "B", 1, 0, 0, c, f)
DATABLOCK_DESCRIBE(three_a, "A", 1, 0, 0, b, g)
DATABLOCK_DESCRIBE(three, "Outer", 1, 0, 0, a, h)
DATABLOCK_DESCRIBE(packed_inside, "Inner", 1, 0, 0, x, y)
DATABLOCK_DESCRIBE(packed_in_natural, "Outer", 1, 0, 0, a, inner, b)
DATABLOCK_DESCRIBE(natural_inside, "Inner", 1, 0, 0, x, y)
DATABLOCK_DESCRIBE(natural_in_packed, "Outer", 1, 0, 0, a, inner, b)
DATABLOCK_DESCRIBE(byte, "S", 1, 0, 0, a)
DATABLOCK_DESCRIBE(packed_pair, "P", 1, 0, 0, a, b)
DATABLOCK_DESCRIBE(arrays_of_both, "Outer", 1, 0, 0, s, p, t)
DATABLOCK_DESCRIBE(registers, "Register", 1, 0, 0, control, status, data)
DATABLOCK_DESCRIBE(frame, "Frame", 1, 0, 0, id, length)
DATABLOCK_DESCRIBE(line64, "Line64", 1, 0, 0, value)
DATABLOCK_DESCRIBE(strange_inner, "Inner", 1, 0, 0, x)
DATABLOCK_DESCRIBE(strange, "Strange", 1, 0, 0, a, inner, b)
DATABLOCK_DESCRIBE(wire, "Wire", 1, 0, 0, kind, value)
DATABLOCK_DESCRIBE(reading_inner, "Inner", 1, 0, 0, a, b)
DATABLOCK_DESCRIBE(reading, "SensorReading", 2, 1, 0, time, value, at, inner, matrix, name, ok)
DATABLOCK_DESCRIBE(image, "Image", 1, 0, 0, time, width, height, pixels)

int main() {
    show<every>("every type");
    show<inner_padding>("inner padding");
    show<tail_padding>("tail padding");
    show<packed_int>("i32 packed behind a byte");
    show<packed_double>("f64 packed behind a byte");
    show<char_array>("array of char");
    show<double_array>("array of f64");
    show<names>("strings");
    show<matrix>("two dimensions");
    show<cube>("three dimensions");
    show<eight_dimensions>("eight dimensions");
    show<enum_array>("an array of one");
    show<line>("nested");
    show<path>("nested in an array");
    show<outer>("nested without a name");
    show<three>("nested three deep");
    show<packed_in_natural>("packed in natural");
    show<natural_in_packed>("natural in packed");
    show<arrays_of_both>("packed array in natural");
    show<registers>("explicit offset");
    show<frame>("explicit size");
    show<line64>("explicit alignment");
    show<strange>("explicit nested");
    show<wire>("unaligned explicit offset");
    show<reading>("a sensor reading");
    show<image>("an image");
}
