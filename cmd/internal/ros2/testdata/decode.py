"""Decodes CDR with two public packages, and compares every field with what is expected.

Each line of standard input has the name and the text of a ros2msg definition, messages in CDR, and
what they have to be: a struct is an object with the names of ROS 2, an array a list.
"""

import json
import keyword
import math
import sys

import numpy as np
from mcap_ros2._dynamic import generate_dynamic
from rosbags.typesys import Stores, get_types_from_msg, get_typestore


def plain(value):
    """A decoded value as JSON has it."""
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, (list, tuple)) or type(value).__name__ == "array":
        return [plain(item) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, value)
    return value


def member(of, name):
    """A field. rosbags adds an underscore to the words of Python."""
    return getattr(of, name + "_" if keyword.iskeyword(name) and hasattr(of, name + "_") else name)


def same(found, expected):
    if isinstance(expected, dict):
        return all(same(member(found, name), value) for name, value in expected.items())
    if isinstance(expected, list):
        items = list(found)
        return len(items) == len(expected) and all(map(same, items, expected))
    found = plain(found)
    if isinstance(found, float) and isinstance(expected, (int, float)):
        # JSON has the shortest number that reads as the same value of 32 bits.
        return found == expected or np.float32(found) == np.float32(expected)
    return found == expected


def names(found):
    return [n for n in getattr(found, "__slots__", None) or vars(found) if not n.startswith("__")]


def check(case):
    ours = generate_dynamic(case["name"], case["text"])[case["name"]]
    types = get_typestore(Stores.EMPTY)
    types.register(get_types_from_msg(case["text"], case["name"]))
    for message in case["messages"]:
        cdr = bytes.fromhex(message["cdr"])
        for decoder, value in (
            ("mcap-ros2-support", ours(cdr)),
            ("rosbags", types.deserialize_cdr(cdr, case["name"])),
        ):
            if not same(value, message["value"]):
                sys.exit(f"{decoder}: {case['text']}\n{value}\nexpected {message['value']}")
            extra = {name.rstrip("_") for name in names(value)} - set(message["value"])
            if any(not name.startswith("padding") for name in extra):
                sys.exit(f"{decoder}: {case['text']}\nhas also {extra}")


count = 0
for line in sys.stdin:
    check(json.loads(line))
    count += 1
print(count, "decoded")
