/* Prints the schema of a struct: the golden schema's name, its canonical line, its hash. */
#include <datablock.hpp>

#include <cstdio>

template <typename T> void show(const char *golden) {
    auto schema = datablock::Schema::of<T>();
    std::printf("%s\t%s\t", golden, std::string(schema.canonical()).c_str());
    for (int i = 0; i < 32; i++) {
        std::printf("%02x", schema.hash()[i]);
    }
    std::printf("\n");
}
