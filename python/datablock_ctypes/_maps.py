"""Find the memory mapping of this process that contains an address."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import NamedTuple

# An ioctl of /proc/self/maps, from Linux 6.11 on, that finds one mapping. Reading the text instead
# takes some milliseconds in a process that has thousands of blocks open.
QUERY = 0xC068_6611
FIELDS = struct.Struct("=9Q4I2Q")


class Mapping(NamedTuple):
    """A mapping: its first address, its size in bytes, and its place in which file."""

    first: int
    size: int
    offset: int
    device: int
    inode: int


def mapping_at(address: int) -> Mapping:
    """Return the mapping of this process that contains an address."""
    with open("/proc/self/maps", "rb") as maps:
        try:
            answer = fcntl.ioctl(
                maps.fileno(), QUERY, FIELDS.pack(FIELDS.size, 0, address, *(0,) * 12)
            )
        except OSError:  # an older kernel, or a filter forbids it
            return _of_text(maps.read().decode("ascii", "replace"), address)
    fields = FIELDS.unpack(answer)
    first, last, offset, inode, major, minor = (
        fields[3],
        fields[4],
        fields[7],
        fields[8],
        fields[9],
        fields[10],
    )
    return Mapping(first, last - first, offset, os.makedev(major, minor), inode)


def files_at(mapping: Mapping) -> list[str]:
    """Return paths that may lead to the file of a mapping.

    These are the name under which the file was mapped, if it still exists, and the kernel's own
    link. Not every process may open the link.
    """
    paths = [f"/proc/self/map_files/{mapping.first:x}-{mapping.first + mapping.size:x}"]
    with open("/proc/self/maps", "rb") as maps:
        for line in maps:
            fields = line.rstrip(b"\n").split(None, 5)
            if len(fields) == 6 and int(fields[0].split(b"-")[0], 16) == mapping.first:
                paths.insert(0, os.fsdecode(fields[5].replace(b"\\012", b"\n")))
    return paths


def _of_text(text: str, address: int) -> Mapping:
    for line in text.splitlines():
        addresses, _, offset, device, inode = line.split(" ", 5)[:5]
        first, last = (int(number, 16) for number in addresses.split("-"))
        if first <= address < last:
            major, minor = (int(number, 16) for number in device.split(":"))
            return Mapping(
                first, last - first, int(offset, 16), os.makedev(major, minor), int(inode)
            )
    raise RuntimeError(f"no mapping holds address {address:#x}")
