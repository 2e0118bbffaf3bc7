"""Finding and loading the C library, once, at the first use."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from pathlib import Path
from typing import Any, Callable, NoReturn, Union

from ._abi import FUNCTIONS, HEADER_VERSION, LIBRARY_FILE
from ._errors import BY_STATUS, DataBlockError, Forked, Invalid

StrPath = Union[str, "os.PathLike[str]"]


class LibraryNotFound(OSError):
    """The C library could not be loaded. The message lists every place, and why it was refused."""


class Library:
    """The loaded library. Its functions are attributes, with their C types.

    ``quick`` has the functions of single messages. They never wait, and keep the interpreter lock:
    its release would cost more than the call. They take prepared ctypes objects without conversion.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.process = os.getpid()
        functions = ctypes.CDLL(path)
        _check_version(functions)
        for function in FUNCTIONS:
            pointer = functions[function.name]
            pointer.restype = function.restype
            pointer.argtypes = function.argtypes
            setattr(self, function.name, pointer)
        self.quick = ctypes.PyDLL(path, handle=functions._handle)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AttributeError(f"{self.path} has no function {name}")

    def detail(self) -> str:
        """What went wrong in the last call of this thread."""
        text: bytes = self.datablock_error_detail()
        return text.decode("utf-8", "replace")

    def error(self, status: int) -> DataBlockError:
        """Return the exception for a status that the last call of this thread returned."""
        detail = self.detail()
        known = BY_STATUS.get(status)
        if known is None:
            return DataBlockError(
                f"status {status} is unknown to this version of datablock_ctypes: {detail}"
            )
        return known(detail or self.datablock_strerror(status).decode())

    def fail(self, status: int) -> NoReturn:
        raise self.error(status)


def _check_version(functions: ctypes.CDLL) -> None:
    try:
        function = functions.datablock_version
    except AttributeError:
        raise OSError("it has no function datablock_version: not a DataBlock library") from None
    function.restype = ctypes.c_uint32
    number = function()
    found = (number // 1_000_000, number // 1000 % 1000, number % 1000)
    if found[0] != HEADER_VERSION[0] or found < HEADER_VERSION:
        raise OSError(
            f"it is version {_text(found)}, "
            f"and this package needs {HEADER_VERSION[0]}.x from {_text(HEADER_VERSION)} on"
        )


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


_library: Library | None = None
_lock = (
    threading.RLock()
)  # a signal handler that uses the library may run while this thread loads it


def load(path: StrPath | None = None) -> str:
    """Load the C library now, and return its path.

    A program needs this call only to choose a library by ``path``, or to learn early that there is
    none. The first use of anything else loads the library. Without a ``path`` these places are
    tried in order:

    1. the environment variable DATABLOCK_LIBRARY
    2. the folder of this package
    3. build/ of the source tree, if the package is in DataBlock's own; not on Windows
    4. on Windows, each folder that PATH names
    5. the system's loader. On Windows it looks in the folders of `os.add_dll_directory`

    If ``path`` or the variable is given, no other place is tried. A second copy of the library in
    the process, such as the system's copy that a C extension uses, is independent of this one. Both
    copies may use the same blocks.

    Raises `LibraryNotFound`, and `Invalid` when another library was loaded already. Any thread may
    call this.
    """
    global _library
    with _lock:
        if _library is None:
            found = _find(path)
            if _library is None:  # otherwise a signal handler has loaded it meanwhile
                _library = found
        if path is not None and not _same_file(os.fspath(path), _library.path):
            raise Invalid(
                f"{_library.path} is loaded already: choose another library before the first use"
            )
        return _library.path


def library() -> Library:
    """Return the library. Raises `Forked` in a forked child of the process that loaded it."""
    found = _library
    if found is None:
        load()
        found = _library
        assert found is not None
    if os.getpid() != found.process:
        raise forked()
    return found


def forked() -> Forked:
    return Forked(
        "this process was forked from one that uses DataBlock, "
        "and the library's threads did not come along: use the start method "
        '"spawn" or "forkserver" of multiprocessing, or start a fresh process with subprocess'
    )


def _same_file(first: str, second: str) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return first == second


def _candidates(path: StrPath | None) -> list[tuple[str, str]]:
    """Return the places to try, and the reason for each."""
    if path is not None:
        return [(os.fspath(path), "given to load()")]
    variable = os.environ.get("DATABLOCK_LIBRARY")
    if variable:
        return [(variable, "DATABLOCK_LIBRARY")]
    package = Path(__file__).resolve().parent
    found = [(str(package / LIBRARY_FILE), "beside the package")]
    if sys.platform == "win32":
        found += [(file, "PATH") for file in _on_path()]
    else:
        tree = _source_tree(package)
        if tree is not None:
            file = tree / "build" / LIBRARY_FILE
            found.append((str(file), "the build directory of the source tree"))
    found.append((LIBRARY_FILE, "the system's loader"))
    return found


def _on_path() -> list[str]:
    """Return the libraries in the folders of PATH, which the loader of Windows leaves out.

    A folder without a drive counts for nothing: it would depend on the working directory. PATH may
    have quotation marks around a folder.
    """
    folders = [entry.strip('"') for entry in os.environ.get("PATH", "").split(os.pathsep)]
    files = [
        os.path.join(folder, LIBRARY_FILE)
        for folder in folders
        if os.path.isabs(folder) and os.path.splitdrive(folder)[0]
    ]
    return [file for file in files if os.path.exists(file)]


def _source_tree(package: Path) -> Path | None:
    """Return DataBlock's source tree that contains the package, or None.

    An installed package may be two folders below a folder in which any user may make files, such as
    /tmp. Therefore the files that identify the source tree, and the library, must belong to the
    owner of the package or to root.
    """
    tree = package.parent.parent
    if package.parent.name != "python":
        return None
    try:
        owners = {0, package.stat().st_uid}
        for mark in ("go.mod", "include/datablock.h", "python/pyproject.toml", "build"):
            if (tree / mark).stat().st_uid not in owners:
                return None
        library = tree / "build" / LIBRARY_FILE
        if library.exists() and library.stat().st_uid not in owners:
            return None
    except OSError:
        return None
    return tree


def _find(path: StrPath | None) -> Library:
    tried = []
    for candidate, reason in _candidates(path):
        try:
            if os.sep in candidate and not os.path.exists(candidate):
                raise OSError("there is no such file")
            return Library(candidate)
        except (OSError, AttributeError) as error:
            tried.append(f"  {candidate} ({reason}): {error}")
    raise LibraryNotFound(
        "the DataBlock library was not found. Looked at:\n" + "\n".join(tried) + "\n" + _advice()
    )


def _advice() -> str:
    if sys.platform == "linux":
        try:
            os.confstr("CS_GNU_LIBC_VERSION")
        except (OSError, ValueError):
            return (
                "The library needs the C library glibc, and this Python runs with another one, "
                "such as musl. Use a Python for glibc"
            )
    return (
        "Install a wheel that contains the library, build the library with `make`, install it, or "
        "set the environment variable DATABLOCK_LIBRARY to its path"
    )


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
