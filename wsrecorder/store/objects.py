"""Object storage behind a few verbs: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

Who may do what, and where the server is, is read from the environment as each provider's own tools read it
(``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_ENDPOINT_URL`` …, see ``docs/object-storage.md``); nothing of
it is ever kept or logged. Each request is tried a few times within half a minute; who can wait longer does so himself.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from wsrecorder.errors import StorageError, StoreAway, UsageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["SCHEMES", "Found", "Objects", "allows_http", "open_objects"]

SCHEMES: Final = ("s3", "gs", "az", "memory")
"""What a URL of object storage begins with; ``memory`` is gone with the process."""

_CREDENTIALS: Final = {
    "s3": "look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL",
    "gs": "look at GOOGLE_APPLICATION_CREDENTIALS",
    "az": "look at AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "memory": "nobody is kept out of memory",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a store says of an object.

    Attributes:
        key: Its name in the bucket.
        size_bytes: Its size.
        etag: What changes when it does: its ETag, without quotes, and in Google's store its generation behind a space;
            empty where the store has none.
    """

    key: str
    size_bytes: int
    etag: str


class Objects:
    """A bucket.

    Objects are named by keys: text with slashes, without one at the beginning or the end.

    Attributes:
        root: Its URL, such as ``s3://bucket``.
        requests: How many requests were made.
        bytes_read: How many bytes of objects were fetched.

    Args:
        root: Its URL.
        store: What speaks to it.
    """

    def __init__(self, root: str, store: ObjectStore) -> None:
        import obstore  # an extra, and a tenth of a second that only its users should pay

        self.root = root
        self.requests = 0
        self.bytes_read = 0
        self._obstore = obstore
        self._store = store
        self._scheme = root.partition(":")[0]
        self._counting = threading.Lock()

    def get(self, key: str) -> bytes:
        """Return a whole object.

        Raises:
            FileNotFoundError: There is none.
            StorageError: The store refuses or is away.
        """
        return self.get_with_etag(key)[0]

    def get_with_etag(self, key: str) -> tuple[bytes, str]:
        """Return a whole object and its ETag; the errors are those of `get`."""
        with self._translated(key):
            result = self._obstore.get(self._store, key)
            content = bytes(result.bytes())
        self._count(len(content))
        return content, self._tag(result.meta)

    def tail(self, key: str, size_bytes: int) -> tuple[bytes, int]:
        """Return the last bytes of an object, and how large all of it is; the errors are those of `get`."""
        with self._translated(key):
            if self._scheme == "az":  # which knows no range that counts from the end
                whole_bytes = self._obstore.head(self._store, key)["size"]
                self._count(0)
                options: Any = {"range": (max(0, whole_bytes - size_bytes), whole_bytes)} if whole_bytes else None
            else:
                options = {"range": {"suffix": size_bytes}}
            result = self._obstore.get(self._store, key, options=options)
            content = bytes(result.bytes())
        self._count(len(content))
        return content, result.meta["size"]

    def ranges(self, key: str, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return parts of an object, fetched side by side.

        Args:
            key: Its name.
            places: Beginning and end of each, bytes, the end not included.

        Raises:
            FileNotFoundError: There is no such object.
            StorageError: The store refuses or is away.
        """
        starts, ends = [start for start, _ in places], [end for _, end in places]
        with self._translated(key):
            # What lies close together the caller has put into one.
            found = self._obstore.get_ranges(self._store, key, starts=starts, ends=ends, coalesce=0)
        contents = [bytes(part) for part in found]
        self._count(sum(map(len, contents)), requests=len(contents))
        return contents

    def head(self, key: str) -> Found | None:
        """Return what the store says of an object, None where there is none.

        Raises:
            StorageError: The store refuses or is away.
        """
        self._count(0)
        try:
            with self._translated(key):
                return self._found(self._obstore.head(self._store, key))
        except FileNotFoundError:
            return None

    def below(self, prefix: str) -> Iterator[Found]:
        """Yield the objects below a folder, however deep, sorted by key.

        Raises:
            StorageError: The store refuses or is away.
        """
        self._count(0)
        with self._translated(prefix):
            found = [self._found(meta) for page in self._obstore.list(self._store, _folder(prefix)) for meta in page]
        yield from sorted(found, key=lambda each: each.key)

    def holds_any(self, prefix: str) -> bool:
        """Return whether there is anything below a folder; the errors are those of `below`."""
        self._count(0)
        with self._translated(prefix):
            return any(self._obstore.list(self._store, _folder(prefix), chunk_size=1))

    def folders(self, prefix: str) -> list[str]:
        """Return the keys of the folders right below a folder, sorted.

        Raises:
            StorageError: The store refuses or is away.
        """
        self._count(0)
        with self._translated(prefix):
            return sorted(self._obstore.list_with_delimiter(self._store, _folder(prefix))["common_prefixes"])

    def put_new(self, key: str, content: bytes) -> str:
        """Make an object that is not there yet, whole or not at all, and return its ETag.

        Raises:
            FileExistsError: It is there.
            StorageError: The store refuses or is away.
        """
        return self._put(key, content, "create")

    def put(self, key: str, content: bytes, *, instead_of: str | None = None) -> str:
        """Make an object or replace it, whole or not at all, and return its ETag.

        Args:
            key: Its name.
            content: What it holds from now on.
            instead_of: Only if this is its ETag still; None replaces whatever is there.

        Raises:
            FileExistsError: Its ETag is another.
            StorageError: The store refuses or is away.
        """
        if instead_of is None:
            return self._put(key, content, "overwrite")
        etag, _, generation = instead_of.partition(" ")
        return self._put(key, content, {"e_tag": f'"{etag}"'} | ({"version": generation} if generation else {}))

    def _put(self, key: str, content: bytes, mode: Any) -> str:
        self._count(0)
        with self._translated(key):
            result = self._obstore.put(self._store, key, content, mode=mode, use_multipart=False)
        return self._tag(result)

    def holds(self, key: str, content: bytes, etag: str) -> bool:
        """Return whether an object is what was sent: by its ETag where that is an MD5, else by reading it back.

        Raises:
            StorageError: The store refuses or is away.
        """
        if etag.partition(" ")[0] == hashlib.md5(content, usedforsecurity=False).hexdigest():
            return True
        try:
            return self.get(key) == content
        except FileNotFoundError:
            return False

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there count as removed.

        Raises:
            StorageError: The store refuses or is away.
        """
        self._count(0)
        with self._translated(keys[0] if keys else ""):
            for key in keys:
                try:
                    self._obstore.delete(self._store, key)
                except FileNotFoundError:
                    continue

    def _found(self, meta: Any) -> Found:
        return Found(meta["path"], meta["size"], self._tag(meta))

    def _tag(self, meta: Any) -> str:
        etag = (meta["e_tag"] or "").strip('"')
        # Google's store replaces an object on condition of its generation alone.
        return f"{etag} {meta['version']}" if self._scheme == "gs" and meta["version"] else etag

    def _count(self, size_bytes: int, requests: int = 1) -> None:
        with self._counting:
            self.requests += requests
            self.bytes_read += size_bytes

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Translate what the store says of an object into our errors."""
        known = self._obstore.exceptions
        place = f"{self.root}/{key}"
        try:
            yield
        except (known.AlreadyExistsError, known.PreconditionError) as exc:
            raise FileExistsError(17, "the object is there, or has changed", place) from exc
        except (known.BaseError, OSError, ValueError) as exc:
            if re.search("NoSuchBucket|ContainerNotFound|list request.* 404 Not Found", str(exc)):
                raise StorageError(f"there is no bucket {self.root}", hint="make it, or name another one") from exc
            if isinstance(exc, FileNotFoundError):
                raise FileNotFoundError(2, "there is no such object", place) from exc
            if re.search("status code: 40[13]", str(exc)):
                raise StorageError(f"{place} may not be used: {_said(exc)}", hint=self._credentials) from exc
            kind = StorageError if re.search("status code: 4", str(exc)) else StoreAway
            raise kind(
                f"cannot use {place}: {_said(exc)}", hint=f"is the store up and within reach? {self._credentials}"
            ) from exc

    @property
    def _credentials(self) -> str:
        return _CREDENTIALS[self._scheme]


@lru_cache(maxsize=64)
def open_objects(root: str) -> Objects:
    """Return a bucket; always the same one for the same URL, so that its connections are used again.

    Args:
        root: URL of the bucket, such as ``s3://bucket``.

    Raises:
        UsageError: The extra that this needs is not installed, or what the environment says is wrong.
    """
    scheme, _, bucket = root.partition("://")
    try:
        from obstore import exceptions, store  # an extra
    except ImportError as exc:
        raise UsageError(
            f"{root} is object storage, which needs an extra that is not installed",
            hint='install it: pip install "wsrecorder[s3]"',
        ) from exc
    try:
        return Objects(root, _connect(store, scheme, bucket))
    except (exceptions.BaseError, ValueError, KeyError) as exc:
        raise UsageError(f"{root} cannot be used: {_said(exc)}", hint=_CREDENTIALS[scheme]) from exc


def _connect(store: Any, scheme: str, bucket: str) -> ObjectStore:
    if scheme == "memory":
        return store.MemoryStore()  # type: ignore[no-any-return]
    common = {
        "client_options": {"allow_http": allows_http(), "connect_timeout": "5s", "timeout": "60s"},
        "retry_config": {
            "max_retries": 4,
            "retry_timeout": timedelta(seconds=30),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2,
            },
        },
    }  # fmt: skip
    match scheme:
        case "s3":
            return store.S3Store(bucket, **common)  # type: ignore[no-any-return]
        case "gs":
            return store.GCSStore(bucket, **common)  # type: ignore[no-any-return]
        case _:
            return store.AzureStore(bucket, **common)  # type: ignore[no-any-return]


def allows_http() -> bool:
    """Return whether the server may be spoken to unencrypted: only if whoever named it wrote ``http://``."""
    return next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "").startswith("http://")


_ENDPOINTS: Final = (
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "GOOGLE_BASE_URL",
)  # fmt: skip


def _folder(prefix: str) -> str:
    return f"{prefix}/" if prefix else ""


def _said(exc: Exception) -> str:
    """Return what the library says, on one line; a query may hold a signature that lets anybody in."""
    text = str(exc).strip().partition("Debug source")[0]
    told = re.search(r"<Code>(\w+)</Code>\s*<Message>([^<]*)", text)
    if told is not None:
        return f"{told[1]}, {told[2]}".rstrip(" .,")
    tried = re.search(
        r"Error performing \w+ (\w+://[^/\s]+)\S* in [^,\s]+(?:, after (\d+) retries,.*?)?\s+- (.+)", text
    )
    if tried is not None:
        return re.sub(r"\?\S*", "", f"{tried[1]}: {tried[3]}")[:300] + (f", {tried[2]} retries" if tried[2] else "")
    first = text.splitlines() or [type(exc).__name__]
    return re.sub(r"\?\S*", "", first[0])[:300]
