"""Say to a server again what a recorded client said, and compare its answers with the recorded ones."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.core.alignment import Outcome
from wsrecorder.core.dialect import EnvelopeReader
from wsrecorder.core.event import Direction, Kind, Opcode
from wsrecorder.core.likeness import Likeness
from wsrecorder.core.rehearsal import Line, Rehearsal
from wsrecorder.core.saying import Matching, Said, by_json, changes
from wsrecorder.errors import SessionError
from wsrecorder.jobs.conversation import said_in
from wsrecorder.jobs.rule_book import matching_of
from wsrecorder.jobs.send_options import AnswerDifference, ConnectionReport, SendOptions, SendReport, WaitFor
from wsrecorder.net.feed import connect_feed
from wsrecorder.net.transport import Closed, FeedOptions, Link, Receiver
from wsrecorder.store.place import label
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["Connect", "send_session"]

_LOG: Final = logging.getLogger("wsrecorder.send")

Connect = Callable[[FeedOptions, Receiver, str], Awaitable[Link]]
"""Opens a connection, as `connect_feed` does."""


@dataclass(slots=True)
class _Script:
    """One recorded connection."""

    lines: list[Line] = field(default_factory=list)
    subprotocol: str | None = None
    first_ns: int = 0
    last_ns: int = 0


async def send_session(
    store: Store, options: SendOptions, clock: Clock, *, connect: Connect = connect_feed
) -> SendReport:
    """Say to a server what the clients of a session said.

    Each recorded connection is one again. It begins when those have ended that had ended before it; by time, at its
    recorded moment.

    Args:
        store: The session; it is held in memory.
        options: How.
        clock: Where the time comes from.
        connect: Opens connections.

    Raises:
        UsageError: What was asked for cannot be.
        SessionError: The session cannot be read, or no client said anything in it.
        FeedError: The server cannot be reached or refuses.
    """
    likeness = Likeness(options.ignore, options.ignore_paths)
    matching = by_json(likeness) if options.match == "json" else matching_of(options.match)
    scripts = await asyncio.to_thread(_scripts, store, options.conn)
    reader = EnvelopeReader(store.manifest().identity.dialect)
    began_ns, first_ns = clock.now_ns(), min(script.first_ns for script in scripts.values())
    ended = {conn: asyncio.Event() for conn in scripts}

    async def say(conn: int, script: _Script) -> ConnectionReport:
        try:
            if options.wait is WaitFor.TIME:
                await clock.sleep_until(_at(script.first_ns, first_ns, began_ns, options.speed))
            else:
                for other, before in scripts.items():
                    if other != conn and before.last_ns <= script.first_ns:
                        await ended[other].wait()
            talk = _Talk(conn, script, options, matching, likeness, reader, clock)
            return await talk.run(connect)
        finally:
            ended[conn].set()

    tasks = [asyncio.create_task(say(conn, script)) for conn, script in scripts.items()]
    try:
        reports = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return SendReport(
        FeedOptions(options.url, secrets=options.secrets).shown_url, store.manifest().identity.id, reports
    )


class _Talk:
    """One connection."""

    def __init__(
        self, conn: int, script: _Script, options: SendOptions, matching: Matching, likeness: Likeness,
        reader: EnvelopeReader, clock: Clock,
    ) -> None:  # fmt: skip
        self._conn = conn
        self._script = script
        self._options = options
        self._likeness = likeness
        self._reader = reader
        self._clock = clock
        self._rehearsal = Rehearsal(script.lines, matching)
        self._heard_ns = clock.now_ns()
        self._changed = asyncio.Event()
        self._closed: Closed | None = None

    # What the link tells.

    def on_open(self, subprotocol: str | None, is_deflated: bool) -> None:
        """Nothing to do."""

    def on_frame(self, payload: bytes, opcode: int) -> None:
        """Take an answer."""
        type_ = self._reader.read(payload)[0]
        if type_ is not None and type_ == self._reader.dialect.heartbeat_type:
            return
        self._rehearsal.hear(Said(payload, Opcode(opcode), type_))
        self._heard_ns = self._clock.now_ns()
        self._changed.set()

    async def run(self, connect: Connect) -> ConnectionReport:
        """Say all, and return what came of it."""
        options, subprotocol = self._options, self._script.subprotocol
        offered = options.subprotocols if options.subprotocols is not None else tuple(filter(None, [subprotocol]))
        feed = FeedOptions(
            options.url, headers=options.headers, origin=options.origin, subprotocols=offered,
            open_timeout_s=options.timeout_s, tls=options.tls, secrets=options.secrets,
        )  # fmt: skip
        link = await connect(feed, self, options.transport)
        watching = asyncio.create_task(self._watch(link))
        try:
            await self._say_all(link)
        finally:
            ended = self._closed
            if ended is None:
                await link.close()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return self._report(ended)

    async def _watch(self, link: Link) -> None:
        self._closed = await link.wait_closed()
        self._changed.set()

    async def _say_all(self, link: Link) -> None:
        rehearsal, began_ns = self._rehearsal, self._clock.now_ns()
        self._heard_ns = began_ns
        while (line := rehearsal.next_line) is not None:
            if self._options.wait is WaitFor.TIME:
                due_ns = _at(line.elapsed_ns, self._script.first_ns, began_ns, self._options.speed)
                while self._closed is None and self._clock.now_ns() < due_ns:
                    await self._wait(due_ns)
            elif not await self._answered():
                break
            if self._closed is not None:
                break
            link.send(line.said.payload, line.said.opcode)
            self._heard_ns = self._clock.now_ns()
            rehearsal.note_sent()
        else:
            await self._answered()

    async def _answered(self) -> bool:
        """Return whether all that is waited for has come, when it has, or nothing comes any more."""
        while not self._rehearsal.is_answered and self._closed is None:
            until_ns = self._heard_ns + round(self._options.timeout_s * 1e9)
            if self._clock.now_ns() >= until_ns:
                _LOG.warning("connection %d: nothing came for %g s", self._conn, self._options.timeout_s)
                return False
            await self._wait(until_ns)
        return self._rehearsal.is_answered

    async def _wait(self, until_ns: int) -> None:
        self._changed.clear()
        await self._clock.sleep_until(until_ns, wake=self._changed)

    def _report(self, ended: Closed | None) -> ConnectionReport:
        counts: Counter[Outcome] = Counter()
        differences: list[AnswerDifference] = []
        for match in self._rehearsal.compare():
            counts[match.outcome] += 1
            if match.outcome in (Outcome.SAME, Outcome.MOVED) or len(differences) >= self._options.limit:
                continue
            expected, found = (None if each is None else each.content for each in (match.before, match.after))
            said = found or expected
            assert said is not None  # a match is of one or two messages
            differs = changes(expected, found, self._likeness) if expected and found else ()
            seq = None if expected is None else expected.seq
            differences.append(AnswerDifference(match.outcome, said.type, seq, said.payload, differs))
        return ConnectionReport(
            conn=self._conn,
            sent=self._rehearsal.sent,
            unsent=self._rehearsal.unsent,
            expected=sum(not line.is_ours for line in self._script.lines),
            received=len(self._rehearsal.found),
            counts=counts,
            differences=differences,
            close_code=None if ended is None else ended.code,
            close_reason="" if ended is None else ended.reason,
        )


def _scripts(store: Store, conn: int | None) -> dict[int, _Script]:
    """Return what was recorded on each connection on which a client said something."""
    beat = store.manifest().identity.dialect.heartbeat_type
    columns = ("seq", "kind", "conn", "direction", "elapsed_ns", "type", "text", "binary", "detail")
    selection = Selection(
        columns=columns,
        exclude=frozenset([beat] if beat else ()),
        kinds=frozenset({Kind.MESSAGE, Kind.OPEN}),
        conn=conn,
    )
    scripts: dict[int, _Script] = {}
    for rows in store.batches(selection):
        directions, found = rows.column("direction").to_pylist(), rows.column("kind").to_pylist()
        details = rows.column("detail").to_pylist()
        for row, (number, _, elapsed_ns, said) in enumerate(said_in(rows)):
            script = scripts.setdefault(number, _Script(first_ns=elapsed_ns))
            script.last_ns = elapsed_ns
            if found[row] == Kind.OPEN:
                script.subprotocol = json.loads(details[row] or "{}").get("subprotocol")
            else:
                script.lines.append(Line(said, directions[row] == Direction.OUT, elapsed_ns))
    said_something = {n: script for n, script in scripts.items() if any(line.is_ours for line in script.lines)}
    if not said_something:
        where = "" if conn is None else f" on connection {conn}"
        raise SessionError(
            f"a client said nothing{where} in {label(store.path)} (direction out), so there is nothing to send",
            hint='"wsrec tap" records both directions',
        )
    return said_something


def _at(elapsed_ns: int, from_ns: int, began_ns: int, speed: float) -> int:
    return began_ns + round((elapsed_ns - from_ns) / speed)
