"""Publishing recordings into a stream, on a thread of its own, however long the stream is away."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wsrecorder.core.stream_address import StreamAddress
from wsrecorder.errors import FeedError, OwnMistake, SessionError, WsrecError
from wsrecorder.jobs.log_pair import PairedSession
from wsrecorder.jobs.log_session import LogSession
from wsrecorder.net.jetstream import LogAway, connect_log
from wsrecorder.store.library import Library, open_store
from wsrecorder.store.lock import SessionLock, is_locked
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.place import local
from wsrecorder.store.removal import remove_session
from wsrecorder.store.session import ParquetStore

__all__ = ["LogPublisher", "check_stream"]

_LOG: Final = logging.getLogger("wsrecorder.record")

_AGAIN_S: Final = 1.0
_TIDY_S: Final = 1.0


def check_stream(address: StreamAddress, replicas: int) -> None:
    """Have the stream, and say so where it is none to publish into; blocks.

    A server that is away keeps nobody from recording: that is only told.

    Raises:
        FeedError: The server refuses, or the stream is not one that keeps what it is given.
    """

    async def check() -> None:
        async with connect_log(address) as log:
            await log.ensure(replicas)

    try:
        asyncio.run(check())
    except LogAway as exc:
        _LOG.warning("%s; recording begins all the same, into the spool", exc.message)


class LogPublisher:
    """Publishes a session while it is recorded, after those of its name that wait in the spool.

    Attributes:
        trouble: What keeps it from publishing for now; None while nothing does.
        error: What ended the publishing for good, or None.

    Args:
        address: The stream.
        replicas: Of a stream that is not there yet.
        session: The session that is recorded.
        keeps_spool: Whether what was published stays on the disk.
    """

    def __init__(self, address: StreamAddress, replicas: int, session: LogSession, *, keeps_spool: bool) -> None:
        self.trouble: FeedError | None = None
        self.error: WsrecError | None = None
        self._address = address
        self._replicas = replicas
        self._session = session
        self._keeps_spool = keeps_spool
        self._spool = local(session.store.path, "a spool").parent
        self._gives_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wsrec-publisher", daemon=True)
        self._thread.start()

    def finish(self, patience_s: float) -> WsrecError | None:
        """Wait until all is acknowledged, the end too; return what kept it from that.

        Args:
            patience_s: How long the stream may do nothing at the end.
        """
        before = -1
        while self._thread.is_alive() and before != self._session.next_seq:
            before = self._session.next_seq
            self._thread.join(patience_s)
        self._gives_up.set()
        self._thread.join(10)
        return self.error or (
            None if self._session.has_ended else self.trouble or LogAway("it does not answer", hint="")
        )

    def _run(self) -> None:
        try:
            asyncio.run(self._publish_all())
        except WsrecError as exc:
            self.error = exc
            _LOG.error("%s", exc.message)
        except Exception as exc:  # recording goes on into the spool, where all of it stays
            self.error = OwnMistake(f"publishing into {self._address} was ended", exc, hint="")
            _LOG.exception("%s", self.error.message)

    async def _publish_all(self) -> None:
        work = asyncio.create_task(self._until_done())
        while not work.done() and not self._gives_up.is_set():
            await asyncio.wait((work,), timeout=0.1)
        work.cancel()
        results = await asyncio.gather(work, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _until_done(self) -> None:
        while not self._session.has_ended:
            try:
                async with connect_log(self._address) as log:
                    await log.ensure(self._replicas)
                    for left in self._leftovers():
                        await left.publish(log)
                        self._note_progress()
                    tidying = asyncio.create_task(self._tidy())
                    try:
                        await self._session.publish(log)
                    finally:
                        tidying.cancel()
            except FeedError as exc:
                if self.trouble is None:
                    where = self._session.store.path
                    _LOG.warning("%s; events wait in %s until it is back", exc.message, where)
                self.trouble = exc
                await asyncio.sleep(_AGAIN_S)

    async def _tidy(self) -> None:
        """Note that it goes on, and drop what is published."""
        before = self._session.next_seq
        while True:
            await asyncio.sleep(_TIDY_S)
            if self._session.next_seq > before or not self._session.waiting:
                self._note_progress()
            before = self._session.next_seq
            if not self._keeps_spool:
                await asyncio.to_thread(self._session.drop_published)

    def _note_progress(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            _LOG.info("%s takes events again", self._address)

    def _left(self, store: ParquetStore, manifest: Manifest) -> LogSession:
        """Return what publishes a session that was left; the one that goes on with us does not end with it."""
        ours = self._session
        if isinstance(ours, PairedSession) and manifest.identity.id == ours.store.identity().id:
            return PairedSession(store, manifest, local(store.path, "a spool").name, ends=False)
        return LogSession(store, manifest)

    def _leftovers(self) -> Iterator[LogSession]:
        """Yield the sessions of this name that a recorder has left in the spool; each is gone when it is published."""
        name = self._session.store.identity().name
        for path in Library(self._spool).paths():
            if not isinstance(path, Path) or is_locked(path):
                continue
            try:
                store = open_store(path)
                assert isinstance(store, ParquetStore)
                if store.identity().name != name:
                    continue
                with _locked(path):
                    manifest = store.manifest()
                    manifest.sealed = True
                    left = self._left(store, manifest)
                    left.end(manifest)
                    _LOG.info("publishing what is left of %s", path.name)
                    yield left
                if left.has_ended and not self._keeps_spool:
                    remove_session(path)
            except SessionError as exc:
                _LOG.warning("%s", exc.message)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with SessionLock(path):
        yield
