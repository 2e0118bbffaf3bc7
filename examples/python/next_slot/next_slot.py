"""A loop with other work: `with_next_slot` tells no message from a message without a value."""

from __future__ import annotations

import multiprocessing
from typing import Any

from datablock_ctypes import Closed, Consumer, Producer, ReadSlot, with_next_slot

BLOCK = "example-next-slot"


def produce(opened: Any, go: Any) -> None:
    with Producer(BLOCK, slot_size=64, slot_count=8, unlink_on_close=True) as producer:
        opened.set()
        go.wait()
        for text in ("20.5", "", "21.5"):
            producer.send(text.encode())


def temperature(slot: ReadSlot) -> float | None:
    """The value of the message, None if the sensor had no value."""
    text = bytes(slot.data)
    return float(text) if text else None


def main() -> None:
    processes = multiprocessing.get_context("spawn")
    opened, go = processes.Event(), processes.Event()
    process = processes.Process(target=produce, args=(opened, go))
    process.start()
    opened.wait()
    idle = 0
    with Consumer(BLOCK) as consumer:
        try:
            while True:
                result = with_next_slot(consumer, 0.05, temperature)
                if not result:  # no message in time: there is no value, and no default value
                    idle += 1
                    if idle == 2:
                        print("no message yet: time for something else")
                        go.set()
                elif result.value is None:
                    print("a message without a temperature")
                else:
                    print(f"{result.value} degrees")
        except Closed:
            print("the stream has ended")
    process.join()


if __name__ == "__main__":
    main()
