"""A day of a replay that loops, in virtual time, with clients that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from benchmarks.load import payloads
from torture.listening import Listener, listen
from torture.sessions import even_session
from torture.vitals import Soaked, Vitals
from wsrecorder.clock import VirtualClock
from wsrecorder.core.event import Kind
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import AtEnd, ReplayOptions
from wsrecorder.net.endpoint import SlowClient
from wsrecorder.net.feed import loop_factory
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import ParquetStore

__all__ = ["replay_day"]

_LOOKS: Final = 90
_LOOKS_AN_HOUR: Final = 30
_LEAST_LOOKS: Final = 12
_SETTLE: Final = 6
_EVENTS: Final = 3_000
_INTERVAL_NS: Final = 200_000_000
_STAYING: Final = 3
_GUESTS: Final = 3
_HEARTBEAT: Final = b'{"type": "HEARTBEAT"'


class Faithful(Listener):
    """One that stays, and holds each frame against what is next.

    Attributes:
        wrong: The first frame that was not what is next, and its place; empty while there is none.

    Args:
        cycle: What is sent over and over.
    """

    def __init__(self, cycle: Sequence[bytes]) -> None:
        super().__init__()
        self.wrong = ""
        self._cycle = cycle

    def on_frame(self, payload: bytes, opcode: int) -> None:
        """Look at a frame; heartbeats are the endpoint's own."""
        if payload.startswith(_HEARTBEAT):
            return
        if payload != self._cycle[self.heard % len(self._cycle)] and not self.wrong:
            self.wrong = f"frame {self.heard} is {payload[:80]!r}"
        super().on_frame(payload, opcode)


def replay_day(seed: int, hours: float, folder: Path) -> Soaked:
    """Replay for so many hours of virtual time.

    Args:
        seed: Who comes and how they go is drawn from it.
        hours: How long.
        folder: For the session.
    """
    session = even_session(folder, "loop", payloads(_EVENTS), _INTERVAL_NS)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_replay_day(Random(seed), hours, session))


async def _replay_day(chance: Random, hours: float, session: Path) -> Soaked:
    clock, vitals = VirtualClock(settle=_SETTLE), Vitals()
    store = ParquetStore(session)
    options = ReplayOptions(port=0, at_end=AtEnd.LOOP, slow_client=SlowClient.WAIT, wait_for=_STAYING)
    cycle = _cycle(store)
    looks = max(_LEAST_LOOKS, min(_LOOKS, round(_LOOKS_AN_HOUR * hours)))
    events = hours * 3_600e9 / _INTERVAL_NS
    visits = 0
    async with Replay([store], options, clock) as replay:
        with clock.held():
            staying = [await listen(replay.url, Faithful(cycle)) for _ in range(_STAYING)]
        for number in range(looks):
            # By what was played, not by the clock: it runs on while a thread reads what comes next.
            await _settled(lambda due=(number + 1) * events / looks: staying[0].heard >= due)  # type: ignore[misc]
            # The playbacks of guests that have gone are kept for a minute.
            await _settled(lambda: len(replay.endpoint.clients) == _STAYING and len(replay.playbacks) == 1)
            with clock.held():
                vitals.look()
                guests = []
                for _ in range(_GUESTS):
                    visits += 1
                    guests.append(await listen(replay.url + _query(chance, visits), Listener()))
            for guest in guests:
                await guest.hear(20)
                await guest.leave(chance)
        assert replay.shared is not None
        replay.shared.pause()
        sent = replay.shared.state.frames_sent
        await _settled(lambda: all(listener.heard >= sent for listener in staying))
        wrong = next((listener.wrong for listener in staying if listener.wrong), "")
        if any(listener.heard != sent for listener in staying):
            wrong = wrong or f"{sent} frames were sent, {[listener.heard for listener in staying]} came"
        played_h = sent * _INTERVAL_NS / 3_600e9
        work = f"{played_h:.1f} h, {sent:,} frames in {replay.shared.state.passes} passes, {visits} visitors"
        for listener in staying:
            await listener.leave(chance)
    return vitals.soaked(work, wrong)


def _cycle(store: ParquetStore) -> list[bytes]:
    rows = (batch.column("text").to_pylist() for batch in store.batches(Selection(kinds=frozenset({Kind.MESSAGE}))))
    payloads = [text.encode() for texts in rows for text in texts]
    return [payload for payload in payloads if not payload.startswith(_HEARTBEAT)]


def _query(chance: Random, number: int) -> str:
    """Return nothing for the shared playback, or a key for one of its own."""
    return chance.choice(("", f"?session={number}", f"?session={number}&speed=2"))


async def _settled(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not is_so():  # noqa: ASYNC110 - sockets tell nobody
            await asyncio.sleep(0.001)
