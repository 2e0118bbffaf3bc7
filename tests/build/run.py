"""How DataBlock is built, found and packaged: run.py BUILD CASE.

BUILD is a build folder in which the library is built. A case configures its own builds. It builds at
most the library and datablock-admin, with the existing Go caches.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = 77

# Variables that an enclosing make or ctest sets, and a user does not.
NOT_OURS = (
    "MAKEFLAGS",
    "MFLAGS",
    "MAKELEVEL",
    "GOFLAGS",
    "DESTDIR",
    "PREFIX",
    "BUILD",
    "DATABLOCK_BUILD",
    "DATABLOCK_DIR",
    "JOBS",
)
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in NOT_OURS}


def run(*command, fails=False, cwd=None, more=None, only=None):
    """Returns the output of a command. The command has to succeed or, with `fails`, to fail.

    `more` are additional environment variables, `only` is the whole environment.
    """
    environment = {**ENVIRONMENT, **(more or {})} if only is None else only
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if (done.returncode != 0) != fails:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout[-6000:]}")
    return done.stdout


def check(true, *what):
    if not true:
        sys.exit("not as expected: " + "\n".join(map(str, what)))


def copy_of_the_tree(to):
    shutil.copytree(
        ROOT,
        to,
        ignore=shutil.ignore_patterns(".git", ".venv", ".tools", "build", "build-*", "__pycache__", ".mypy_cache"),
    )
    return to


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink())


# ---- As a part of another project ----------------------------------------------------------------

PARENT = """
cmake_minimum_required(VERSION 3.20)
project(parent C)
enable_testing()
foreach(name demo bench tests example_hello demo_reader)
  add_custom_target(${name})
endforeach()
%s
add_executable(program program.c)
target_link_libraries(program PRIVATE datablock::datablock)
add_test(NAME program COMMAND program)
install(TARGETS program DESTINATION bin)
"""
PROGRAM = "#include <datablock_inline.h>\nint main(void) { return datablock_version() != DATABLOCK_VERSION; }\n"


def parent(folder, how):
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(PARENT % how)
    (folder / "program.c").write_text(PROGRAM)
    return folder


def names_of_tests(build):
    return re.findall(r"Test +#\d+: (\S+)", run("ctest", "--test-dir", build, "-N"))


def subproject(build, here):
    made = here / "made"
    run("cmake", "-S", parent(here / "parent", f'add_subdirectory("{ROOT}" db)'), "-B", made)
    check(names_of_tests(made) == ["program"], names_of_tests(made))
    run("cmake", "--build", made)
    run("ctest", "--test-dir", made)
    check(not list(made.rglob("datablock-admin")), "datablock-admin was built for a parent that did not ask for it")
    run("cmake", "--install", made, "--prefix", here / "prefix")
    check(files_below(here / "prefix") == ["bin/program"], files_below(here / "prefix"))

    # The parent sets all options. Its targets have the names of DataBlock's targets.
    asked = "".join(f"set(DATABLOCK_{what} ON)\n" for what in ("BUILD_PROGRAMS", "BUILD_TESTING", "INSTALL"))
    run(
        "cmake",
        "-S",
        parent(here / "asking", asked + f'add_subdirectory("{ROOT}" db EXCLUDE_FROM_ALL)'),
        "-B",
        here / "all",
    )
    names = names_of_tests(here / "all")
    check("program" in names and "c.capi" in names and "install" in names, names)
    listed = run("cmake", "--build", here / "all", "--target", "help")
    for target in (
        "datablock_demo",
        "datablock_bench",
        "datablock_tests",
        "datablock_example_hello",
        "datablock-admin",
    ):
        check(re.search(rf"\b{target}\b", listed), target, listed)


def fetch_content(build, here):
    (here / "source").mkdir()
    copy_of_the_tree(here / "source" / "datablock-1.0.0")
    archive = shutil.make_archive(str(here / "datablock"), "gztar", here / "source")
    how = (
        f'include(FetchContent)\nFetchContent_Declare(datablock URL "{archive}")\nFetchContent_MakeAvailable(datablock)'
    )
    run("cmake", "-S", parent(here / "parent", how), "-B", here / "made")
    check(names_of_tests(here / "made") == ["program"], names_of_tests(here / "made"))
    listed = run("cmake", "--build", here / "made", "--target", "help")
    check(re.search(r"\bdatablock_go\b", listed) and "datablock-admin" not in listed, listed)


# ---- Paths ---------------------------------------------------------------------------------------


def spaces(build, here):
    tree, made = copy_of_the_tree(here / "a b" / "data, block"), here / "a b" / "out put"
    beside = here / "a b" / "out"
    beside.mkdir()
    run("make", "configure", f"BUILD={made}", cwd=tree)
    run("cmake", "--build", made, "--target", "datablock_go", "datablock-admin", "example_hello")
    run(made / "examples" / "c" / "hello", more={"DATABLOCK_DIR": str(here)})
    run(
        "ctest",
        "--test-dir",
        made,
        "-R",
        "^go.tests/docs/names$",
        "-FA",
        "shared_memory",
        "--no-tests=error",
        "--output-on-failure",
    )

    # Under sudo nothing is built: the examples do not exist yet.
    stage = here / "stage d"
    prefix = stage / "pre fix"
    run("make", "install", f"BUILD={made}", f"DESTDIR={stage}", "PREFIX=/pre fix", cwd=tree, more={"SUDO_UID": "1000"})
    check(not (made / "examples" / "cpp" / "transactions").exists(), "make install has built the examples")
    installed = files_below(prefix)
    check("bin/datablock-admin" in installed and "include/datablock.h" in installed, installed)
    if shutil.which("pkg-config"):
        user = here / "user.c"
        user.write_text(PROGRAM)
        path = {"PKG_CONFIG_PATH": str(next(prefix.rglob("datablock.pc")).parent)}
        flags = run("pkg-config", "--cflags", "--libs", "datablock", more=path)
        run("sh", "-c", f'eval "${{CC:-cc}} -o user user.c {flags.strip()}"', cwd=here)
    run("make", "uninstall", f"BUILD={made}", f"DESTDIR={stage}", cwd=tree)
    check(files_below(prefix) == [], files_below(prefix))
    check(not list(prefix.rglob("datablock")), "an empty folder of DataBlock is left")
    check((prefix / "include").is_dir(), "a folder that other packages use was removed")
    check("nothing was installed" in run("make", "uninstall", f"BUILD={beside}", cwd=tree, fails=True))
    run("make", "clean", f"BUILD={made}", cwd=tree)
    check(not made.exists() and beside.exists(), sorted(os.listdir(here / "a b")))


def pkg_config(build, here):
    if not shutil.which("pkg-config"):
        return SKIPPED
    prefix, library, include = here / "prefix", here / "some library", here / "some include"
    for settings, includes, libraries in (
        ((), prefix / "include", prefix / "lib"),
        ((f"-DCMAKE_INSTALL_LIBDIR={library}",), prefix / "include", library),
        ((f"-DCMAKE_INSTALL_INCLUDEDIR={include}",), include, prefix / "lib"),
        ((f"-DCMAKE_INSTALL_LIBDIR={library}", f"-DCMAKE_INSTALL_INCLUDEDIR={include}"), include, library),
        (
            ("-DCMAKE_INSTALL_LIBDIR=lib/deep/er", "-DCMAKE_INSTALL_INCLUDEDIR=inc"),
            prefix / "inc",
            prefix / "lib/deep/er",
        ),
    ):
        made = here / "made"
        shutil.rmtree(made, ignore_errors=True)
        run(
            "cmake",
            "-S",
            ROOT,
            "-B",
            made,
            "-DBUILD_TESTING=OFF",
            "-DCMAKE_INSTALL_LIBDIR=lib",
            f"-DCMAKE_INSTALL_PREFIX={prefix}",
            *settings,
        )
        place = libraries / "pkgconfig"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(made / "install" / "datablock.pc", place)
        for flag, wanted in (("--cflags-only-I", f"-I{includes}"), ("--libs-only-L", f"-L{libraries}")):
            for how in ("--dont-define-prefix", "--define-prefix"):
                said = run("pkg-config", how, flag, "datablock", more={"PKG_CONFIG_PATH": str(place)})
                words = [os.path.normpath(word[2:]) for word in said.replace("\\ ", " ").strip().split(" -")]
                check(words == [wanted[2:]], settings, how, said, wanted)


FINDING = """
cmake_minimum_required(VERSION 3.20)
project(finding C CXX)
find_package(datablock %s REQUIRED)
add_executable(program program.c)
target_link_libraries(program PRIVATE datablock::datablock)
enable_testing()
add_test(NAME program COMMAND program)
"""


def find_package(build, here):
    """An installation that was moved, in a path with spaces, is found with each generator and a toolchain file."""
    run("cmake", "--install", build, "--prefix", here / "first")
    prefix = here / "mo ved" / "pre fix"
    prefix.parent.mkdir()
    (here / "first").rename(prefix)
    user = here / "us er"
    user.mkdir()
    (user / "program.c").write_text(PROGRAM)
    toolchain = here / "toolchain.cmake"
    compiler = shutil.which(os.environ.get("CC", "cc"))
    toolchain.write_text(
        f'set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_C_COMPILER "{compiler}")\nset(CMAKE_CXX_COMPILER c++)\n'
        f'set(CMAKE_FIND_ROOT_PATH "{prefix}")\nset(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)\n'
    )
    by_path = (f"-DCMAKE_PREFIX_PATH={prefix}",)
    ways = [("Unix Makefiles", by_path, ""), ("Unix Makefiles", (f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",), "")]
    if shutil.which("ninja"):
        ways += [("Ninja Multi-Config", by_path, "Debug"), ("Ninja Multi-Config", by_path, "Release")]
    (user / "CMakeLists.txt").write_text(FINDING % "1.0")
    for number, (generator, flags, configuration) in enumerate(ways):
        made = here / f"ma de {number}"
        run("cmake", "-G", generator, "-S", user, "-B", made, *flags)
        chosen = ("--config", configuration) if configuration else ()
        run("cmake", "--build", made, *chosen)
        run("ctest", "--test-dir", made, "--no-tests=error", *(("-C", configuration) if configuration else ()))
    for version in ("1.99", "2.0"):
        (user / "CMakeLists.txt").write_text(FINDING % version)
        said = run("cmake", "-S", user, "-B", here / version, *by_path, fails=True)
        check(f'requested version "{version}"' in " ".join(said.split()), said)


# ---- What make builds, and with which Go ---------------------------------------------------------


def plain_make(build, here):
    """`make` builds the library, the programs and the examples; `make test` builds the tests."""
    rules = build / "CMakeFiles" / "Makefile2"
    if not rules.exists():
        return SKIPPED  # another generator
    every = {
        re.sub(r"CMakeFiles/|\.dir/all$|/all$", "", name)
        for name in re.findall(r"^all: (\S+)$", rules.read_text(), re.MULTILINE)
    }
    check(every == {"datablock_go", "datablock-admin", "demo", "examples/c", "examples/cpp"}, every)
    for words, wanted in (("all", False), ("test", True), ("soak", True), ("install", False)):
        recipe = run("make", "-n", words.split()[0], f"BUILD={build}", cwd=ROOT)
        check(("--target all tests" in recipe) == wanted, words, recipe)


FAKE_GO = """#!/bin/sh
case "$PWD" in
{tree}*) {inside} ;;
*) echo "go version go{version} linux/amd64" ;;
esac
"""


def old_go(build, here):
    """setup.sh, make and CMake refuse an old Go: they name it, the needed version, and what to do."""
    needed = re.search(r"^go (\S+)$", (ROOT / "go.mod").read_text(), re.MULTILINE)[1]
    refusal = 'echo "go: go.mod requires go >= 1.26.0 (running go 1.22.1; GOTOOLCHAIN=local)" >&2; exit 1'
    fake = here / "bin" / "go"
    fake.parent.mkdir()
    for version, inside in (("1.19.8", 'echo "go version go1.19.8 linux/amd64"'), ("1.22.1", refusal)):
        fake.write_text(FAKE_GO.format(tree=ROOT, inside=inside, version=version))
        fake.chmod(0o755)
        path = {"PATH": f"{fake.parent}:{ENVIRONMENT['PATH']}"}
        for command in (
            ("scripts/setup.sh", "build"),
            ("make", f"BUILD={here}/made"),
            ("cmake", "-S", ROOT, "-B", here / "made"),
        ):
            said = " ".join(run(*command, cwd=ROOT, more=path, fails=True).split())
            check(
                f"Go {version} ({fake}) is too old: DataBlock needs Go {needed} or newer. "
                f"Install Go {needed} or newer from https://go.dev/dl/" in said,
                command,
                said,
            )
    # The next run finds the right Go, in the same build folder.
    run("cmake", "-S", ROOT, "-B", here / "made", "-DBUILD_TESTING=OFF")

    fake.unlink()
    without = {"PATH": str(fake.parent)}
    for tool in (
        "cmake",
        "cc",
        "c++",
        "make",
        "sh",
        "bash",
        "sed",
        "head",
        "sort",
        "dirname",
        "env",
        "cat",
        "mktemp",
        "rm",
        "mkdir",
        "id",
        "ld",
        "as",
    ):
        fake.with_name(tool).symlink_to(shutil.which(tool))
    for command in (
        ("scripts/setup.sh", "build"),
        ("make", f"BUILD={here}/none"),
        ("cmake", "-S", ROOT, "-B", here / "none"),
    ):
        said = " ".join(run(*command, cwd=ROOT, more=without, fails=True).split())
        check(
            "Go is missing" in said and f"Install Go {needed} or newer from https://go.dev/dl/" in said, command, said
        )


def no_home(build, here):
    """Without HOME, as in a service unit, Go's caches are in the build folder."""
    made = here / "made"
    run("make", "configure", f"BUILD={made}", cwd=ROOT, only={"PATH": ENVIRONMENT["PATH"]})
    rules = "".join(file.read_text() for file in (made / "CMakeFiles" / "datablock_go.dir").glob("build.make"))
    check(f"GOCACHE={made}/go/cache" in rules and f"GOPATH={made}/go/path" in rules, rules[-2000:])


# ---- Bindings and packages -----------------------------------------------------------------------


def declarations(build, here):
    """Programs that parse C without compiling it can read datablock.h."""
    import cffi

    header = ROOT / "include" / "datablock.h"
    text = run(os.environ.get("CC", "cc"), "-E", "-P", "-DDATABLOCK_DECLARATIONS_ONLY", header)
    check("__attribute__" not in text and "inline" not in text, text[:2000])
    ffi = cffi.FFI()
    ffi.cdef(text)
    library = ffi.dlopen(str(build / "libdatablock.so.1"))
    config, producer, before = ffi.new("datablock_config *"), ffi.new("datablock_producer *"), ffi.new("uint64_t *")
    size = ffi.sizeof("datablock_config")
    check(library.datablock_config_init_sized(config, size, library.DATABLOCK_RING) == library.DATABLOCK_OK)
    config.slot_size, directory = 64, ffi.new("char[]", str(here).encode())
    config.directory = directory
    check(
        library.datablock_producer_open(b"bound", config, producer) == library.DATABLOCK_OK,
        ffi.string(library.datablock_error_detail()),
    )
    participant = library.datablock_of_producer(producer[0])
    check(
        library.datablock_counter_add(participant, 3, 5, before) == 0
        and library.datablock_counter_add(participant, 3, 1, before) == 0
    )
    check(before[0] == 5, before[0])
    check(library.datablock_write(producer[0], 0, b"12345678", 65, ffi.NULL) == library.DATABLOCK_E_INVALID)
    detail = ffi.string(library.datablock_error_detail())
    needed = library.datablock_error_detail_copy(ffi.NULL, 0)
    buffer = ffi.new("char[]", needed)
    check(
        needed == len(detail) + 1
        and library.datablock_error_detail_copy(buffer, needed) == needed
        and ffi.string(buffer) == detail,
        detail,
    )
    check(library.datablock_producer_close(producer[0]) == 0)

    clang = shutil.which("clang")
    if clang:  # as libclang reads it for bindgen
        run(
            clang,
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-fsyntax-only",
            "-x",
            "c",
            "-DDATABLOCK_DECLARATIONS_ONLY",
            "-include",
            "stdbool.h",
            "-include",
            "stddef.h",
            "-include",
            "stdint.h",
            header,
        )


def wheel_of(source, into):
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        source,
        "--no-deps",
        "--no-build-isolation",
        "--disable-pip-version-check",
        "--wheel-dir",
        into,
    )
    return next(into.glob("*.whl"))


def wheel(build, here):
    """A wheel has the licence and the modules only. With a library inside it is for one platform."""
    before = files_below(ROOT / "python")
    plain = wheel_of(ROOT / "python", here / "plain")
    after = [name for name in files_below(ROOT / "python") if "__pycache__" not in name and name not in before]
    check(not after, "left in the source tree:", *after)
    check(plain.name.endswith("-py3-none-any.whl"), plain)
    names = zipfile.ZipFile(plain).namelist()
    licence = [name for name in names if name.endswith("LICENSE")]
    check(licence and zipfile.ZipFile(plain).read(licence[0]) == (ROOT / "LICENSE").read_bytes(), names)
    modules = {name for name in names if name.startswith("datablock_ctypes/")}
    check(
        modules
        == {
            f"datablock_ctypes/{path.name}"
            for path in (ROOT / "python" / "datablock_ctypes").iterdir()
            if path.is_file()
        },
        modules,
    )

    packed = copy_of_the_tree(here / "packed") / "python"
    shutil.copy(build / "libdatablock.so.1", packed / "datablock_ctypes")
    bound = wheel_of(packed, here / "bound")
    machine = os.uname().machine
    check(re.search(rf"-py3-none-\w*linux\w*_{machine}\.whl$", bound.name), bound)
    check("datablock_ctypes/libdatablock.so.1" in zipfile.ZipFile(bound).namelist(), bound)


CASES = {
    case.__name__: case
    for case in (
        subproject,
        fetch_content,
        spaces,
        pkg_config,
        find_package,
        plain_make,
        old_go,
        no_home,
        declarations,
        wheel,
    )
}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="datablock-build-") as folder:
        sys.exit(CASES[sys.argv[2]](Path(sys.argv[1]).resolve(), Path(folder).resolve()) or 0)
