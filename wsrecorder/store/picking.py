"""Single events of a session by their sequence numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["pick"]

_FAR: Final = 32_768  # so many events that are not wanted are better left out by opening the session anew


def pick(store: Store, seqs: Sequence[int], columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Yield events in record batches, as far as the session holds them; what lies far between two is not read.

    Args:
        store: The session.
        seqs: Their sequence numbers, ascending.
        columns: Which columns, ``seq`` among them.
    """
    place = 0
    while place < len(seqs):
        for batch in store.batches(Selection(columns=columns, from_seq=seqs[place], to_seq=seqs[-1] + 1)):
            first_seq, next_seq = batch.column("seq")[0].as_py(), batch.column("seq")[-1].as_py() + 1
            indices = []
            while place < len(seqs) and seqs[place] < next_seq:
                indices.append(seqs[place] - first_seq)
                place += 1
            if indices:
                yield batch.take(pa.array(indices, pa.int64()))
            if place == len(seqs) or seqs[place] - next_seq > _FAR:
                break
        else:
            return  # the session holds less than it did
