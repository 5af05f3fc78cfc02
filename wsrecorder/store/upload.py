"""Bringing the files of a session into object storage: once, whole, and looked at again before they count.

An object is made only where there is none. One that is there already with the same content was brought by an attempt
whose answer was lost, or before a crash: that is no error, so that everything here can be done again at any time.
"""

from __future__ import annotations

import hashlib

from wsrecorder.errors import StorageError
from wsrecorder.store.manifest import MANIFEST_NAME, Manifest
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.segment import SegmentInfo
from wsrecorder.store.session import EVENTS_FOLDER

__all__ = ["ManifestThere", "bring_segment"]


def bring_segment(content: bytes, info: SegmentInfo, place: ObjectPath) -> None:
    """Bring a sealed segment to where its session is kept, and make sure that it is there as it was sealed.

    Args:
        content: All of it.
        info: What the manifest will say of it.
        place: Where the session is kept.

    Raises:
        StorageError: The store refuses or is away, another segment is there, or the disk did not give back what was
            sealed.
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
        raise StorageError(
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
            StorageError: The store refuses or is away, or the session is another one's.
        """
        try:
            if self._etag is None:
                self.claim(manifest)
            content = manifest.to_json()
            try:
                self._etag = self._path.objects.put(self._path.key, content, instead_of=self._etag)
            except FileExistsError:
                found, etag = self._path.objects.get_with_etag(self._path.key)
                if found != content:
                    raise
                self._etag = etag
        except FileExistsError as exc:
            self._etag = None
            raise StorageError(
                f"{self._path} is written by somebody else too",
                hint="end the other recorder; what is not there yet is kept where it was recorded",
            ) from exc
