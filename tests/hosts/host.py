"""host.py EXCEPT: a host in Python, for run.py, like host.c.

Some handlers are in Python, installed by signal.signal. The others are in C, installed by
sigaction. faulthandler is on, and an interval timer runs at 1 kHz.
"""

import ctypes
import faulthandler
import os
import pathlib
import signal
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

from datablock_ctypes import (  # noqa: E402
    ChecksumPolicy,
    Closed,
    Consumer,
    Delivery,
    NotFound,
    Observer,
    Overrun,
    Policy,
    Producer,
    Timeout,
    diagnose_all_slots,
    get_metrics,
    list_participants,
    validate_integrity,
    wait_any,
    with_flexible_zone,
)

SLOT = 512
OF_PYTHON = {signal.SIGALRM, signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, 50}
NO_NESTING = 4  # HANDLERS_NO_NESTING
handlers = ctypes.CDLL(str(pathlib.Path(os.environ["DATABLOCK_BUILD"]) / "tests/hosts/libhandlers.so"))
handlers.handlers_count.restype = ctypes.c_ulong

stop = threading.Event()
end_of_stream = threading.Event()
said = threading.Semaphore(0)
entered = 0
sharing = threading.Lock()  # protects `entered`
counts = {"written": 0, "slow": 0, "any": 0}
seen_by_python: dict[int, int] = {}
failure: list[BaseException] = []


def payload(number: int) -> bytes:
    return bytes((number * 31 + i) & 0xFF for i in range(1 + number * 37 % SLOT))


def check(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def say_thread() -> None:
    os.write(1, f"thread {handlers.handlers_thread()}\n".encode())
    said.release()


def on_signal(number: int, _frame: object) -> None:
    seen_by_python[number] = seen_by_python.get(number, 0) + 1


def share(participant: Producer | Consumer) -> None:
    global entered
    if stop.is_set():
        return
    try:
        with participant.lock(1, 0.02):
            time.sleep(0.0001)
    except Timeout:
        pass

    def enter(zone: object) -> None:
        data = zone.data  # type: ignore[attr-defined]
        data[0:8] = (int.from_bytes(data[0:8], "little") + 1).to_bytes(8, "little")

    try:
        with_flexible_zone(participant, 0.02, enter)
    except Timeout:
        return
    with sharing:
        entered += 1


def make(name: str) -> Producer:
    checksum = ChecksumPolicy.ENFORCED
    return Producer(name, policy=Policy.RING, slot_count=4, slot_size=SLOT, checksum=checksum, unlink_on_close=True)


def produce(producer: Producer) -> None:
    turn = 0
    while not end_of_stream.is_set():
        turn += 1
        number = counts["written"]
        try:
            if turn % 3 == 0:
                with producer.write(0.01) as slot:
                    data = payload(number)
                    slot.data[: len(data)] = data
                    slot.commit(len(data))
                counts["written"] += 1
            elif turn % 3 == 1:
                check(producer.send(payload(number), 1.0) == number, "the id of a message")
                counts["written"] += 1
            else:
                counts["written"] += producer.send_many([payload(number), payload(number + 1)], 0.01)
        except Timeout as late:
            counts["written"] += getattr(late, "sent", 0) or 0
        if turn % 8 == 0:
            share(producer)
    producer.close()


def read_slowly(consumer: Consumer) -> None:
    for slot in consumer:
        check(slot.id == counts["slow"] and bytes(slot.data) == payload(slot.id), f"message {slot.id}")
        counts["slow"] += 1
        time.sleep(counts["slow"] % 4 * 1e-4)
        if counts["slow"] % 16 == 0:
            share(consumer)
    consumer.close()


def read_either(stream: Consumer, side: Consumer) -> None:
    following = {stream: 0, side: 0}
    while True:
        for one in wait_any([stream, side], 0.02):
            try:
                check(one.receive(0) == payload(following[one]), f"message {following[one]}")
            except Closed:
                check(one is stream, "the side block is closed later")
                counts["any"] = following[stream]
                stream.close()
                side.close()
                return
            following[one] += 1
        if following[stream] % 16 == 0:
            share(stream)


def look(side: Producer, turn: int) -> None:
    side.send(payload(turn), 5.0)
    check(len(diagnose_all_slots("stream")) > 4, "slots")
    check(bool(validate_integrity("stream")), "integrity")
    check(len(list_participants("stream")) >= 3, "participants")
    check(get_metrics("stream").consumers >= 2, "consumers")
    with Observer("stream") as observer:
        try:
            newest = observer.newest()
            check(bytes(newest.data) == payload(newest.id), f"message {newest.id} observed")
        except (NotFound, Overrun):
            pass
    with Consumer("stream", delivery=Delivery.ORDERED) as another:
        try:
            with another.read(0.005) as slot:
                check(bytes(slot.data) == payload(slot.id), f"message {slot.id} read by another")
        except Timeout:
            pass
    with make("brief"):
        pass


def run(part: object, *arguments: object) -> None:
    try:
        say_thread()
        part(*arguments)  # type: ignore[operator]
    except BaseException as error:  # noqa: B036 - the main thread raises it
        failure.append(error)
        stop.set()
        end_of_stream.set()


def begin_handlers(spared: set[int]) -> None:
    # faulthandler's alternate stack is large enough for three nested handlers of Python, but not
    # for six.
    faulthandler.enable()
    handlers.handlers_own_stack()
    handlers.handlers_begin(" ".join(map(str, sorted(spared | OF_PYTHON))).encode(), NO_NESTING)
    for number in OF_PYTHON:
        signal.signal(number, on_signal)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)


def wait_for_stop() -> None:
    while os.read(0, 1) not in (b"\n", b""):
        pass
    stop.set()


def main() -> int:
    spared = {int(number) for number in (sys.argv[1] if len(sys.argv) > 1 else "").split()}
    producer, side = make("stream"), make("side")
    slow, stream, of_side = (Consumer(name, delivery=Delivery.LOSSLESS) for name in ("stream", "stream", "side"))
    begin_handlers(spared)
    parts = [(read_slowly, slow), (read_either, stream, of_side), (produce, producer)]
    threads = [threading.Thread(target=run, args=part) for part in parts]
    for thread in threads:
        thread.start()
    say_thread()
    for _ in range(4):
        said.acquire()
    os.write(1, b"ready\n")
    threading.Thread(target=wait_for_stop, daemon=True).start()
    turn = 0
    while not stop.is_set():
        look(side, turn)
        turn += 1
    end_of_stream.set()
    for thread in reversed(threads):
        thread.join()
    side.close()
    signal.setitimer(signal.ITIMER_REAL, 0)
    if failure:
        raise failure[0]
    check(counts["slow"] == counts["any"] == counts["written"] > 0, f"messages: {counts}")
    missing = sorted(OF_PYTHON - set(seen_by_python))
    check(not missing, f"signals that never came to Python: {missing}")
    # Python and its libraries have threads of their own, and handlers may run there.
    if not handlers.handlers_end(1):
        return 1
    print(f"ok {counts['written']} messages, {entered} times in the zone, {turn} diagnoses,", end=" ")
    print(f"{handlers.handlers_count()} handlers of C, {sum(seen_by_python.values())} of Python", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
