"""Payloads and details of a batch exchanged, and what was read from the payloads read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from wsrecorder.core.dialect import EnvelopeReader

__all__ = ["replaced"]


def replaced(
    batch: pa.RecordBatch,
    payload_of: Callable[[bytes], bytes],
    detail_of: Callable[[str], str],
    reader: EnvelopeReader,
) -> pa.RecordBatch:
    """Return a batch whose payloads and details of marks are others.

    Where an envelope's type or time stamp changed with its payload, the columns ``type`` and ``sent_at`` follow.

    Args:
        batch: With all columns.
        payload_of: Returns what takes the place of a payload, that of a text as text in UTF-8.
        detail_of: Returns what takes the place of a mark's detail.
        reader: Of the feed's dialect.
    """
    texts, binaries, details = (batch.column(name).to_pylist() for name in ("text", "binary", "detail"))
    types, stamps = batch.column("type").to_pylist(), batch.column("sent_at").cast(pa.int64()).to_pylist()
    changed: set[str] = set()
    for row, (text, binary, detail) in enumerate(zip(texts, binaries, details, strict=True)):
        payload = binary if text is None else text.encode()
        if payload is None:
            if detail is not None and (after_detail := detail_of(detail)) != detail:
                details[row] = after_detail
                changed.add("detail")
            continue
        after = payload_of(payload)
        if after is payload or after == payload:
            continue
        if text is None:
            binaries[row] = after
            changed.add("binary")
        else:
            texts[row] = after.decode()
            changed.add("text")
        (type_, sent_us), (was_type, was_us) = reader.read(after), reader.read(payload)
        if type_ != was_type:
            types[row] = type_
            changed.add("type")
        if sent_us != was_us:
            stamps[row] = sent_us
            changed.add("sent_at")
    columns: dict[str, tuple[list[Any], pa.DataType]] = {
        "text": (texts, pa.string()),
        "binary": (binaries, pa.binary()),
        "detail": (details, pa.string()),
        "type": (types, pa.string()),
        "sent_at": (stamps, pa.int64()),
    }
    for name in changed:
        index = batch.schema.get_field_index(name)
        field = batch.schema.field(index)
        values, type_ = columns[name]
        column = pa.array(values, type_)
        batch = batch.set_column(
            index, field, column.dictionary_encode() if name == "type" else column.cast(field.type)
        )
    return batch
