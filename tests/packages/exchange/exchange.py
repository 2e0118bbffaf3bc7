"""exchange.c in Python: exchange.py produce|consume NAME COUNT [STOP [CONSUMERS]]."""

import ctypes
import sys

from datablock_ctypes import Closed, Consumer, Delivery, NoProducer, Producer, Schema, Start, Timeout

OWN, WRITERS, WORDS = 3, 6, 16
PART, PARTS = 0.1, 600


class Message(ctypes.Structure):
    _fields_ = (
        ("number", ctypes.c_uint64),
        ("half", ctypes.c_double),
        ("writer", ctypes.c_uint32),
        ("inverse", ctypes.c_uint32),
        ("words", ctypes.c_uint64 * WORDS),
    )


SCHEMA = Schema.from_ctypes(Message, version=(1, 0, 0))


def message_of(number, writer):
    words = range(number * 1024 + writer, number * 1024 + writer + WORDS * 8, 8)
    return bytes(Message(number, number / 2, writer, ~writer, (ctypes.c_uint64 * WORDS)(*words)))


def stopped(number):
    print("stopped at", number, flush=True)
    sys.stdin.read()
    sys.exit(1)


def write(producer, number, stop):
    for part in range(PARTS):
        try:
            with producer.write(PART) as slot:
                message = message_of(number, OWN)
                if number == stop:
                    half = len(message) // 2
                    slot.data[:half] = message[:half]
                    stopped(number)
                slot.data[:] = message
            return
        except Timeout:
            if part == 0:
                print("waiting at", number, flush=True)
    sys.exit("exchange.py: no room for a minute")


def produce(name, count, stop, consumers):
    with Producer(name, schema=SCHEMA, slot_count=64, min_consumers=consumers, unlink_on_close=True) as producer:
        print("open at", producer.next_id, flush=True)
        for number in range(producer.next_id, count):
            write(producer, number, stop)


def checked(slot, number):
    """The writer of a message, which is complete."""
    found = bytes(slot.data)
    writer = Message.from_buffer_copy(found).writer if len(found) == ctypes.sizeof(Message) else 0
    if (slot.id, slot.missed) != (number, 0) or writer not in range(1, WRITERS + 1) or (
            found != message_of(number, writer)):
        sys.exit(f"exchange.py: message {number} has other contents")
    return writer


def consume(name, count, stop):
    read, part, written = 0, 0, [0] * (WRITERS + 1)
    with Consumer(name, delivery=Delivery.LOSSLESS, start=Start.OLDEST, wait=30, schema=SCHEMA,
                  exact=True) as consumer:
        print("open at", read, flush=True)
        while part < PARTS:
            try:
                with consumer.read(PART) as slot:
                    written[checked(slot, read)] += 1
                    if read == stop:
                        stopped(read)
                read, part = read + 1, 0
                if read % 1000 == 0:
                    print("at", read, flush=True)
            except NoProducer:
                part += 1
                print("gone at", read, flush=True)
            except Timeout:
                part += 1
            except Closed:
                break
    print("from", *written[1:])
    print(f"read {read} of {count}")
    if count not in (0, read):
        sys.exit(1)


def main(role, name, count, stop=None, consumers=1):
    count = int(count)
    stop = count if stop is None else int(stop)
    if role == "produce":
        produce(name, count, stop, int(consumers))
    else:
        consume(name, count, stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
