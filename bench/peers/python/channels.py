"""The peers of worker.py: how each of them opens its channels, sends and receives."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import shared_memory
from typing import Any

Send = Callable[[bytearray], None]
Receive = Callable[[], Any]  # the message, as bytes of this process


def no_send(data: bytearray) -> None:
    raise AssertionError("this side does not send")


def no_receive() -> bytes:
    raise AssertionError("this side does not receive")


class Peer:
    """A way of passing messages."""

    forked = False

    def __init__(self, options: dict[str, str]) -> None:
        self.size, self.slots = int(options["size"]), int(options["slots"])
        self.first = options["side"] == "0"
        self.block = options["block"] == "1"
        self.place = os.environ["DATABLOCK_DIR"]

    def open(self, out: str | None, into: str | None) -> tuple[Send, Receive]:
        """Open the end that sends, and the end that receives, as far as they are named."""
        send = self.sender(out) if out else no_send
        receive = self.receiver(into) if into else no_receive
        self.connect()
        return send, receive

    def sender(self, name: str) -> Send:
        raise NotImplementedError

    def receiver(self, name: str) -> Receive:
        raise NotImplementedError

    def connect(self) -> None:
        """Wait until the reader is there, where that matters."""

    def close(self) -> None:
        """Close the channels."""


class DataBlock(Peer):
    """DataBlock: copies."""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        import datablock_ctypes

        self.api = datablock_ctypes
        self.read_batch = int(options["read_batch"])
        # A stream waits, as programs are written.
        self.wait = None if self.block or options["role"] != "pong" else 0
        self.ends: list[Any] = []

    def producer(self, name: str) -> Any:
        producer = self.api.Producer(
            name, slot_size=self.size, slot_count=self.slots, consumer_limit=1
        )
        self.ends.append(producer)
        return producer

    def consumer(self, name: str) -> Any:
        consumer = self.api.Consumer(name, delivery=self.api.Delivery.LOSSLESS, wait=10.0)
        self.ends.append(consumer)
        return consumer

    def sender(self, name: str) -> Send:
        producer = self.producer(name)
        if self.wait is None:
            wait: Send = producer.send
            return wait
        poll = producer.try_send

        def send(data: bytearray) -> None:
            while poll(data) is None:
                pass

        return send

    def receiver(self, name: str) -> Receive:
        consumer = self.consumer(name)
        if self.wait is None:
            wait: Receive = consumer.receive
            return wait
        poll = consumer.try_receive

        def receive() -> Any:
            while (message := poll()) is None:
                pass
            return message

        return receive

    def close(self) -> None:
        for end in self.ends:
            end.close()


def batches(consumer: Any, most: int, target: memoryview) -> Iterator[memoryview]:
    """Copies the messages of one batch after the other out of their slots."""
    while True:
        with consumer.read_many(most) as batch:
            for message in batch:
                target[:] = message
                yield target


class InPlace(DataBlock):
    """DataBlock: sent as above, and copied out of a held slot."""

    def receiver(self, name: str) -> Receive:
        consumer = self.consumer(name)
        target = memoryview(bytearray(self.size))
        read, poll = consumer.read, consumer.try_read
        if self.read_batch > 1:
            return partial(next, batches(consumer, self.read_batch, target))

        def wait() -> Any:
            with read() as slot:
                target[:] = slot.data
            return target

        def receive() -> Any:
            while True:
                with poll() as slot:
                    if slot is not None:
                        target[:] = slot.data
                        return target

        return wait if self.wait is None else receive


class Iceoryx2(Peer):
    """iceoryx2 for Python, which polls."""

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        import iceoryx2  # type: ignore[import-not-found, unused-ignore]

        self.api = iceoryx2
        iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
        config = iceoryx2.config.default()
        config.global_cfg.prefix = iceoryx2.FileName.new(os.path.basename(self.place) + "_")
        config.global_cfg.root_path = iceoryx2.Path.new(self.place)
        builder = iceoryx2.NodeBuilder.new().config(config)
        disabled = iceoryx2.SignalHandlingMode.Disabled
        self.node = builder.signal_handling_mode(disabled).create(iceoryx2.ServiceType.Ipc)
        self.sending: Any = None
        self.receiving: Any = None
        self.subscriber: Any = None

    def service(self, name: str) -> Any:
        builder = self.node.service_builder(self.api.ServiceName.new(name))
        settings = builder.publish_subscribe(self.api.Slice[ctypes.c_uint8])
        settings = settings.enable_safe_overflow(False).history_size(0)
        return settings.subscriber_max_buffer_size(self.slots).open_or_create()

    def sender(self, name: str) -> Send:
        self.sending = self.service(name)
        builder = self.sending.publisher_builder().initial_max_slice_len(self.size)
        strategy = self.api.BackpressureStrategy.RetryUntilDelivered
        loan = builder.backpressure_strategy(strategy).create().loan_slice_uninit
        size, copy = self.size, ctypes.memmove

        def send(data: bytearray) -> None:
            sample = loan(size)
            copy(sample.payload_ptr, (ctypes.c_char * size).from_buffer(data), size)
            sample.assume_init().send()

        return send

    def receiver(self, name: str) -> Receive:
        self.receiving = self.service(name)
        builder = self.receiving.subscriber_builder()
        self.subscriber = builder.buffer_size(self.slots).create()
        poll = self.subscriber.receive
        size, copied = self.size, ctypes.string_at

        def receive() -> Any:
            while True:
                sample = poll()
                if sample is not None:
                    data = copied(sample.payload_ptr, size)
                    sample.delete()
                    return data

        return receive

    def connect(self) -> None:
        while self.sending and self.sending.dynamic_config.number_of_subscribers == 0:
            time.sleep(0.001)
        if self.receiving:
            # A subscriber connects to a publisher when it receives.
            while self.receiving.dynamic_config.number_of_publishers == 0:
                time.sleep(0.001)
            assert self.subscriber.receive() is None


class Ring(Peer):
    """A ring by hand in multiprocessing.shared_memory: two indices, and polling."""

    LINE = 16  # words between the indices

    def memory(self, name: str) -> tuple[Any, Any]:
        unique = f"{os.path.basename(self.place)}_{name}"
        size = 4096 + self.size * self.slots
        try:
            block = shared_memory.SharedMemory(unique, create=True, size=size)
        except FileExistsError:
            while os.stat(f"/dev/shm/{unique}").st_size < size:
                time.sleep(0.001)
            block = shared_memory.SharedMemory(unique)
        # The runner removes the memory. Otherwise each side's tracker would do so, and complain.
        from multiprocessing import resource_tracker

        resource_tracker.unregister(block._name, "shared_memory")  # type: ignore[attr-defined]
        self.keep = [*getattr(self, "keep", []), block]
        view: Any = block.buf
        return view[:4096].cast("Q"), view[4096:]

    def sender(self, name: str) -> Send:
        indices, slots = self.memory(name)
        size, count, line = self.size, self.slots, self.LINE

        def send(data: bytearray) -> None:
            head = indices[0]
            while head - indices[line] == count:
                pass
            at = head % count * size
            slots[at : at + size] = data
            indices[0] = head + 1

        return send

    def receiver(self, name: str) -> Receive:
        indices, slots = self.memory(name)
        size, count, line = self.size, self.slots, self.LINE

        def receive() -> Any:
            tail = indices[line]
            while indices[0] == tail:
                pass
            at = tail % count * size
            data = bytes(slots[at : at + size])
            indices[line] = tail + 1
            return data

        return receive

    def close(self) -> None:
        sys.stdout.flush()
        os._exit(0)  # views of the memory are still there, which close() would refuse


class Inherited(Peer):
    """What only a process and its child can share.

    The first side makes the channels and forks. The child takes over the standard input and output
    of the process that was started as the second side, and moves to its core.
    """

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self.lender: socket.socket | None = None
        path = f"{self.place}/hand-over"
        if self.first:
            self.channels = {name: self.channel() for name in ("there", "back", "stream")}
            self._fork(path, options)
        else:
            self._lend(path)

    def channel(self) -> Any:
        raise NotImplementedError

    def _fork(self, path: str, options: dict[str, str]) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen(1)
            other, _ = listener.accept()
        core, files, _, _ = socket.recv_fds(other, 16, 2)
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: ends with its parent
            os.sched_setaffinity(0, {int(core)})
            for number, file in enumerate(files):
                os.dup2(file, number)
            options["side"] = "1"
            self.forked, self.lender = True, other
        else:
            other.close()
        for file in files:
            os.close(file)

    @staticmethod
    def _lend(path: str) -> None:
        """Lend the own input and output to the child of the first side, and wait for its end."""
        deadline = time.monotonic() + 10
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            while True:
                try:
                    other.connect(path)
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.001)
            core = min(os.sched_getaffinity(0))
            socket.send_fds(other, [str(core).encode()], [0, 1])
            ended_well = other.recv(1) == b"0"
        os._exit(0 if ended_well else 1)

    def close(self) -> None:
        sys.stdout.flush()
        if self.lender is not None:
            self.lender.send(b"0")
            os._exit(0)  # the parent's clean-up is not the child's


class Pipe(Inherited):
    """multiprocessing.Pipe, one for each direction."""

    def channel(self) -> Any:
        return multiprocessing.Pipe(duplex=False)

    def sender(self, name: str) -> Send:
        send: Send = self.channels[name][1].send_bytes
        return send

    def receiver(self, name: str) -> Receive:
        receive: Receive = self.channels[name][0].recv_bytes
        return receive


class Queue(Inherited):
    """multiprocessing.Queue. A thread of the sender pickles later: a message must not change."""

    def channel(self) -> Any:
        return multiprocessing.get_context("fork").Queue(self.slots)

    def sender(self, name: str) -> Send:
        put = self.channels[name].put
        return lambda data: put(bytes(data))

    def receiver(self, name: str) -> Receive:
        receive: Receive = self.channels[name].get
        return receive


PEERS: dict[str, Callable[[dict[str, str]], Peer]] = {
    "datablock": DataBlock,
    "datablock-inplace": InPlace,
    "iceoryx2": Iceoryx2,
    "ring": Ring,
    "pipe": Pipe,
    "queue": Queue,
}
