#!/bin/sh
# Checks that pkg-config and CMake find an installed library, and that a program linked against it
# starts.
set -eu
build=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

cmake --install "$build" --prefix "$root/usr" >"$root/log" || { cat "$root/log"; exit 1; }
mkdir "$root/user"
cat >"$root/user/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.20)
project(user C CXX)
find_package(datablock 1.0 REQUIRED)
add_executable(user user.c)
target_link_libraries(user PRIVATE datablock::datablock)
add_executable(user-cpp user.cpp)
target_compile_features(user-cpp PRIVATE cxx_std_17)
target_link_libraries(user-cpp PRIVATE datablock::datablock)
EOF
cat >"$root/user/user.c" <<'EOF'
#include <datablock_inline.h> /* includes the other headers */
int main(void) { return datablock_version() != DATABLOCK_VERSION; }
EOF
cat >"$root/user/user.cpp" <<'EOF'
#include <datablock.hpp>
int main() { return datablock::find_datablock_consumer("/nowhere/absent").has_value(); }
EOF
cmake -S "$root/user" -B "$root/user/build" -DCMAKE_PREFIX_PATH="$root/usr" >"$root/log" || { cat "$root/log"; exit 1; }
cmake --build "$root/user/build" >"$root/log" || { cat "$root/log"; exit 1; }
"$root/user/build/user"
"$root/user/build/user-cpp"

pc=$(find "$root/usr" -name datablock.pc)
libdir=$(dirname "$(dirname "$pc")")
if command -v pkg-config >/dev/null; then
    flags=$(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --cflags --libs datablock)
    # The flags must be split into words.
    # shellcheck disable=SC2086
    ${CC:-cc} -o "$root/user/by-pkg-config" "$root/user/user.c" $flags
    LD_LIBRARY_PATH=$libdir "$root/user/by-pkg-config"

    # The commands of docs/getting-started.md, with this prefix. The last one makes a program that
    # starts without LD_LIBRARY_PATH.
    cp "$root/user/user.c" "$root/user/program.c"
    sed -n '/^    export PKG_CONFIG_PATH=/,/^$/p' docs/getting-started.md |
        sed "s|PREFIX/lib/pkgconfig|$(dirname "$pc")|; s|^    cc |${CC:-cc} |" >"$root/user/commands"
    test "$(wc -w <"$root/user/commands")" -gt 9
    (cd "$root/user" && sh -eu ./commands)
    env -u LD_LIBRARY_PATH "$root/user/program"
fi
test "$("$root/usr/bin/datablock-admin" --version)" = "datablock-admin $(sed -n 's/^Version: //p' "$pc")"
test "$(readlink "$libdir/libdatablock.so")" = libdatablock.so.1

for file in man/man1/datablock-admin.1 man/man1/datablock-admin-schema-show.1 \
    bash-completion/completions/datablock-admin zsh/site-functions/_datablock-admin \
    fish/vendor_completions.d/datablock-admin.fish; do
    grep -q "datablock-admin" "$root/usr/share/$file"
done
