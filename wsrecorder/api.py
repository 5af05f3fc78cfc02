"""Recording, serving and playing from Python, as `wsrecorder.record`, `wsrecorder.serve` and `wsrecorder.play`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from secrets import token_bytes

from wsrecorder.analysis.session import Session
from wsrecorder.clock import Clock, SystemClock, VirtualClock
from wsrecorder.console.beside import ReplayWithConsole
from wsrecorder.console.options import ConsoleOptions
from wsrecorder.core.dialect import ENGINE, Dialect
from wsrecorder.core.event import Kind
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.recorder import Limits, Retry
from wsrecorder.core.redaction_rules import RedactionRules
from wsrecorder.core.stand_ins import StandIns
from wsrecorder.errors import UsageError
from wsrecorder.jobs.play import Play, PlayOptions
from wsrecorder.jobs.record import record_feeds
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_arguments import duration_ns_of, replay_options, speed_of, words_of
from wsrecorder.net.transport import FeedOptions, choose_transport
from wsrecorder.store.library import Library, library_path, open_store
from wsrecorder.store.place import Place
from wsrecorder.store.session import Store

__all__ = ["play", "record", "serve"]


async def record(
    url: str,
    *,
    library: str | Place | None = None,
    name: str | None = None,
    into: str | Path | None = None,
    duration: str | float | None = None,
    max_events: int | None = None,
    stop: asyncio.Event | None = None,
    send: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    origin: str | None = None,
    subprotocols: Iterable[str] = (),
    reconnect: str | float = "5s",
    stall: str | float = "90s",
    dialect: Dialect = ENGINE,
    redact: Iterable[str] = (),
    redact_secret: bytes | None = None,
) -> Session:
    """Record every frame of a live feed until a limit is reached, ``stop`` is set, or the task is cancelled.

    However it ends, what was recorded is sealed. A lost connection is marked in the recording and made again.

    Args:
        url: ``ws://`` or ``wss://``.
        library: Folder of sessions; None is what WSREC_LIBRARY names, else ``./recordings``.
        name: A word for people; None takes the host's name.
        into: A new DuckDB file to record into instead of a Parquet session of the library.
        duration: Stop after this long: seconds, or text such as ``10m``; None is never.
        max_events: Stop after this many frames; None is never.
        stop: Set it to end the recording.
        send: Text frames to send after each connect; nothing else is ever sent.
        headers: More headers for the handshake.
        origin: Value of the header Origin.
        subprotocols: Subprotocols to offer, the preferred one first.
        reconnect: Wait before reconnecting, seconds or text; 0 ends the recording instead.
        stall: Silence that counts as a lost connection, seconds or text; 0 is never.
        dialect: How the feed's envelopes are read.
        redact: Paths of values that are replaced before anything is written, such as ``data.account.key``.
        redact_secret: What their stand-ins are made by; None takes a new one, and nobody can tell them then.

    Returns:
        The sealed session.

    Raises:
        UsageError: What was asked for cannot be.
        FeedError: The feed cannot be reached or refuses; or it was lost and ``reconnect`` is 0, what was
            recorded is sealed then.
        StorageError: The disk refuses; what was written before is intact.
    """
    duration_ns = None if duration is None else duration_ns_of(duration)
    if duration_ns == 0 or (max_events is not None and max_events < 1):
        raise UsageError("a recording of nothing was asked for", hint="give a duration above 0, and max_events from 1")
    paths = tuple(dict.fromkeys(redact))
    options = RecordOptions(
        feed=FeedOptions(url, headers=headers or {}, origin=origin, subprotocols=tuple(subprotocols)),
        library=library_path(library),
        name=name,
        into=None if into is None else Path(into),
        send=tuple(send),
        retry=Retry(first_s=duration_ns_of(reconnect) / 1e9),
        stall_s=duration_ns_of(stall) / 1e9,
        limits=Limits(max_events=max_events, duration_ns=duration_ns),
        dialect=dialect,
        redaction=RedactionRules(paths, StandIns(redact_secret or token_bytes(32))) if paths else None,
        transport=choose_transport(),
        tool=f"wsrecorder {version('wsrecorder')}",
    )
    [outcome] = await record_feeds([options], SystemClock(), stop or asyncio.Event())
    if outcome.error is not None:
        raise outcome.error
    assert outcome.path is not None, "a recording without an error has a session"
    return Session(open_store(outcome.path))


def serve(
    *sessions: Session | str | Path,
    library: str | Place | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    path: str | None = None,
    speed: float | str = 1.0,
    clock: str = "received",
    max_gap: str | float | None = None,
    start: str | None = None,
    end: str | None = None,
    types: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    where: str | None = None,
    verbatim: bool = False,
    restamp: bool = False,
    per_client: bool = False,
    wait_for: int = 1,
    slow_client: str | None = None,
    client_buffer: int = 16 << 20,
    at_end: str = "stay",
    prime: str = "last",
    faults: Iterable[str] = (),
    seed: int = 0,
    console_port: int | None = None,
) -> Replay:
    """Return a replay that serves while its context is open.

    ::

        async with wsrecorder.serve("latest", speed=10) as replay:
            async for message in connect(replay.url):
                ...
        print(replay.report().to_dict())

    ``await replay.finished.wait()`` returns when everything was played; ``replay.error`` says whether the
    recording could be read to its end.

    Args:
        *sessions: Sessions, or what they go by: path, id, unique prefix of an id, name, ``latest``. Several
            are merged by time.
        library: Folder of sessions; None is what WSREC_LIBRARY names, else ``./recordings``.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        path: Path to serve; None takes the recorded one.
        speed: Session seconds per wall second, above 0, or ``max``.
        clock: ``received`` or ``sent``: which times are played.
        max_gap: Longest silence, session time before speed, seconds or text; None keeps all.
        start: Where to begin: ``90s``, ``-10s`` from the end, or an ISO 8601 time; None is the beginning.
        end: Where to end, not included; None is the end.
        types: Only messages of these types; None is all.
        exclude: No messages of these types.
        where: Only messages for which this SQL expression over the view ``events`` is true.
        verbatim: Every recorded frame and nothing else: no heartbeats of the endpoint's own.
        restamp: Rewrite time stamps, so that the stream looks live.
        per_client: Each client has a playback of its own, from the start.
        wait_for: Clients to wait for before playing; 0 plays at once.
        slow_client: ``close`` or ``wait``; None closes, but waits with ``per_client`` or at speed ``max``.
        client_buffer: How far a client may lag, bytes.
        at_end: ``stay``, ``close`` or ``loop``.
        prime: ``last``, ``state`` or ``none``: what a client that joins late or is carried over a seek is told first.
        faults: What goes wrong on purpose, such as ``["drop=1%", "disconnect=30s"]``; docs/faults.md.
        seed: Decides which frames the faults hit.
        console_port: Port of a console beside it, on loopback; 0 takes a free one, None is without. ``console_url`` of
            what is returned says where it is.

    Returns:
        An async context manager with ``url``, ``state``, ``report()``, ``finished`` and ``error``.

    Raises:
        UsageError: What was asked for cannot be; the window lies outside of the sessions.
        SessionError: A session is not there or cannot be read.
        EndpointError: The address or port cannot be had (on entering the context).
        WsrecError: A console was asked for, and the extra ``console`` is not installed.
    """
    options = replay_options(
        host=host, port=port, path=path, speed=speed, clock=clock, max_gap=max_gap, start=start, end=end, types=types,
        exclude=exclude, where=where, verbatim=verbatim, restamp=restamp, per_client=per_client, wait_for=wait_for,
        slow_client=slow_client, client_buffer=client_buffer, at_end=at_end, prime=prime, faults=faults, seed=seed,
    )  # fmt: skip
    folder = library_path(library)
    stores = [_store(session, folder) for session in sessions]
    if console_port is None:
        return Replay(stores, options, SystemClock())
    console = ConsoleOptions(port=console_port)
    return ReplayWithConsole(stores, options, SystemClock(), console=console, library=folder)


def play(
    sessions: Session | str | Path | Iterable[Session | str | Path],
    *,
    library: str | Place | None = None,
    speed: float | str = 1.0,
    clock: Clock | None = None,
    start: str | None = None,
    end: str | None = None,
    types: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    kinds: Iterable[Kind] | None = None,
    where: str | None = None,
) -> Play:
    """Return the events of one or several sessions, merged by time, as a program in this process wants them.

    ::

        clock = wsrecorder.VirtualClock()
        async for event in wsrecorder.play(["monday", "tuesday"], clock=clock):
            ...  # clock.now_ns() is event.elapsed_ns, clock.wall_ns() is event.received_ns

    On a `VirtualClock` they come as fast as they are taken, the clock stands at the time of each, and whoever sleeps
    on it is woken in between, at its own time. On any other clock they come when they are due. Every reader gets
    the same events in the same order, which `wsrecorder.stream_hash` proves. ``elapsed_ns`` counts from the
    beginning of the earliest session.

    Args:
        sessions: Sessions, or what they go by: path, id, unique prefix of an id, name, ``latest``; one or several.
        library: Folder of sessions; None is what WSREC_LIBRARY names, else ``./recordings``.
        speed: Session seconds per second of the clock, above 0, or ``max``; a virtual clock does without.
        clock: The time; None is a virtual clock of its own, ``.clock`` of what is returned.
        start: Where to begin: ``90s``, ``-10s`` from the end, or an ISO 8601 time; None is the beginning.
        end: Where to end, not included; None is the end.
        types: Only messages of these types; None is all events, marks too.
        exclude: No messages of these types.
        kinds: Only events of these kinds; None is all.
        where: Only events for which this SQL expression over the view ``events`` is true.

    Returns:
        An asynchronous iterable, with ``pause()``, ``resume()``, ``set_speed()`` and ``clock``.

    Raises:
        UsageError: What was asked for cannot be; the window lies outside of the sessions.
        SessionError: A session is not there or cannot be read.
    """
    several = [sessions] if isinstance(sessions, (Session, str, Path)) else list(sessions)
    options = PlayOptions(
        speed=speed_of(speed),
        start=None if start is None else parse_moment(start),
        end=None if end is None else parse_moment(end),
        types=None if types is None else words_of(types),
        exclude=words_of(exclude),
        kinds=None if kinds is None else frozenset(kinds),
        where=where,
    )
    stores = [_store(session, library_path(library)) for session in several]
    return Play(stores, options, VirtualClock() if clock is None else clock)


def _store(session: Session | str | Path, library: Place) -> Store:
    return session.store if isinstance(session, Session) else Library(library).find(str(session))
