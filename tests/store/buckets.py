"""Buckets for tests: in memory, empty, one a test; and a way to bring a session there."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from wsrecorder.store.hive import session_place
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore
from wsrecorder.store.upload import ManifestThere, bring_segment

_NUMBERS = count()


def new_library() -> ObjectPath:
    """Return where a library may be, in a bucket that nobody else uses."""
    return ObjectPath(f"memory://test-{next(_NUMBERS)}", "team/prod")


def bring(folder: Path, library: ObjectPath) -> ObjectPath:
    """Bring a session to a library, as it stands on the disk, and return where it is there."""
    manifest = ParquetStore(folder).stored_manifest()
    assert manifest is not None
    place = session_place(library, manifest.identity)
    for info in manifest.segments:
        bring_segment((folder / EVENTS_FOLDER / info.name).read_bytes(), info, place)
    ManifestThere(place).replace(manifest)
    return place
