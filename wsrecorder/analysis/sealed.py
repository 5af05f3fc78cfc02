"""Which files of a session a query may read by itself: the sealed segments, if all are there that should be."""

from __future__ import annotations

from typing import Final

from wsrecorder.errors import SegmentDamaged
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.place import ObjectPath, Place, label
from wsrecorder.store.session import JOURNAL_SUFFIX, ParquetStore

__all__ = ["first_segments"]


def first_segments(store: ParquetStore, files: list[tuple[int, Place]], known: Manifest | None) -> list[Place]:
    """Return the segments before the first journal; whether one is missing is seen at a glance, before any is read."""
    found = {path.name: path.resolve() for _, path in files}
    for info in known.segments if known else []:
        path = store.path / "events" / info.name
        if info.name not in found:
            raise SegmentDamaged(f"{path} is missing, the manifest lists it", hint=_RESTORE)
        # In object storage they are as they came there, and the manifest is what says which there are.
        size_bytes = info.size_bytes if isinstance(path, ObjectPath) else path.stat().st_size
        if size_bytes != info.size_bytes:
            raise SegmentDamaged(
                f"{path} has {size_bytes:,} bytes, the manifest says {info.size_bytes:,}", hint=_RESTORE
            )
    for expected, (number, _) in enumerate(files):
        if number != expected:
            raise SegmentDamaged(
                f"session {label(store.path)} holds no file {expected:06d} of events, but later ones", hint=_RESTORE
            )
    first_journal = next((i for i, (_, path) in enumerate(files) if path.suffix == JOURNAL_SUFFIX), len(files))
    return list(found.values())[:first_journal]


_RESTORE: Final = 'restore it from a copy; "wsrec verify" names all that is wrong'
