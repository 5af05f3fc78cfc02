"""Bringing the files of a session into object storage: once, whole, and looked at again before they count.

An object is made only where there is none. One that is there already with the same content was brought by an attempt
whose answer was lost, or before a crash: that is no error, so that everything here can be done again at any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from wsrecorder.errors import Overtaken, SegmentDamaged, StorageError
from wsrecorder.store import disk
from wsrecorder.store.manifest import MANIFEST_NAME, Manifest
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.segment import SegmentInfo
from wsrecorder.store.session import EVENTS_FOLDER

__all__ = ["ManifestThere", "bring_segment", "bring_session"]


def bring_session(
    folder: Path, manifest: Manifest, place: ObjectPath, goes_on: Callable[[], bool] = lambda: True
) -> None:
    """Bring a sealed session to where it belongs: segments first, then its manifest.

    Args:
        folder: Where it is on the disk; segments that are not there any more must be where they belong.
        manifest: Names all of them.
        place: Where it belongs.
        goes_on: Asked before each segment.

    Raises:
        StorageError: The store refuses or is away, or another session is there; or it does not go on.
        SegmentDamaged: A segment is in neither place.
    """
    for info in manifest.segments:
        if not goes_on():
            raise StorageError(f"{place} is not whole yet", hint=f'"wsrec recover {folder}" brings the rest')
        path = folder / EVENTS_FOLDER / info.name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            there = place / EVENTS_FOLDER / info.name
            found = there.objects.head(there.key)
            if found is None or found.size_bytes != info.size_bytes:
                raise SegmentDamaged(
                    f"{path} is missing, and {there} is not what it was", hint="restore it from a copy"
                ) from None
        except OSError:
            with disk.storage_errors(path):
                raise
        else:
            bring_segment(content, info, place)
    ManifestThere(place).replace(manifest)


def bring_segment(content: bytes, info: SegmentInfo, place: ObjectPath) -> None:
    """Bring a sealed segment to where its session is kept, and make sure that it is there as it was sealed.

    Args:
        content: All of it.
        info: What the manifest will say of it.
        place: Where the session is kept.

    Raises:
        StorageError: The store refuses or is away, or the disk did not give back what was sealed.
        Overtaken: Another segment is there.
    """
    if hashlib.sha256(content).hexdigest() != info.sha256:
        raise StorageError(
            f"segment {info.name} of {place} is not as it was sealed", hint="check the disk of the spool"
        )
    path = place / EVENTS_FOLDER / info.name
    objects = path.objects
    try:
        etag = objects.put_new(path.key, content)
    except FileExistsError:
        found = objects.head(path.key)
        etag = found.etag if found is not None else ""
        if found is not None and objects.holds(path.key, content, etag):
            return
        raise Overtaken(
            f"{path} is there already and holds something else",
            hint="two recorders write one session, or somebody changed it; the segment is kept where it was recorded",
        ) from None
    if not objects.holds(path.key, content, etag):
        objects.delete([path.key])  # so that the next attempt finds the place free
        raise StorageError(f"{path} did not arrive as it was sent", hint="it is sent again")


class ManifestThere:
    """The manifest of a session in object storage, which one recorder replaces as the session grows.

    Args:
        place: Where the session is kept.
    """

    def __init__(self, place: ObjectPath) -> None:
        self._path = place / MANIFEST_NAME
        self._etag: str | None = None

    def read(self) -> Manifest | None:
        """Return the manifest that is there, which is the one to be replaced from now on; None where there is none.

        Raises:
            StorageError: The store refuses or is away.
            SessionError: It cannot be read.
        """
        try:
            content, self._etag = self._path.objects.get_with_etag(self._path.key)
        except FileNotFoundError:
            self._etag = None
            return None
        return Manifest.from_json(content, self._path)

    def begin(self, manifest: Manifest) -> None:
        """Put the first manifest there, where others may be about to do the same.

        Raises:
            StorageError: The store refuses or is away.
            Overtaken: There is one.
        """
        content = manifest.to_json()
        try:
            self._etag = self._path.objects.put_new(self._path.key, content)
        except FileExistsError as exc:
            self._adopt(content, exc)

    def claim(self, manifest: Manifest) -> None:
        """Put the first manifest there.

        Raises:
            FileExistsError: Another session is there.
            StorageError: The store refuses or is away.
        """
        content = manifest.to_json()
        try:
            self._etag = self._path.objects.put_new(self._path.key, content)
        except FileExistsError:
            found, etag = self._path.objects.get_with_etag(self._path.key)
            if Manifest.from_json(found, self._path).identity != manifest.identity:
                raise
            self._etag = etag  # ours, of an attempt whose answer was lost or of before a crash

    def replace(self, manifest: Manifest) -> None:
        """Put a newer manifest there.

        Raises:
            StorageError: The store refuses or is away.
            Overtaken: It is not the one that we have put there or read any more, or the session is another one's.
        """
        try:
            if self._etag is None:
                self.claim(manifest)
            content = manifest.to_json()
            try:
                self._etag = self._path.objects.put(self._path.key, content, instead_of=self._etag)
            except FileExistsError as exc:
                self._adopt(content, exc)
        except FileExistsError as exc:
            raise self._overtaken() from exc

    def _adopt(self, content: bytes, exc: FileExistsError) -> None:
        """Take what is there for ours if it is: the answer to an attempt was lost."""
        try:
            found, etag = self._path.objects.get_with_etag(self._path.key)
        except FileNotFoundError:
            found, etag = b"", ""
        if found != content:
            raise self._overtaken() from exc
        self._etag = etag

    def _overtaken(self) -> Overtaken:
        self._etag = None
        return Overtaken(
            f"{self._path} is written by somebody else too",
            hint="end the other recorder; what is not there yet is kept where it was recorded",
        )
