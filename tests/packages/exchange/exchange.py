"""exchange.c in Python: exchange.py produce|consume NAME COUNT."""

import struct
import sys

from datablock_ctypes import Consumer, Delivery, Producer, Start

MESSAGE = struct.Struct("Qd")


def produce(name, count):
    with Producer(name, slot_size=MESSAGE.size, slot_count=64, min_consumers=1, unlink_on_close=True) as producer:
        for i in range(count):
            producer.send(MESSAGE.pack(i, i / 2), 30)


def consume(name, count):
    read = 0
    with Consumer(name, delivery=Delivery.LOSSLESS, start=Start.OLDEST, wait=30) as consumer:
        for slot in consumer:
            if MESSAGE.unpack(slot.data) != (read, read / 2):
                sys.exit(f"exchange.py: message {read} has other contents")
            read += 1
    print(f"read {read} of {count}")
    if read != count:
        sys.exit(1)


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
