"""Messages as transactions: a message is published completely, or not at all."""

import struct

from datablock_ctypes import (
    Consumer,
    Delivery,
    Overrun,
    Producer,
    ReadSlot,
    ReadTransactionGuard,
    Timeout,
    WriteSlot,
    WriteTransactionGuard,
    with_next_slot,
    with_read_transaction,
    with_write_transaction,
)

SAMPLE = struct.Struct("<d")


def measure(values: list[str], slot: WriteSlot) -> int:
    """Fill the slot with numbers, and return the length of the message.

    The function fails in the middle if a value is not a number.
    """
    for count, value in enumerate(values):
        SAMPLE.pack_into(slot.data, count * SAMPLE.size, float(value))
    slot.commit(len(values) * SAMPLE.size)
    return slot.id


def numbers(slot: ReadSlot) -> list[float]:
    return [number for (number,) in SAMPLE.iter_unpack(slot.data)]


def main() -> None:
    with (
        Producer("example-samples", slot_size=1024, slot_count=4, unlink_on_close=True) as producer,
        Producer("example-archive", slot_size=1024, unlink_on_close=True) as archive,
        Consumer("example-samples", delivery=Delivery.ORDERED) as consumer,
        Consumer("example-archive") as reader,
    ):
        # The message is published when the function has returned. The function's result is
        # returned.
        number = with_write_transaction(producer, 1.0, lambda slot: measure(["1.5", "2.5"], slot))
        print(f"wrote message {number}")

        # After an exception nothing is published, and the id is used again.
        try:
            with_write_transaction(producer, 1.0, lambda slot: measure(["3.5", "broken"], slot))
        except ValueError as error:
            print(f"published nothing: {error}")

        # The same with a `with` block.
        with producer.write(timeout=1.0) as slot:
            print(f"wrote message {measure(['4.5'], slot)}")

        # A guard, where neither a function nor a `with` block fits. The guard is true while it
        # holds the slot.
        guard = WriteTransactionGuard(producer, timeout=1.0)
        measure(["5.5", "6.5", "7.5"], guard.slot)
        guard.commit()
        print(f"the guard holds {'a slot' if guard else 'nothing any more'}")

        # A message by its id. The cursor does not move.
        print(f"message 2: {with_read_transaction(consumer, 2, 0, numbers)}")
        with ReadTransactionGuard(consumer, 1, timeout=0) as held:
            print(f"message 1: {numbers(held.slot)}")

        # Transactions on different blocks can be nested: a message is copied from slot to slot.
        def pass_on(read: ReadSlot) -> int:
            def copy(slot: WriteSlot) -> int:
                slot.data[: read.length] = read.data
                slot.commit(read.length)
                return slot.id

            return with_write_transaction(archive, 1.0, copy)

        for message in consumer:
            pass_on(message)
            if message.id == 2:
                break
        for _ in range(3):
            print(f"archived: {with_next_slot(reader, 1.0, numbers).value}")

        # A missing message is an error of its own type. Another message never takes its place.
        try:
            with_read_transaction(consumer, 3, 0.01, numbers)
        except Timeout:
            print("message 3 is not written yet")
        for _ in range(4):
            with_write_transaction(producer, 1.0, lambda slot: measure(["8.5"], slot))
        try:
            with_read_transaction(consumer, 0, 0, numbers)
        except Overrun:
            print("message 0 was overwritten")


if __name__ == "__main__":
    main()
