"""The checksums in a slot are those that Python computes from the bytes of the message."""

import hashlib
import random

import pytest
from support import layout, peek, poke

from datablock_ctypes import (
    Checksum,
    ChecksumAlgorithm,
    ChecksumPolicy,
    Consumer,
    Geometry,
    Invalid,
    Producer,
)

SIZE = 5000
ALGORITHMS = [ChecksumAlgorithm.DEFAULT, ChecksumAlgorithm.CRC32C, ChecksumAlgorithm.BLAKE2B]


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def expected(algorithm, number, payload):
    if algorithm == ChecksumAlgorithm.BLAKE2B:
        return hashlib.blake2b(payload, digest_size=32).digest()
    words = (crc32c(payload), number + 1, len(payload), 0)
    return b"".join(word.to_bytes(8, "little") for word in words)


def payload_at(path, index):
    return peek(path, layout("HDR_PAYLOAD_OFFSET")) + index * peek(path, layout("HDR_STRIDE"))


def test_the_check_value():
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("policy", [ChecksumPolicy.MANUAL, ChecksumPolicy.ENFORCED])
def test_the_words_of_a_slot(directory, algorithm, policy):
    numbers = random.Random(1)
    with (
        Producer("sums", slot_size=SIZE, checksum=policy, algorithm=algorithm) as producer,
        Consumer("sums") as consumer,
    ):
        for number in range(40):
            payload = numbers.randbytes(number if number < 20 else numbers.randrange(SIZE + 1))
            with producer.write() as slot:
                slot.data[: len(payload)] = payload
                if policy == ChecksumPolicy.MANUAL:
                    slot.seal(len(payload))
                else:
                    slot.commit(len(payload))
            with consumer.read() as message:
                assert bytes(message.data) == payload
                message.verify()
                header = payload_at(directory / "sums", message.index) - layout("SLOT_HEADER")
                at = header + layout("SLOT_CHECKSUM")
                stored = peek(directory / "sums", at, 32).to_bytes(32, "little")
                assert stored == expected(algorithm, number, payload)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_changed_byte_is_found(directory, algorithm):
    with (
        Producer(
            "sums", slot_size=64, checksum=ChecksumPolicy.ENFORCED, algorithm=algorithm
        ) as producer,
        Consumer("sums") as consumer,
    ):
        producer.send(b"first")
        with consumer.read() as message:
            index = message.index
        producer.send(b"second")
        for slot in range(producer_slots(directory)):
            if slot != index and peek(directory / "sums", payload_at(directory / "sums", slot), 1):
                poke(directory / "sums", payload_at(directory / "sums", slot), 0, 1)
        with pytest.raises(Checksum), consumer.read():
            pass
        producer.send(b"third")
        with consumer.read() as message:
            assert bytes(message.data) == b"third"


def producer_slots(directory):
    slots = (
        peek(directory / "sums", layout(f"HDR_{name}"), 4) for name in ("SLOT_COUNT", "SPARE_SLOTS")
    )
    return sum(slots)


def test_a_takeover_keeps_the_algorithm(directory):
    blake = ChecksumAlgorithm.BLAKE2B
    Producer("sums", slot_size=64, checksum=ChecksumPolicy.ENFORCED, algorithm=blake).close()
    assert peek(directory / "sums", layout("HDR_MAJOR"), 4) == 1
    with Producer("sums", slot_size=64, checksum=ChecksumPolicy.ENFORCED) as producer:
        producer.send(b"taken over")
    with pytest.raises(Geometry, match="algorithm BLAKE2B, asked for CRC32C"):
        Producer(
            "sums",
            slot_size=64,
            checksum=ChecksumPolicy.ENFORCED,
            algorithm=ChecksumAlgorithm.CRC32C,
        )
    with pytest.raises(Invalid, match="algorithm BLAKE2B without checksums"):
        Producer("other", slot_size=64, algorithm=blake)
