"""One playback: a player, what it plays, and the loop that carries out its steps.

All clients share one, or each has its own. It is the only place of a replay that waits for time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from wsrecorder.clock import Clock
from wsrecorder.core.moment import readable_duration
from wsrecorder.core.player import Player
from wsrecorder.core.step import Finished, Idle, More, Reread, Send, Wait
from wsrecorder.core.target import AtMatch, Place, Target
from wsrecorder.errors import UsageError, WsrecError
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.lookup import Lookup
from wsrecorder.jobs.playback_stream import PlaybackStream
from wsrecorder.jobs.priming import Primer
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.replay_options import AtEnd, PlaybackState, ReplayOptions
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint
from wsrecorder.store.notes import NoteBook

__all__ = ["Playback"]

_PATIENCE_S: Final = 1.0  # for a client that keeps a step from going out


class Playback:
    """Plays a programme to clients of an endpoint.

    Attributes:
        name: ``shared``, ``client 3``, or ``session KEY``.
        player: Decides what is due; new, it is paused.
        stream: Carries out what it decides.
        is_over: Whether it was played to the end; a seek leads back.
        error: What keeps it from being played any further, or None.

    Args:
        programme: What is played.
        endpoint: Where to.
        options: How.
        clock: Where the time comes from.
        name: What to call it.
        to: The clients it plays to; None plays to all.
        start_ns: Where to begin, session time, ns.
        stop_ns: Where to end, not included; None is as far as the sessions go.
        types: Only messages of these types; None is all.
        speed: Session seconds per wall second, or infinity.
        faults: What goes wrong on its way to the clients; None is nothing ever.
        primer: Finds what clients are to be told first; None tells them nothing.
        notes: The session's notes, to be sought; None where there are several sessions.
    """

    def __init__(
        self,
        programme: Programme,
        endpoint: Endpoint,
        options: ReplayOptions,
        clock: Clock,
        *,
        name: str = "shared",
        to: Sequence[Client] | None = None,
        start_ns: int,
        stop_ns: int | None,
        types: frozenset[str] | None,
        speed: float,
        faults: Faults | None = None,
        primer: Primer | None = None,
        notes: NoteBook | None = None,
    ) -> None:
        self.name = name
        self.player = Player(start_ns=start_ns, speed=speed, loop=options.at_end is AtEnd.LOOP)
        self.is_over = False
        self.error: WsrecError | None = None
        self._programme = programme
        self._clock = clock
        self._start_ns = start_ns
        self._stop_ns = stop_ns
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()  # all that may go out has: what is next has to be waited for
        self._settled.set()
        self._is_kept_back = False
        self._lookup = Lookup(programme, types, start_ns, stop_ns, notes)
        self._seeking = asyncio.Lock()
        self._jumps = 0
        self._matched: Place | None = None  # found by a match, and nothing sent since
        self.stream = PlaybackStream(
            self.player, programme, endpoint, options, clock,
            to=to, start_ns=start_ns, stop_ns=stop_ns, types=types, faults=faults, primer=primer,
        )  # fmt: skip

    async def run(self) -> None:
        """Play until the end, once; a seek or restart after that wants another call.

        Raises:
            SessionError: A session cannot be read any further.
        """
        self.is_over = False
        try:
            await self._run()
        except WsrecError as exc:
            self.error = exc
            raise
        finally:
            self._settled.set()

    async def _run(self) -> None:
        clock, player, stream = self._clock, self.player, self.stream
        while True:
            match player.next_step(clock.now_ns()):
                case Finished() if player.is_stopped or stream.delivery.is_empty:
                    break
                case Finished():
                    self._settle()
                    await stream.delivery.drain(self._changed)
                case Send(start, stop):
                    await stream.send(start, stop)
                case Wait(until_ns):
                    self._settle()
                    await stream.delivery.wait(until_ns, self._changed)
                case Idle():
                    self._settle()
                    await self._changed.wait()
                case More():
                    await stream.feed()
                case Reread(from_ns, skip):
                    stream.begin_pass(Place(from_ns, skip))
        self.is_over = not self.player.is_stopped
        self._changed.clear()

    def _settle(self) -> None:
        self._changed.clear()
        self._settled.set()

    async def wait_for_control(self) -> None:
        """Return after the first control since `run` has returned."""
        await self._changed.wait()

    # Controls: each takes effect at once, whatever the loop waits for; but what a seek asks for is looked for first.

    def begin(self) -> None:
        """Play, unless it was paused before there was anybody to play to."""
        if not self._is_kept_back:
            self.resume()

    def resume(self) -> None:
        """Play on."""
        self._is_kept_back = False
        self.player.resume(self._clock.now_ns())
        self._note_control()

    def pause(self) -> None:
        """Stand still; what is left of a burst is given up."""
        self._is_kept_back = True
        self.player.pause(self._clock.now_ns())
        self._note_control()

    def set_speed(self, speed: float) -> None:
        """Go on at another speed, session seconds per wall second, or infinity.

        Raises:
            UsageError: It is not above 0.
        """
        self.player.set_speed(speed, self._clock.now_ns())
        self._note_control()

    def restart(self) -> None:
        """Play again from the start, or stand there if paused; `run` again after the end."""
        self._jump(Place(self._start_ns))

    async def seek(self, target: Target) -> int:
        """Play on from another place, or stand there if paused; `run` again after the end.

        Seeks are carried out one after the other, each from where the one before it has led.

        Args:
            target: Where to; what lies before the start leads there.

        Returns:
            Session time reached, ns.

        Raises:
            UsageError: There is no such place, or nothing is played from there on.
            SessionError: The session cannot be read up to there.
        """
        async with self._seeking:
            jumps, place = self._jumps, self.stream.place
            if isinstance(target, AtMatch) and place == self._matched:  # the next one, not this one again
                place = Place(place.session_ns, place.skip + 1)
            found = await self._lookup.find(target, self.position_ns(), place)
            if jumps != self._jumps:  # a restart meanwhile: that was asked for later
                return self.position_ns()
            self._jump(found)
            self._matched = found if isinstance(target, AtMatch) else None
            return found.session_ns

    async def step(self, events: int = 1) -> None:
        """Stand still, and send the next events at once; or go back before the last ones, at most to the start.

        Args:
            events: How many; less than 0 goes back.

        Raises:
            UsageError: There are none, or none is left.
            SessionError: The session cannot be read there.
        """
        if events < 0:
            self.pause()
            async with self._seeking:
                self._jump(await self._lookup.find_back(-events, self.stream.place))
            return
        self._check_not_over()
        self._is_kept_back = True
        self.player.step(events, self._clock.now_ns())
        self._note_control()
        await self.settle()

    async def settle(self) -> None:
        """Wait until what may go out has: a second at most, for a client may keep it from that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._settled.wait()

    def burst(self, events: int) -> None:
        """Send the next events at once, and go on from there as before.

        Raises:
            UsageError: There are less than one, or none is left.
        """
        self._check_not_over()
        self.player.burst(events)
        self._note_control()

    def set_loop(self, a_ns: int, b_ns: int) -> None:
        """Play from one session time to another again and again, from wherever in between the playhead stands.

        Raises:
            UsageError: It has no length, or lies beyond the end.
        """
        end_ns = self._programme.end_ns + 1 if self._stop_ns is None else self._stop_ns
        if not self._programme.grows:
            if a_ns >= end_ns:
                raise UsageError(
                    f"a loop from {readable_duration(a_ns, is_up=True)} on is beyond the end at "
                    f"{readable_duration(end_ns)}",
                    hint=f"begin it between {readable_duration(self._start_ns)} and {readable_duration(end_ns)}",
                )
            b_ns = min(b_ns, end_ns)
        if self.player.set_loop(a_ns, b_ns, self._clock.now_ns()):
            self._note_jump(Place(max(a_ns, self._start_ns)))
        self._note_control()

    def clear_loop(self) -> None:
        """Go on past the loop's end."""
        self.player.clear_loop(self._clock.now_ns())
        self._note_control()

    def close(self) -> None:
        """End the playback and its reading."""
        self.player.stop()
        self._note_control()
        self._lookup.close()
        self.stream.close()

    def _check_not_over(self) -> None:
        if self.is_over:
            raise UsageError("all was played: there is no next event", hint="step back, seek, or restart")

    def _jump(self, place: Place) -> None:
        self.player.seek(place.session_ns, self._clock.now_ns(), place.skip)
        self._note_jump(place)
        self._note_control()

    def _note_jump(self, place: Place) -> None:
        self._jumps += 1
        self.stream.jump(place)
        self._matched = None
        self.is_over = False

    def _note_control(self) -> None:
        self.stream.pace.interrupt()  # what is measured are stretches without a control in them
        if self.player.passes and self.error is None:  # else nothing will come of it for now
            self._settled.clear()
        self._changed.set()

    # What there is to see.

    def position_ns(self) -> int:
        """Return where the playhead stands in the recording, session time, ns."""
        return self.stream.position_ns()

    @property
    def state(self) -> PlaybackState:
        """How it stands now."""
        player, stream = self.player, self.stream
        return PlaybackState(
            name=self.name,
            status=self.status,
            position_ns=self.position_ns(),
            seq=stream.seq,
            speed=player.speed,
            achieved_speed=stream.pace.lately,
            overall_speed=stream.pace.overall,
            loop=player.ab,
            frames_sent=stream.frames_sent,
            primed=stream.usher.primed,
            lateness=stream.lateness,
            passes=player.passes,
            error=self.error,
        )

    @property
    def status(self) -> str:
        """``waiting`` for clients, ``playing``, ``paused`` or ``ended``."""
        if self.error is not None or self.is_over:
            return "ended"
        if not self.player.passes:
            return "waiting"
        return "paused" if self.player.is_paused else "playing"

    def welcome(self, client: Client) -> Coroutine[Any, Any, None] | None:
        """Keep the stream back from a client that has just come; as `Usher.welcome`."""
        return self.stream.usher.welcome(client)
