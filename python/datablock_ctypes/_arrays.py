"""NumPy arrays over messages, and what a block's schema says of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable

from ._errors import Invalid
from ._types import refuse_objects, the_numpy, whole

if TYPE_CHECKING:
    import numpy as np
    from numpy import dtype
    from numpy.typing import DTypeLike, NDArray

    from ._schema import Schema


def message_over(
    schema: Schema | None,
    view: Any,
    start: int,
    size: int,
    dtype: DTypeLike,
    shape: tuple[int, ...] | int | None,
    where: str = "message",
) -> NDArray[Any]:
    """Return `array_over` of a message, or of a slot that is to become one.

    A dtype with only the first fields of the block's struct gives one record for each struct.
    """
    if schema is not None:
        kind = items_of(dtype)[0]
        check_fit(schema, kind, size)
        if record_step(schema, kind):
            return records_over(
                schema, view, start, size, kind, None if shape is None else _sides(shape), where
            )
    return array_over(view, start, size, dtype, shape)


def array_over(
    view: Any, start: int, size: int, dtype: DTypeLike, shape: tuple[int, ...] | int | None
) -> NDArray[Any]:
    """Return a NumPy array of at most `size` bytes from `start` on, in place."""
    # Only strings are cached: other types compare equal to types with other names or layouts.
    kind, item, over = _known(dtype) if type(dtype) is str else items_of(dtype)
    if shape is None:
        if size % item != 0:
            raise Invalid(
                f"{size} bytes are no whole number of {kind} items of {item} bytes: give a shape"
            )
        return over(view, kind, size // item, start)
    sides = _sides(shape)
    count = math.prod(sides)
    if any(side < 0 for side in sides) or count * item > size:
        raise Invalid(f"shape {sides} of {kind} needs {count * item} bytes, the slot has {size}")
    return over(view, kind, count, start).reshape(sides)


def field_error(error: Exception, record: NDArray[Any], field: Any) -> Exception:
    """Return NumPy's error, or if the record has no such field, an error with the fields it has."""
    names = record.dtype.names or ()
    if not isinstance(field, str) or field in names:
        return error
    return Invalid(f'there is no field "{field}": the schema has {", ".join(names)}')


def _sides(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, Iterable) and not isinstance(shape, str):
        return tuple(whole("shape", side) for side in shape)
    return (whole("shape", shape),)


def items_of(dtype: DTypeLike) -> tuple[np.dtype[Any], int, Callable[..., NDArray[Any]]]:
    """Return the dtype of an array's items, their size in bytes, and the array's constructor."""
    numpy = the_numpy()
    kind = numpy.dtype(dtype)
    if kind.hasobject:
        refuse_objects(f"dtype {kind}")
    if kind.itemsize == 0:
        raise Invalid(f"dtype {kind} has items of no bytes: give their size")
    # frombuffer, and not ndarray(buffer=...): ndarray takes the memory behind a read-only view for
    # writable.
    return kind, kind.itemsize, numpy.frombuffer


# Copying a frame evicts everything else from the caches. Therefore a call does little work besides:
# the answer for a dtype is cached.
_known = functools.lru_cache(256)(items_of)


def check_fit(schema: Schema | None, kind: dtype[Any], size: int) -> None:
    """Refuse a dtype that would misread, or miswrite, the structs of a block.

    A dtype of single bytes fits always. Another dtype without fields fits a struct that has fields
    of this type only. The fields of a dtype must be fields of the struct.
    """
    if schema is None or kind is schema.dtype:
        return
    whole: Any = schema.dtype
    if kind.names is None:
        item = kind.base
        if item.itemsize == 1 or item.kind in "SV" or _types_in(whole) == {item}:
            return
        wrong = f"dtype {kind} has no fields, and the struct of schema {schema.name} is {whole}"
    else:
        name = _unlike(kind, whole)
        if name is None and (kind.itemsize <= schema.size or kind.itemsize == size):
            return
        if name is None:
            sizes = f"{kind.itemsize} bytes, and the struct of schema {schema.name} {schema.size}"
            wrong = f"an item of dtype {kind} has {sizes}"
        else:
            fields: Any = kind.fields
            own, other = fields[name], whole.fields.get(name)
            has = "no such field" if other is None else f"{other[0]} at {other[1]}"
            wrong = (
                f"field {name!r} of the dtype is {own[0]} at {own[1]}, "
                f"and schema {schema.name} of the block has {has}"
            )
    raise Invalid(
        f'{wrong}: use the dtype of the schema, or reinterpret the bytes: array("u1").view(dtype)'
    )


@functools.lru_cache(256)
def _types_in(kind: dtype[Any]) -> set[Any]:
    """Return the types of the fields, those of nested structs included."""
    if kind.names is None:
        return {kind.base}
    fields: Any = kind.fields
    return set().union(*[_types_in(fields[name][0].base) for name in kind.names])


def record_step(schema: Schema | None, kind: dtype[Any]) -> int:
    """Return the bytes from one record of messages to the next, for a dtype of an older version.

    Such a dtype has the first fields of the block's struct, and not all. The block's schema has the
    size of the records. For any other dtype the result is 0.
    """
    if schema is None or kind.names is None or kind.itemsize >= schema.size:
        return 0
    return schema.size if not _unlike(kind, schema.dtype) else 0


def _unlike(kind: dtype[Any], whole: dtype[Any]) -> str | None:
    """Return the first field of a dtype that another dtype does not have, or has otherwise."""
    fields: Any = kind.fields or {}
    others: Any = whole.fields or {}
    return next(
        (
            name
            for name in kind.names or ()
            if name not in others or others[name][:2] != fields[name][:2]
        ),
        None,
    )


def records_over(
    schema: Schema,
    view: Any,
    start: int,
    size: int,
    kind: dtype[Any],
    shape: tuple[int, ...] | None,
    where: str = "message",
) -> NDArray[Any]:
    """Return the records of a message, of which `kind` has the first fields.

    The array is read-only where the view is.
    """
    step = schema.size
    count = size // step if shape is None else math.prod(shape)
    if shape is None and size % step != 0:
        raise Invalid(
            f"{size} bytes are no whole number of records of {step} bytes, "
            f"as schema {schema.name} has them: give a shape"
        )
    if shape is not None and (any(side < 0 for side in shape) or count * step > size):
        raise Invalid(
            f"shape {shape} of schema {schema.name} needs {count * step} bytes, the {where} has "
            f"{size}"
        )
    rows = the_numpy().frombuffer(view, "u1", count * step, start).reshape(count, step)
    records: NDArray[Any] = rows[:, : kind.itemsize].view(kind)[:, 0]
    return records if shape is None else records.reshape(shape)


def check_written(schema: Schema, what: str, data: Any, records: int) -> None:
    """Refuse an array whose fields are not the schema's: every reader would misread its bytes.

    ``records`` is the number of records in one message.
    """
    kind: Any = getattr(data, "dtype", None)
    if getattr(kind, "names", None) is None:
        return
    wanted: Any = schema.dtype
    if kind is wanted:
        return
    name = _unlike(wanted, kind)
    instead = "give an array of producer.schema.dtype"
    if name is not None:
        own, other = wanted.fields[name], kind.fields.get(name)
        has = "no such field" if other is None else f"{other[0]} at {other[1]}"
        raise Invalid(
            f"{what}: field {name!r} of schema {schema.name} is {own[0]} at {own[1]}, "
            f"and dtype {kind} has {has}: {instead}"
        )
    if kind.itemsize < schema.size or (records > 1 and kind.itemsize != schema.size):
        raise Invalid(
            f"{what}: an item of dtype {kind} has {kind.itemsize} bytes, "
            f"and the struct of schema {schema.name} {schema.size}: {instead}"
        )
