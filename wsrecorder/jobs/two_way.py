"""Replay a session as the dialogue that it was: each client is answered what was recorded as the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Final, Self

from wsrecorder.clock import Clock
from wsrecorder.core.dialect import EnvelopeReader
from wsrecorder.core.dialogue import Dialogue, LooseDialogue, StrictDialogue, Turn
from wsrecorder.core.distribution import Distribution
from wsrecorder.core.ruled_dialogue import RuledDialogue
from wsrecorder.core.timeline import Axis
from wsrecorder.errors import UsageError, WsrecError
from wsrecorder.jobs.conversation import Conversation
from wsrecorder.jobs.dialogue_playback import ClientDialogue, DialoguePlayback
from wsrecorder.jobs.endings import CANNOT_GO_ON, INTERNAL_ERROR, NORMAL, POLICY_VIOLATION, SERVICE_RESTART, first_of
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.outages import read_outages
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.recorded_connections import RecordedConnection, read_connections
from wsrecorder.jobs.replay_options import AtEnd, ReplayOptions, ReplayState
from wsrecorder.jobs.rule_book import compiled_rules, matching_of
from wsrecorder.jobs.turn_player import TurnPlayer
from wsrecorder.jobs.two_way_options import TwoWay, TwoWayOptions, TwoWayReport
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint, EndpointOptions
from wsrecorder.net.endpoint_options import SlowClient
from wsrecorder.store.session import Store

__all__ = ["TwoWayReplay", "two_way_replay"]

_LOG: Final = logging.getLogger("wsrecorder.replay")


_KEPT: Final = 1_000


class TwoWayReplay:
    """A two-way replay, serving while its context is open.

    Attributes:
        endpoint: Where clients connect.
        faults: What goes wrong on purpose.
        over: Set when it should end by itself: all was played with ``at_end`` exit, or it cannot go on.
        error: What ended it, or None.
        mishaps: The errors of our own making.

    Args:
        store: The session.
        options: How to replay.
        two_way: How to talk.
        clock: Where the time comes from.
        mishaps: Takes the errors of our own making, each of which ends one client's dialogue at most.

    Raises:
        UsageError: What was asked for cannot be.
        SessionError: The session cannot be read, or holds no dialogue (also on entering the context).
        EndpointError: The address or port cannot be had (on entering the context).
    """

    def __init__(
        self, store: Store, options: ReplayOptions, two_way: TwoWayOptions, clock: Clock, mishaps: Mishaps | None = None
    ) -> None:
        _check(options, two_way)
        self.options = options
        self.two_way = two_way
        self.over = asyncio.Event()
        self.error: BaseException | None = None
        self.mishaps = mishaps or Mishaps()
        self._clock = clock
        self._programme = programme = Programme([store], options)
        self._store = store
        self._conversation = Conversation(programme, options.types)
        self._connections: list[RecordedConnection] = []  # known with in_turn only
        self._reader = EnvelopeReader(store.manifest().identity.dialect)
        self._matching = matching_of(two_way.match)
        self._rules, self._plays = compiled_rules(two_way.rules or ())
        endpoint_options = EndpointOptions(
            host=options.host,
            port=options.port,
            path=programme.path,
            subprotocol=programme.subprotocol,
            slow_client=options.slow_client or SlowClient.WAIT,
            client_buffer_bytes=options.client_buffer_bytes,
            access=options.access,
        )
        self.endpoint = Endpoint(
            endpoint_options, now_ns=clock.now_ns, wall_ns=clock.wall_ns, heartbeat=programme.heartbeat()
        )
        self.endpoint.on_mishap = partial(self.mishaps.note, "client")
        self.endpoint.on_join = self._begin
        self.endpoint.on_inbound = self._hear
        self.endpoint.on_leave = self._end
        self.faults = Faults(
            options.faults, options.seed, self.endpoint, clock,
            read_outages=lambda: read_outages([store]), check_types=programme.check_types, on_error=self._take_error,
        )  # fmt: skip
        self._talks: dict[int, tuple[DialoguePlayback, asyncio.Task[None]]] = {}
        self._gone: list[ClientDialogue] = []
        self._frames_gone = 0
        self._lateness_gone = Distribution()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_complete = False

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self.endpoint.url

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._conversation.read)
        if self.two_way.in_turn:
            self._connections = await asyncio.to_thread(read_connections, self._store)
        elif not self._rules:
            self._conversation.turns_on(self.two_way.conn)  # that there is a dialogue at all
        await self.faults.prepare()
        await self.endpoint.__aenter__()
        self.faults.begin()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.faults.close()
        talking = [task for _, task in self._talks.values()]
        for task in [*talking, *self._tasks]:
            task.cancel()
        await asyncio.gather(*talking, *self._tasks, return_exceptions=True)
        code = INTERNAL_ERROR if self.error else NORMAL if self._is_complete else SERVICE_RESTART
        await self.endpoint.close(code, CANNOT_GO_ON if self.error else "")

    # One dialogue for each client.

    def _begin(self, client: Client) -> None:
        options, own = self.options, self._own_connection(client)
        player = TurnPlayer(
            client, self.endpoint, self._clock, start_ns=self._programme.start_ns if own is None else own.opened_ns,
            speed=options.speed, max_gap_ns=options.max_gap_ns, faults=self.faults,
        )  # fmt: skip
        playback = DialoguePlayback(
            client, self._dialogue(player) if own is None else self._dialogue_on(own), player, self._answers,
            is_ready=self._conversation.is_held, reader=self._reader, clock=self._clock,
            match_timeout_s=self.two_way.match_timeout_s,
        )  # fmt: skip
        self._talks[client.number] = (playback, asyncio.create_task(self._talk(client, playback)))

    def _dialogue(self, player: TurnPlayer) -> Dialogue:
        conversation, two_way = self._conversation, self.two_way
        if self._rules:
            return RuledDialogue(self._rules, partial(self._rule_turn, player))
        if two_way.mode is TwoWay.LOOSE:
            return LooseDialogue(conversation.all_turns(two_way.conn), self._matching)
        return StrictDialogue(conversation.turns_on(two_way.conn), self._matching)

    def _own_connection(self, client: Client) -> RecordedConnection | None:
        return self._connections[min(client.number, len(self._connections)) - 1] if self._connections else None

    def _dialogue_on(self, own: RecordedConnection) -> Dialogue:
        turns = self._conversation.turns_since(own.conn, own.opened_ns, heads=self.two_way.mode is not TwoWay.TIMED)
        loose = self.two_way.mode is TwoWay.LOOSE
        return LooseDialogue(turns, self._matching) if loose else StrictDialogue(turns, self._matching)

    def _rule_turn(self, player: TurnPlayer, rule: int) -> Turn:
        assert self.two_way.rules is not None
        begins_ns = self._programme.start_ns if self.two_way.rules[rule].from_start else player.position_ns()
        return Turn(self.two_way.conn, None, begins_ns, 0, None, rule)

    def _answers(self, turn: Turn) -> Iterator[PlayBatch]:
        return self._conversation.answers(turn, None if turn.rule is None else self._plays[turn.rule])

    async def _talk(self, client: Client, playback: DialoguePlayback) -> None:
        try:
            await self.endpoint.wait_for_clients(self.options.wait_for)
            await playback.run()
        except WsrecError as exc:
            _LOG.error("%s", exc.message)
            self._fail(exc)
            return
        except Exception as exc:
            self.mishaps.note("client", exc, f"{client} is closed (1011), others go on")
            self.endpoint.dismiss([client], INTERNAL_ERROR, "unexpected error")
            return
        timeout_s = self.endpoint.options.close_timeout_s
        if playback.mismatch is not None:
            _LOG.error(
                "%s did not say what was expected:\n%s", client, "\n".join(playback.mismatch.lines()),
                extra={"without_payload": f"{client} did not say what was expected"},
            )  # fmt: skip
            await client.close(POLICY_VIOLATION, _reason(playback.mismatch.reason), timeout_s)
        elif self.options.at_end in (AtEnd.CLOSE, AtEnd.EXIT):
            await client.close(NORMAL, "", timeout_s)
        elif (own := self._own_connection(client)) is not None and own.farewell is not None:
            self.endpoint.dismiss([client], *own.farewell)
        self._note_done()

    def _note_done(self) -> None:
        """End by itself, if asked to, once nobody talks any more."""
        is_quiet = all(playback.is_done for playback, _ in self._talks.values())
        if self.options.at_end is AtEnd.EXIT and is_quiet and self.endpoint.clients_served >= self.options.wait_for:
            self._is_complete = True
            self.over.set()

    def _hear(self, client: Client, payload: bytes, opcode: int) -> None:
        playback, _ = self._talks[client.number]
        playback.hear(payload, opcode)

    def _end(self, client: Client) -> None:
        if client.number not in self._talks:
            return  # it could not even begin
        playback, task = self._talks.pop(client.number)
        if playback.mismatch is None and not playback.is_over:
            task.cancel()
        self._gone = [*self._gone[1 - _KEPT :], playback.report()]
        self._frames_gone += playback.turns.frames_sent
        self._lateness_gone.merge(playback.turns.lateness)
        playback.turns.close()
        self._keep(task)
        self._note_done()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._take_error(error)

    def _take_error(self, error: BaseException) -> None:
        if isinstance(error, WsrecError):
            self._fail(error)
        else:
            self.mishaps.note("client", error, "others go on")

    def _fail(self, error: BaseException) -> None:
        self.error = self.error or error
        self.over.set()

    # What there is to see.

    @property
    def state(self) -> ReplayState:
        """How it stands now, by the client that has come furthest."""
        talks = [playback for playback, _ in self._talks.values()]
        programme = self._programme
        end_ns = programme.end_ns if programme.stop_ns is None else programme.stop_ns
        position_ns = max((each.turns.position_ns() for each in talks), default=programme.start_ns)
        report = self.report()
        status = "waiting" if not talks else "ended" if all(each.is_over for each in talks) else "playing"
        return ReplayState(
            status="ended" if self.error else status,
            position_ns=position_ns,
            start_ns=programme.start_ns,
            end_ns=max(end_ns, position_ns),
            speed=self.options.speed,
            achieved_speed=None,
            frames_sent=report.frames_sent,
            clients=len(self.endpoint.clients),
            lateness=report.lateness,
        )

    def report(self) -> TwoWayReport:
        """Return what it has measured of itself so far."""
        lateness = Distribution()
        lateness.merge(self._lateness_gone)
        talks = [playback for playback, _ in self._talks.values()]
        for playback in talks:
            lateness.merge(playback.turns.lateness)
        return TwoWayReport(
            mode="rules" if self._rules else str(self.two_way.mode),
            frames_sent=self._frames_gone + sum(playback.turns.frames_sent for playback in talks),
            lateness=lateness,
            dialogues=[*self._gone, *(playback.report() for playback in talks)],
            clients=self.endpoint.stats(),
            refused=self.endpoint.turned_away.by_reason(),
            faults=self.faults.report(),
        )


async def two_way_replay(
    store: Store,
    options: ReplayOptions,
    two_way: TwoWayOptions,
    clock: Clock,
    stop: asyncio.Event,
    on_started: Callable[[TwoWayReplay], None] | None = None,
    mishaps: Mishaps | None = None,
) -> TwoWayReport:
    """Talk with clients until ``stop`` is set, or to the end of a dialogue with ``at_end`` exit.

    Args:
        store: The session.
        options: How to replay.
        two_way: How to talk.
        clock: Where the time comes from.
        stop: Set it to close everything and return.
        on_started: Told the replay once it serves.
        mishaps: Takes the errors of our own making.

    Returns:
        What it measured of itself.

    Raises:
        UsageError: What was asked for cannot be.
        SessionError: The session cannot be read (to its end), or holds no dialogue.
        EndpointError: The address or port cannot be had.
    """
    async with TwoWayReplay(store, options, two_way, clock, mishaps) as running:
        _LOG.info("serving %s", running.url)
        if on_started is not None:
            on_started(running)
        await first_of(stop, running.over)
    if running.error is not None:
        raise running.error
    return running.report()


def _check(options: ReplayOptions, two_way: TwoWayOptions) -> None:
    if options.axis is Axis.SENT:
        raise UsageError(
            "a dialogue is played by the times of receiving, --clock sent was asked for", hint="leave out --clock"
        )
    if options.at_end is AtEnd.LOOP:
        raise UsageError("a dialogue cannot begin again at its end", hint="connect again: each client has its own")
    if two_way.rules is None and two_way.mode is TwoWay.TIMED and not two_way.in_turn:
        raise UsageError("timed ignores what clients send", hint="use Replay for it")


def _reason(text: str) -> str:
    """Return as much of a text as fits into a close frame: 123 bytes (RFC 6455, section 5.5)."""
    return text.encode()[:123].decode(errors="ignore")
