"""Making the session that a recording goes into, and sealing it."""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from wsrecorder.core.dialect import EnvelopeReader
from wsrecorder.core.redaction_rules import BatchRedactor
from wsrecorder.errors import OwnMistake, WsrecError
from wsrecorder.jobs.black_box import BlackBoxSink
from wsrecorder.jobs.new_session import Target
from wsrecorder.jobs.record_options import BlackBoxOptions, Outcome, RecordOptions
from wsrecorder.jobs.recover import recover
from wsrecorder.jobs.snapshot import recover_rings
from wsrecorder.jobs.space import refuse_full_disk
from wsrecorder.jobs.spooling import begin_spooled, predecessor_there, refuse_full_spool
from wsrecorder.store.library import Library, new_id, open_store
from wsrecorder.store.manifest import Health, Identity, Manifest
from wsrecorder.store.place import ObjectPath, local
from wsrecorder.store.recording import Recording
from wsrecorder.store.sink import DuckDbSink, ParquetSink, Sink
from wsrecorder.store.spool import spool_folder

__all__ = ["begin_recording", "seal_recording"]

_LOG: Final = logging.getLogger("wsrecorder.record")


def begin_recording(
    options: RecordOptions,
    started_ns: int,
    subprotocol: str | None,
    on_drained: Callable[[], None],
    now_ns: Callable[[], int] | None = None,
    on_unread: Callable[[Exception], None] | None = None,
) -> Recording:
    """Make a session, now that there is something to record; blocks until the disk has it.

    Args:
        options: What to record and how.
        started_ns: UTC of its beginning, ns since the epoch.
        subprotocol: The subprotocol that the server chose.
        on_drained: Called on the writer thread when there is room again.
        now_ns: Monotonic time, ns, to measure the writing by; None measures nothing.
        on_unread: As `Recording`.

    Raises:
        WsrecError: It cannot be made.
    """
    name = options.session_name
    library = options.library if options.into is None and options.stream is None else None
    on_disk = options.into or (spool_folder(options.spool) if options.stream else options.library)
    if isinstance(library, ObjectPath):
        on_disk = refuse_full_spool(options)
    assert isinstance(on_disk, Path)
    refuse_full_disk(on_disk, options.min_free_bytes)
    url, continues = options.feed.shown_url, None
    session_id, path = new_id(name, started_ns), on_disk
    if options.black_box is not None:
        path = local(options.library, "a black box")
    elif isinstance(library, ObjectPath):
        continues = predecessor_there(library, name, url)
    elif library is not None:
        continues = Library(library).predecessor(name, url)
        session_id, path = Library(library).create(name, started_ns)
    identity = Identity(
        id=session_id,
        name=name,
        feed=url,
        path=urlsplit(options.feed.url).path or "/",
        dialect=options.dialect,
        started_ns=started_ns,
        subprotocol=subprotocol,
        host=platform.node(),
        tool=options.tool,
        continues=continues or msgspec.UNSET,
        redacted=msgspec.UNSET if options.redaction is None else options.redaction.paths,
    )
    rules = options.redaction
    redactor = None if rules is None else BatchRedactor(rules)
    sink: Sink
    if options.black_box is not None:
        sink = _black_box(options, options.black_box, identity)
    elif isinstance(library, ObjectPath):
        sink = begin_spooled(options, library, identity)
    elif options.stream is not None:
        from wsrecorder.jobs.log_sink import begin_published  # nats-py: an extra, and a tenth of a second

        sink = begin_published(options, options.stream, identity)
    elif library is not None:
        sink = ParquetSink(path, identity, options.limits, sync=options.sync)
    else:
        sink = DuckDbSink(path, identity)
    _LOG.info("%s: recording into %s", url, sink.path, extra={"feed": url, "session": sink.manifest.identity.id})
    return Recording(sink, EnvelopeReader(options.dialect), on_drained, now_ns, redactor, on_unread)


def _black_box(options: RecordOptions, wanted: BlackBoxOptions, identity: Identity) -> BlackBoxSink:
    """Make the ring of a black box, after what one of that name left when it was killed has become sessions."""
    for recovered in recover_rings(local(options.library, "a black box"), options.tool, identity.name):
        for made in recovered.made:
            _LOG.warning(
                "%s: a black box was killed; what it held is in %s", identity.feed, made.path,
                extra={"feed": identity.feed, "session": made.manifest.identity.id},
            )  # fmt: skip
    condition = None
    if wanted.trigger is not None:
        from wsrecorder.analysis.trigger import TriggerCondition  # DuckDB: only its users should pay for it

        condition = TriggerCondition(wanted.trigger)
    target = Target(library=options.library, tool=options.tool)
    return BlackBoxSink(target, identity, wanted.limits, condition, sync=options.sync)


async def seal_recording(recording: Recording, health: Health, error: WsrecError | None) -> Outcome:
    """Write what is left, seal the session, and return how it ended.

    Args:
        recording: All of it was handed over.
        health: How it fared.
        error: What ended it, or None.
    """
    sink = recording.sink
    try:
        # Off the loop: sealing takes its time, and other feeds go on.
        manifest = await asyncio.to_thread(recording.close, health)
    except Exception as exc:
        error = exc if isinstance(exc, WsrecError) else OwnMistake(f"sealing {sink.path} was ended", exc, hint="")
        is_ours = isinstance(error, OwnMistake) and not isinstance(sink, BlackBoxSink)
        if is_ours and (recovered := await asyncio.to_thread(_recovered, recording)) is not None:
            error.hint = "what was recorded until then is sealed; the log has a traceback, please report it"
            return Outcome(recovered, sink.path, error)
        if isinstance(sink, BlackBoxSink) and not sink.failed:
            error.hint = f'{error.hint}; then "wsrec recover --all" makes a session of what the ring holds'
        elif not isinstance(sink, BlackBoxSink) and "wsrec recover" not in error.hint:
            error.hint = f'{error.hint}; then "wsrec recover {sink.on_disk}" seals what was recorded'
        error.hint = error.hint.removeprefix("; then ")
        manifest = sink.manifest
        manifest.count(sink.tally)  # which is what was written, whether or not any seal knows of it
        manifest.health = health
    snapshots = tuple(sink.snapshots) if isinstance(sink, BlackBoxSink) else None
    return Outcome(manifest, sink.path if snapshots is None else None, error, snapshots)


def _recovered(recording: Recording) -> Manifest | None:
    """Seal what is on the disk, as after a crash: nothing in memory can be relied on; return None if that fails too."""
    path = recording.sink.on_disk
    try:
        recording.sink.abandon()
        recover(open_store(path))
        return open_store(recording.sink.path).manifest()
    except Exception:  # the error that brought us here is the one to be told
        _LOG.warning("%s could not be sealed", path, exc_info=True)
        return None
