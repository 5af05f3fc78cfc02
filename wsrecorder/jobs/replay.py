"""Replay sessions over an endpoint that stands in for the live server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Final, Self

from wsrecorder.clock import Clock
from wsrecorder.core.distribution import Distribution
from wsrecorder.errors import UsageError, WsrecError
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.outages import read_outages
from wsrecorder.jobs.playback import Playback
from wsrecorder.jobs.priming import primer_for
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.replay_options import AtEnd, ReplayOptions, ReplayReport, ReplayState
from wsrecorder.jobs.wishes import read_wishes
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint, EndpointOptions
from wsrecorder.store.session import Store

__all__ = ["Replay", "replay"]

_LOG: Final = logging.getLogger("wsrecorder.replay")

# Close codes (RFC 6455, section 7.4.1): played to the end, asked for the impossible, broken, and ended in the middle,
# which looks as it does when the live server is restarted.
_NORMAL: Final = 1000
_POLICY_VIOLATION: Final = 1008
_INTERNAL_ERROR: Final = 1011
_SERVICE_RESTART: Final = 1012

_CANNOT_GO_ON: Final = "the recording cannot be read any further"


class Replay:
    """A replay, serving while its context is open.

    ::

        async with Replay(stores, options, clock) as running:
            await running.finished.wait()

    Attributes:
        endpoint: Where clients connect.
        faults: What goes wrong on purpose; can be changed at any time.
        finished: Set when everything was played (never with ``at_end`` loop), or cannot be played any
            further; with a playback for each client, while none of them plays.
        over: Set when the replay should end by itself: everything was played with ``at_end`` exit, or
            it cannot be played any further.
        error: What ended the playing, or None.
        shared: The playback that all clients share, to be controlled; None where each has its own.

    Args:
        stores: The sessions, merged by time.
        options: How to replay.
        clock: Where the time comes from.

    Raises:
        UsageError: The window lies outside of the sessions.
        SessionError: A session cannot be read.
        EndpointError: The address or port cannot be had (on entering the context).
    """

    def __init__(self, stores: Sequence[Store], options: ReplayOptions, clock: Clock) -> None:
        self.options = options
        self.finished = asyncio.Event()
        self.over = asyncio.Event()
        self.error: BaseException | None = None
        self.shared: Playback | None = None
        self._clock = clock
        self._programme = programme = Programme(stores, options)
        endpoint_options = EndpointOptions(
            host=options.host,
            port=options.port,
            path=programme.path,
            subprotocol=programme.subprotocol,
            slow_client=options.slow_client_policy,
            client_buffer_bytes=options.client_buffer_bytes,
        )
        self.endpoint = Endpoint(
            endpoint_options, now_ns=clock.now_ns, wall_ns=clock.wall_ns, heartbeat=programme.heartbeat()
        )
        self.faults = Faults(
            options.faults, options.seed, self.endpoint, clock,
            read_outages=lambda: read_outages(stores), check_types=programme.check_types, on_error=self._fail,
        )  # fmt: skip
        self._primer = primer_for(programme, options)
        self._tasks: set[asyncio.Task[None]] = set()
        self._own: dict[int, Playback] = {}
        self._playing: set[int] = set()
        self._frames_gone = 0
        self._primed_gone = 0
        self._lateness_gone = Distribution()
        self._measured_gone = (0.0, 0.0)
        self._passes_gone = 0

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self.endpoint.url

    async def __aenter__(self) -> Self:
        await self.faults.prepare()
        if self.options.per_client:
            self.endpoint.on_join = self._begin_own
            self.endpoint.on_leave = self._end_own
        else:
            self.shared = self._playback(None, self.options.speed, *self._window, self.options.types)
            self.endpoint.on_join = self._welcome
        await self.endpoint.__aenter__()
        self.faults.begin()
        if self._primer is not None:
            self._primer.start()
        if self.shared is not None:
            self._start(self._play_shared(self.shared))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for playback in self._playbacks:
            playback.close()
        if self._primer is not None:
            self._primer.close()
        await self.faults.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.error is not None:
            await self.endpoint.close(_INTERNAL_ERROR, _CANNOT_GO_ON)
        else:
            await self.endpoint.close(_NORMAL if self.finished.is_set() else _SERVICE_RESTART)

    # One playback for all.

    async def _play_shared(self, playback: Playback) -> None:
        await self.endpoint.wait_for_clients(self.options.wait_for)
        playback.resume()
        passes = 0
        while await self._play(playback):
            if playback.player.passes > passes:  # else some control came after the end, and nothing was played
                passes = playback.player.passes
                if self.options.at_end is AtEnd.CLOSE:
                    await self.endpoint.close_clients(_NORMAL)
                self._finish()
            await playback.wait_for_control()

    def _welcome(self, client: Client) -> None:
        if self.shared is not None and (welcoming := self.shared.welcome(client)) is not None:
            self._start(welcoming)

    # One playback for each client.

    def _begin_own(self, client: Client) -> None:
        try:
            speed, start_ns, stop_ns, types = read_wishes(client.query, self.options, self._programme)
        except UsageError as exc:
            _LOG.warning("%s asked for the impossible: %s", client, exc.message)
            self._start(client.close(_POLICY_VIOLATION, _reason(exc.message), self.endpoint.options.close_timeout_s))
            return
        playback = self._playback((client,), speed, start_ns, stop_ns, types)
        self._own[client.number] = playback
        self._playing.add(client.number)
        self.finished.clear()
        self._start(self._play_own(client, playback))

    async def _play_own(self, client: Client, playback: Playback) -> None:
        if self.options.wait_for > 1:
            await self.endpoint.wait_for_clients(self.options.wait_for)
        playback.resume()
        if await self._play(playback) and self.options.at_end in (AtEnd.CLOSE, AtEnd.EXIT):
            await client.close(_NORMAL, "", self.endpoint.options.close_timeout_s)
        self._ended_own(client)

    def _ended_own(self, client: Client) -> None:
        self._playing.discard(client.number)
        if not self._playing and self.endpoint.clients_served >= self.options.wait_for:
            self._finish()

    def _end_own(self, client: Client) -> None:
        playback = self._own.pop(client.number, None)
        if playback is not None:
            playback.close()
            self._ended_own(client)
            self._frames_gone += playback.frames_sent
            self._primed_gone += playback.primed
            self._lateness_gone.merge(playback.lateness)
            self._measured_gone = _sum(self._measured_gone, playback.measured())
            self._passes_gone += playback.player.passes

    # What both have in common.

    @property
    def _window(self) -> tuple[int, int | None]:
        return self._programme.start_ns, self._programme.stop_ns

    @property
    def _playbacks(self) -> list[Playback]:
        return [*self._own.values(), *([self.shared] if self.shared else [])]

    def _playback(
        self,
        to: Sequence[Client] | None,
        speed: float,
        start_ns: int,
        stop_ns: int | None,
        types: frozenset[str] | None,
    ) -> Playback:
        return Playback(
            self._programme, self.endpoint, self.options, self._clock,
            to=to, start_ns=start_ns, stop_ns=stop_ns, types=types, speed=speed, faults=self.faults,
            primer=self._primer,
        )  # fmt: skip

    async def _play(self, playback: Playback) -> bool:
        """Play to the end; return False when it was closed before, or the session could not be read that far."""
        try:
            await playback.run()
        except WsrecError as exc:
            _LOG.error("%s", exc.message)
            self._fail(exc)
            await self.endpoint.close_clients(_INTERNAL_ERROR, _CANNOT_GO_ON)
            return False
        return playback.is_over

    def _finish(self) -> None:
        self.finished.set()
        if self.options.at_end is AtEnd.EXIT:
            self.over.set()

    def _fail(self, error: BaseException) -> None:
        self.error = self.error or error
        self.finished.set()
        self.over.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)  # our own mistake: whoever waits for the replay must hear of it

    # What there is to see.

    @property
    def state(self) -> ReplayState:
        """How it stands now; with a playback for each client, of the one that has come furthest."""
        playbacks = self._playbacks
        ahead = max(playbacks, key=Playback.position_ns, default=None)
        report = self.report()
        position_ns = self._programme.start_ns if ahead is None else ahead.position_ns()
        end_ns = self._programme.end_ns if self._programme.stop_ns is None else self._programme.stop_ns
        return ReplayState(
            status=self._status(ahead),
            position_ns=position_ns,
            start_ns=self._programme.start_ns,
            end_ns=max(end_ns, position_ns),  # a session that still grows is played past the end it had at first
            speed=self.options.speed if ahead is None else ahead.player.speed,
            achieved_speed=report.achieved_speed,
            frames_sent=report.frames_sent,
            clients=len(self.endpoint.clients),
            lateness=report.lateness,
        )

    def _status(self, ahead: Playback | None) -> str:
        if self.error is not None or (ahead is not None and ahead.is_over):
            return "ended"
        if ahead is None or not ahead.player.passes:
            return "waiting"
        return "paused" if ahead.player.is_paused else "playing"

    def report(self) -> ReplayReport:
        """Return what it has measured of itself so far."""
        playbacks = self._playbacks
        lateness = Distribution()
        measured = self._measured_gone
        lateness.merge(self._lateness_gone)
        for playback in playbacks:
            lateness.merge(playback.lateness)
            measured = _sum(measured, playback.measured())
        playing_s, session_s = measured
        return ReplayReport(
            frames_sent=self._frames_gone + sum(playback.frames_sent for playback in playbacks),
            primed=self._primed_gone + sum(playback.primed for playback in playbacks),
            passes=self._passes_gone + sum(playback.player.passes for playback in playbacks),
            playing_s=playing_s,
            session_s=session_s,
            speed=None if self.options.speed == float("inf") else self.options.speed,
            achieved_speed=session_s / playing_s if playing_s else None,
            lateness=lateness,
            clients=self.endpoint.stats(),
            slow_closed=self.endpoint.slow_closed,
            faults=self.faults.report(),
        )


async def replay(
    stores: Sequence[Store],
    options: ReplayOptions,
    clock: Clock,
    stop: asyncio.Event,
    on_started: Callable[[Replay], None] | None = None,
) -> ReplayReport:
    """Replay sessions until ``stop`` is set, or to the end with ``at_end`` exit.

    Args:
        stores: The sessions, merged by time.
        options: How to replay.
        clock: Where the time comes from.
        stop: Set it to close everything and return.
        on_started: Told the replay, whose ``state`` can be shown, once it serves.

    Returns:
        What it measured of itself.

    Raises:
        UsageError: The window lies outside of the sessions.
        SessionError: A session cannot be read (to its end).
        EndpointError: The address or port cannot be had.
    """
    async with Replay(stores, options, clock) as running:
        _LOG.info("serving %s", running.url)
        if on_started is not None:
            on_started(running)
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(running.over.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
    if running.error is not None:
        raise running.error
    return running.report()


def _sum(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return first[0] + second[0], first[1] + second[1]


def _reason(text: str) -> str:
    """Return as much of a text as fits into a close frame: 123 bytes (RFC 6455, section 5.5)."""
    return text.encode()[:123].decode(errors="ignore")
