"""Replay sessions over an endpoint that stands in for the live server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from wsrecorder.clock import Clock
from wsrecorder.errors import OwnMistake, UsageError, WsrecError
from wsrecorder.jobs.endings import CANNOT_GO_ON, INTERNAL_ERROR, NORMAL, POLICY_VIOLATION, SERVICE_RESTART, first_of
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.outages import read_outages
from wsrecorder.jobs.party import Party
from wsrecorder.jobs.playback import Playback
from wsrecorder.jobs.playbacks import Playbacks
from wsrecorder.jobs.priming import primer_for
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.replay_figures import ReplayFigures
from wsrecorder.jobs.replay_options import AtEnd, ReplayOptions, ReplayReport, ReplayState
from wsrecorder.jobs.wishes import close_reason, playback_name, read_wishes, session_key
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint, EndpointOptions
from wsrecorder.store.notes import NoteBook
from wsrecorder.store.session import Store

__all__ = ["Replay", "replay"]

_LOG: Final = logging.getLogger("wsrecorder.replay")


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
        over: Set when it should end by itself: all was played with ``at_end`` exit, or it cannot go on.
        error: What ended the playing, or None.
        shared: The playback that all clients share but those that name a session; None where each has its own.
        stores: The sessions.
        notes: The session's notes; None where there are several sessions.
        console_url: Where its console is, with its token; None where it has none beside it.
        mishaps: The errors of our own making; each ends one client's or one playback's part at most.

    Args:
        stores: The sessions, merged by time.
        options: How to replay.
        clock: Where the time comes from.
        mishaps: Takes those errors.

    Raises:
        UsageError: The window lies outside of the sessions.
        SessionError: A session cannot be read.
        EndpointError: The address or port cannot be had (on entering the context).
    """

    def __init__(
        self, stores: Sequence[Store], options: ReplayOptions, clock: Clock, mishaps: Mishaps | None = None
    ) -> None:
        self.options = options
        self.finished = asyncio.Event()
        self.over = asyncio.Event()
        self.error: BaseException | None = None
        self.shared: Playback | None = None
        self.console_url: str | None = None
        self.mishaps = mishaps or Mishaps()
        self._clock = clock
        self.stores = stores
        self.notes = NoteBook(stores[0].path) if len(stores) == 1 else None
        self._programme = programme = Programme(stores, options)
        endpoint_options = EndpointOptions(
            host=options.host, port=options.port, path=programme.path, subprotocol=programme.subprotocol,
            slow_client=options.slow_client_policy,
            client_buffer_bytes=options.client_buffer_bytes,
            access=options.access,
        )  # fmt: skip
        self.endpoint = Endpoint(
            endpoint_options, now_ns=clock.now_ns, wall_ns=clock.wall_ns, heartbeat=programme.heartbeat()
        )
        self.endpoint.on_mishap = partial(self.mishaps.note, "client")
        self.faults = Faults(
            options.faults, options.seed, self.endpoint, clock,
            read_outages=lambda: read_outages(stores), check_types=programme.check_types,
            on_error=partial(self._take_error, "faults"),
        )  # fmt: skip
        self._primer = primer_for(programme, options)
        self._tasks: set[asyncio.Task[None]] = set()
        self._all = Playbacks()
        self._figures = ReplayFigures(self._all, programme, options, self.endpoint, self.faults, self.mishaps)
        self._parties: dict[str, Party] = {}
        self._playing: set[str] = set()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self.endpoint.url

    async def __aenter__(self) -> Self:
        await self.faults.prepare()
        self.endpoint.on_join = self._welcome
        self.endpoint.on_leave = self._part
        if not self.options.per_client:
            wishes = read_wishes("", self.options, self._programme)
            self.shared = self._playback("shared", None, *wishes)
        await self.endpoint.__aenter__()
        self.faults.begin()
        if self._primer is not None:
            self._primer.start()
        if self.shared is not None:
            self._start(self._play(self.shared, self.endpoint.wait_for_audience, self.options.wait_for))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for playback in self._all.here:
            playback.close()
        if self._primer is not None:
            self._primer.close()
        await self.faults.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.error is not None:
            await self.endpoint.close(INTERNAL_ERROR, CANNOT_GO_ON)
        else:
            await self.endpoint.close(NORMAL if self.finished.is_set() else SERVICE_RESTART)

    # Who sees what.

    def _welcome(self, client: Client) -> None:
        name = playback_name(client.query, client.number, is_shared=self.shared is not None)
        client.is_apart = name != "shared"
        party = self._parties.get(name)
        playback = party.playback if party else self._all.get(name)
        if playback is not None and playback.error is not None:
            self.endpoint.dismiss([client], INTERNAL_ERROR, CANNOT_GO_ON)
            return
        if playback is None:
            self._begin_party(name, client)
            return
        if (welcoming := playback.welcome(client)) is not None:
            self._start(welcoming)
        if party is not None:
            party.join(client)

    def _part(self, client: Client) -> None:
        party = self._parties.get(playback_name(client.query, client.number, is_shared=self.shared is not None))
        if party is not None and client in party.clients:
            party.leave(client)
            self._start(self._end_if_deserted(party))

    def _begin_party(self, name: str, client: Client) -> None:
        try:
            wishes = read_wishes(client.query, self.options, self._programme)
        except UsageError as exc:
            _LOG.warning("%s asked for the impossible: %s", client, exc.message)
            self._start(
                client.close(POLICY_VIOLATION, close_reason(exc.message), self.endpoint.options.close_timeout_s)
            )
            return
        clients = [client]
        playback = self._playback(name, clients, *wishes)
        is_keyed = session_key(client.query) is not None
        self._parties[name] = Party(playback, clients, is_kept=is_keyed)
        self._playing.add(name)
        self.finished.clear()
        wait_for = 0 if is_keyed else self.options.wait_for  # one for each client begins when all are there
        self._start(self._play(playback, self.endpoint.wait_for_clients, wait_for))

    async def _end_if_deserted(self, party: Party) -> None:
        playback = party.playback
        if await party.is_deserted(self._clock) and self._parties.get(playback.name) is party:
            del self._parties[playback.name]
            self._all.remove(playback)
            if self.shared is None or self.shared.is_over:  # else it may still begin
                self._note_ended(playback)
            self._end_if_broken()

    def _playback(
        self, name: str, to: Sequence[Client] | None, speed: float,
        start_ns: int, stop_ns: int | None, types: frozenset[str] | None,
    ) -> Playback:  # fmt: skip
        playback = Playback(
            self._programme, self.endpoint, self.options, self._clock,
            name=name, to=to, start_ns=start_ns, stop_ns=stop_ns, types=types, speed=speed, faults=self.faults,
            primer=self._primer, notes=self.notes,
        )  # fmt: skip
        self._all.add(playback)
        return playback

    # Playing.

    async def _play(self, playback: Playback, wait: Callable[[int], Awaitable[None]], wait_for: int) -> None:
        try:
            await self._play_on(playback, wait, wait_for)
        except Exception as exc:
            await self._break_off(playback, exc)

    async def _break_off(self, playback: Playback, error: Exception) -> None:
        """End a playback by a mistake of ours, and the part of those who see it; the others go on."""
        self.mishaps.note("playback", error, f"{playback.name} is played no further, others go on")
        hint = "the log has a traceback, please report it"
        playback.error = OwnMistake(f"{playback.name} was ended", error, hint=hint)
        party = self._parties.get(playback.name)
        self._all.forget(playback)
        self._note_ended(playback)
        self._end_if_broken()
        to = self.endpoint.audience if party is None else tuple(party.clients)
        await self.endpoint.close_clients(INTERNAL_ERROR, CANNOT_GO_ON, to)

    def _end_if_broken(self) -> None:
        """End when what all share cannot go on, and nobody has anything else."""
        if self.shared is not None and isinstance(self.shared.error, OwnMistake) and not self._parties:
            self._fail(self.shared.error)

    async def _play_on(self, playback: Playback, wait: Callable[[int], Awaitable[None]], wait_for: int) -> None:
        await wait(wait_for)
        playback.begin()
        passes = 0
        while await self._run(playback):
            if playback.player.passes > passes:  # else some control came after the end, and nothing was played
                passes = playback.player.passes
                await self._close_at_end(playback)
                self._note_ended(playback)
            await playback.wait_for_control()
        self._all.forget(playback)

    async def _run(self, playback: Playback) -> bool:
        """Play to the end; return False when it was closed before, or the session could not be read that far."""
        self._playing.add(playback.name)
        try:
            await playback.run()
        except WsrecError as exc:
            _LOG.error("%s", exc.message)
            self._fail(exc)
            await self.endpoint.close_clients(INTERNAL_ERROR, CANNOT_GO_ON)
            return False
        finally:
            self._playing.discard(playback.name)
        return playback.is_over

    async def _close_at_end(self, playback: Playback) -> None:
        at_end, party = self.options.at_end, self._parties.get(playback.name)
        if at_end is AtEnd.CLOSE or (at_end is AtEnd.EXIT and party is not None):
            await self.endpoint.close_clients(NORMAL, to=self.endpoint.audience if party is None else party.clients)

    def _note_ended(self, playback: Playback) -> None:
        self._playing.discard(playback.name)
        if not self._playing and self.endpoint.clients_served >= self.options.wait_for:
            self._finish()

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
            self._take_error("client", error)

    def _take_error(self, place: str, error: BaseException) -> None:
        """Take the error of a task beside the playing: one that was expected ends all, one of ours itself alone."""
        if isinstance(error, WsrecError):
            self._fail(error)
        else:
            self.mishaps.note(place, error, "what is played goes on")

    # What there is to see, and to control.

    @property
    def playbacks(self) -> list[Playback]:
        """Those that are here, in the order in which they came."""
        return self._all.here

    def playback(self, name: str | None = None) -> Playback:
        """Return the playback of this name; without a name the shared one, or else the only one.

        Raises:
            UsageError: There is none, or it takes a name to tell which.
        """
        return self._all.find(name)

    @property
    def state(self) -> ReplayState:
        """How it stands now; with a playback for each client, of the one that has come furthest."""
        return self._figures.state(is_broken=self.error is not None)

    def report(self) -> ReplayReport:
        """Return what it has measured of itself so far."""
        return self._figures.report()


async def replay(
    stores: Sequence[Store],
    options: ReplayOptions,
    clock: Clock,
    stop: asyncio.Event,
    on_started: Callable[[Replay], None] | None = None,
    mishaps: Mishaps | None = None,
) -> ReplayReport:
    """Replay sessions until ``stop`` is set, or to the end with ``at_end`` exit.

    Args:
        stores: The sessions, merged by time.
        options: How to replay.
        clock: Where the time comes from.
        stop: Set it to close everything and return.
        on_started: Told the replay, whose ``state`` can be shown, once it serves.
        mishaps: Takes the errors of our own making.

    Returns:
        What it measured of itself.

    Raises:
        UsageError: The window lies outside of the sessions.
        SessionError: A session cannot be read (to its end).
        EndpointError: The address or port cannot be had.
    """
    async with Replay(stores, options, clock, mishaps) as running:
        _LOG.info("serving %s", running.url)
        if on_started is not None:
            on_started(running)
        await first_of(stop, running.over)
    if running.error is not None:
        raise running.error
    return running.report()
