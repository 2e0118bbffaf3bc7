"""Observers: copying messages without being a participant."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from ._abi import ConsumerOptions, ObserverHandle, RawObservation
from ._arrays import check_fit, field_error, record_step, records_over
from ._errors import Closed, DataBlockError, NotFound, SchemaMismatch, Status
from ._interrupts import Leaving, Statement
from ._library import StrPath, library
from ._participant import Link
from ._schema import Schema, configure
from ._types import (
    Bound,
    SecretBytes,
    block_name,
    optional_path_bytes,
    refuse_objects,
    secret_bytes,
    the_numpy,
    unsigned,
)

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

NEWEST = (1 << 64) - 1
HANDLE = int(Status.HANDLE)


class Observation:
    """A copy of a message.

    - ``id``: the number of the message. ``data``: its bytes.
    - ``timestamp_ns``: time of the commit in nanoseconds since 1970, or 0 if the block has no
      timestamps.
    - ``next_id``: the id of the next message that the producer writes.
    - ``index``: the number of the slot in the diagnosis.
    """

    __slots__ = ("_schema", "data", "id", "index", "next_id", "timestamp_ns")

    def __init__(
        self,
        id: int,
        data: bytes,
        timestamp_ns: int,
        next_id: int,
        index: int,
        schema: Schema | None,
    ) -> None:
        self.id = id
        self.data = data
        self.timestamp_ns = timestamp_ns
        self.next_id = next_id
        self.index = index
        self._schema = schema

    def array(self, dtype: DTypeLike = "u1") -> NDArray[Any]:
        """Return the message as a NumPy array of one dimension, read-only.

        A dtype with only the first fields of the block's struct gives one record for each struct.
        A dtype that does not fit the block's schema raises `Invalid`. Single bytes, "u1", always
        fit.
        """
        numpy = the_numpy()
        kind = numpy.dtype(dtype)
        if kind.hasobject:
            refuse_objects(f"dtype {kind}")
        check_fit(self._schema, kind, len(self.data))
        if self._schema is not None and record_step(self._schema, kind):
            return records_over(self._schema, self.data, 0, len(self.data), kind, None)
        array: NDArray[Any] = numpy.frombuffer(self.data, kind)
        return array

    def __getitem__(self, field: str) -> Any:
        """Return a field of the block's schema, ``observation["value"]``, of a scalar its value.

        Raises `SchemaMismatch` when the block has no schema, and `Invalid` when the schema has no
        such field.
        """
        if self._schema is None:
            raise SchemaMismatch(
                f"message {self.id} is of a block that has no schema: its fields have no names, "
                "use array() or data"
            )
        record = self.array(self._schema.dtype)[0]
        try:
            return record[field]
        except ValueError as error:
            raise field_error(error, record, field) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return Observation, (
            self.id,
            self.data,
            self.timestamp_ns,
            self.next_id,
            self.index,
            self._schema,
        )

    def __repr__(self) -> str:
        return f"<Observation id={self.id} length={len(self.data)}>"


class Observer(Bound):
    """Copies messages out of a block, and is no participant.

    An observer has no row and no cursor, applies no backpressure, changes nothing, and cannot be
    noticed. It needs permission to read the data file, and no other. It never waits. One thread at
    a time may use the object; any thread may call `close`.

    - ``name``: a plain name, or an absolute path. The block needs no producer.
    - ``directory``, ``secret``: as for `Producer`.
    - ``schema``, ``exact``, ``registered``, ``registry``: as for `Consumer`.

    Opening raises `Invalid`, `NotFound`, `Access`, `Secret`, `SchemaMismatch`, `Corrupt`,
    `Version`, `System`, `Forked`.
    """

    def __init__(
        self,
        name: StrPath,
        *,
        directory: StrPath | None = None,
        secret: SecretBytes | None = None,
        schema: Schema | str | None = None,
        exact: bool = False,
        registered: str | None = None,
        registry: StrPath | None = None,
    ) -> None:
        self._library = loaded = library()
        path = block_name(name)
        self._name = os.fsdecode(path)
        options = ConsumerOptions(size=ctypes.sizeof(ConsumerOptions), schema_mode=int(exact))
        options.directory = optional_path_bytes("directory", directory)
        options.secret, options.secret_length, keep = secret_bytes(secret)
        configure(options, schema, registered, registry, None)
        self._handle = ObserverHandle()
        self._state = 0  # the number of with statements that the object is in
        self._statement: Statement | None = None
        self._closed = False
        self._length = 0  # of the longest message so far
        self._schema: Schema | None = None
        self._without_schema = False
        self._link = Link(self, self._handle, loaded.datablock_observer_close)
        try:
            status = loaded.datablock_observer_open(path, options, self._handle)
            del keep
            if status != 0:
                loaded.fail(status)
        except BaseException:
            self._link.close()
            raise

    @property
    def name(self) -> str:
        """The name of the block that the program gave."""
        return self._name

    @property
    def closed(self) -> bool:
        return self._closed or self._link.closing

    @property
    def schema(self) -> Schema:
        """The schema of a message, as the producer of the block declared it.

        Raises `SchemaMismatch` (the block has no schema), `Closed`, `Corrupt`.
        """
        if self._schema is None:
            self._schema = Schema._from(
                "datablock_schema_of_observer", self._handle, fail=self._fail
            )
        return self._schema

    def newest(self) -> Observation:
        """Return a copy of the newest message that no operator has discarded.

        Raises `NotFound` (no message yet), `Overrun` (the producer was faster than every attempt to
        copy), `Checksum`, `Superseded` (noticed within a tenth of a second: open again), `Corrupt`,
        `Closed`, `Busy`.
        """
        return self._copy(NEWEST)

    def read_at(self, id: int) -> Observation:
        """Return a copy of message ``id``.

        Raises `NotFound` (not written yet), `Overrun` (overwritten, perhaps during the copy),
        `Lost`, and as `newest`.
        """
        number = unsigned("id", id, 64)
        if number == NEWEST:  # no id: the library takes it as the newest message
            raise NotFound(f'block "{self._name}": message {number} is not written yet')
        return self._copy(number)

    def _copy(self, number: int) -> Observation:
        raw = RawObservation()
        while True:
            buffer = bytearray(self._length)
            view = ctypes.byref(ctypes.c_char.from_buffer(buffer)) if buffer else None
            status = self._library.datablock_observe(self._handle, number, view, len(buffer), raw)
            if status != 0:
                self._fail(status)
            self._length = max(self._length, raw.length)
            if raw.length <= len(buffer):
                data = bytes(memoryview(buffer)[: raw.length])
                return Observation(
                    raw.id, data, raw.timestamp_ns, raw.next_id, raw.index, self._schema_if_any()
                )

    def _schema_if_any(self) -> Schema | None:
        """Return the schema for an `Observation`, which may outlive this object."""
        if self._schema is None and not self._without_schema:
            try:
                return self.schema
            except SchemaMismatch:
                self._without_schema = True
            except DataBlockError:  # a program that asks for the schema gets the error
                pass
        return self._schema

    def _fail(self, status: int) -> NoReturn:
        error = self._library.error(status)
        if status == HANDLE and self.closed:
            raise Closed(f'block "{self._name}": this Observer is closed')
        try:
            raise error
        finally:
            del error  # its traceback has this frame: the object would wait for the collector

    def close(self) -> None:
        """Leave the block. Any thread may call this. Does nothing the second time."""
        self._closed = True
        status = self._link.close()
        if status != 0:
            self._library.fail(status)

    def __enter__(self) -> Observer:
        self._state += 1
        return self

    def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        self._state -= 1
        self._statement = None

    def _abandon(self) -> None:
        with suppress(DataBlockError):
            self._leave(None, None, None)

    if TYPE_CHECKING:

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None: ...

    else:
        __exit__ = Leaving(_leave)

    def __repr__(self) -> str:
        return f"<Observer {self._name!r} {'closed' if self.closed else 'open'}>"
