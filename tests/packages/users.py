"""The program of the folders exchange and foreign in each language, built from packages alone.

Each function of LANGUAGES makes one in a folder of its own and returns its command, or raises
Missing. Of the sources they take the packages, and the text of the program.
"""

import pathlib
import re
import shlex
import shutil

import go_module
import package
from package import ROOT, VERSION, check, run

EXCHANGE = ROOT / "tests/packages/exchange"
FOREIGN = ROOT / "tests/packages/foreign"


class Missing(Exception):
    """A tool or a package is not there."""


def need(*tools):
    for tool in tools:
        if not shutil.which(tool, path=package.ENVIRONMENT["PATH"]):
            raise Missing(f"there is no {tool}")


def need_version(tool, file, before):
    """The tool has at least the version that a file of the package names behind these words."""
    wanted = re.search(rf"{before}([0-9.]+)", (ROOT / file).read_text()).group(1)
    found = re.search(r"[0-9.]+", run(tool, "--version")).group()
    if [int(part) for part in found.split(".")] < [int(part) for part in wanted.split(".")]:
        raise Missing(f"{tool} {found} is older than {wanted}")


class Installed:
    """The Debian packages, unpacked into a root of their own, with the root's pkg-config files."""

    def __init__(self, build, here):
        self.root = here / "root"
        self.files = {}
        for name in ("libdatablock1", "libdatablock-dev"):
            found = list((build / "dist").glob(f"{name}_{VERSION}_*.deb"))
            if len(found) == 1:
                self.files[name] = found[0]
                need("dpkg-deb")
                run("dpkg-deb", "-x", found[0], self.root)

    def variables(self):
        """What makes pkg-config find the library in the root, and nothing in the system."""
        if len(self.files) != 2:
            raise Missing("there are no Debian packages in dist; make deb builds them after `make setup PACKAGES=1`")
        need("pkg-config")
        (folder,) = self.root.glob("usr/lib/*/pkgconfig")
        return {"PKG_CONFIG_LIBDIR": folder}  # the paths in the file are relative to its folder

    def library(self):
        return self.folder() / "libdatablock.so.1"

    def folder(self):
        said = run("pkg-config", "--variable=libdir", "datablock", **self.variables())
        return pathlib.Path(said.strip()).resolve()

    def compiled(self, here, compiler, source, *options):
        need(compiler)
        shutil.copy(EXCHANGE / source, here)
        flags = shlex.split(run("pkg-config", "--cflags", "--libs", "datablock", **self.variables()))
        check(any(f"-L{self.root}/" in flag for flag in flags), flags)
        run(compiler, "-Wall", "-Wextra", "-Werror", "-O2", *options, "-o", here / "exchange", here / source, *flags,
            f"-Wl,-rpath,{self.folder()}")
        return [here / "exchange"], {}


def c(build, here, installed):
    return installed.compiled(here, "cc", "exchange.c")


def cpp(build, here, installed):
    return installed.compiled(here, "c++", "exchange.cpp", "-std=c++17")


def python(build, here, installed):
    wheel = build / f"dist/{package.PACKAGE}-{VERSION}-py3-none-{package.LINUX['x86_64']}.whl"
    if not wheel.exists():
        raise Missing(f"there is no {wheel.name}; make wheel builds it after `make setup PACKAGES=1`")
    shutil.copy(EXCHANGE / "exchange.py", here)
    return [package.environment_with(wheel, here / "venv"), "-B", here / "exchange.py"], {}


def go(build, here, installed):
    need("go")
    return [go_module.from_proxy(here)], {}


def rust(build, here, installed):
    need("cargo")
    need_version("cargo", "bindings/rust/Cargo.toml", 'rust-version = "')
    run("cargo", "package", "--offline", "--locked", "--quiet", "--package", "datablock", "--allow-dirty",
        "--no-verify", "--manifest-path", ROOT / "bindings/rust/Cargo.toml", CARGO_TARGET_DIR=here / "packed")
    run("tar", "-x", "-C", here, "-f", here / f"packed/package/datablock-{VERSION}.crate")
    user = here / "user"
    shutil.copytree(FOREIGN / "rust", user)
    run("cargo", "build", "--offline", "--quiet", "--release", "--manifest-path", user / "Cargo.toml", "--config",
        f'patch.crates-io.datablock.path="{here}/datablock-{VERSION}"', CARGO_TARGET_DIR=here / "target",
        **installed.variables())
    return [here / "target/release/exchange"], {}


def node(build, here, installed):
    need("node", "npm")
    need_version("node", "bindings/node/package.json", '"node": ">=')
    modules = ROOT / ".tools/node/node_modules"
    if not (modules / "koffi").is_dir():
        raise Missing("there is no koffi in .tools/node")
    user = here / "user"
    shutil.copytree(FOREIGN / "node", user)
    npm = {"npm_config_cache": here / "cache", "npm_config_update_notifier": "false", "HOME": here}
    native = [folder for folder in (modules / "@koromix").glob("koffi-*") if folder.is_dir()]
    packed = [here / run("npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", here, source,
                         **npm).split()[-1] for source in (ROOT / "bindings/node", modules / "koffi", *native)]
    run("npm", "install", "--offline", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", user,
        *packed, **npm)
    return ["node", user / "exchange.js"], {"DATABLOCK_LIBRARY": str(installed.library())}


LANGUAGES = {maker.__name__: maker for maker in (c, cpp, python, go, rust, node)}


def made(build, here):
    """The programs by language, and what is missing for the others."""
    installed, programs, missing = Installed(build, here), {}, {}
    for language, maker in LANGUAGES.items():
        folder = here / language
        folder.mkdir()
        try:
            programs[language] = maker(build, folder, installed)
        except Missing as reason:
            missing[language] = str(reason)
    return programs, missing
