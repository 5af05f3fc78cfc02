"""A replay on a thread of its own, under a test's control.

Its methods block and may be called from any thread. They may be called from an async test too: the server does not run
on the test's loop, so it goes on meanwhile. Only the waits have a twin to await, under ``aio``: while a test blocks in
a wait, its own clients stand still.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

from wsrecorder.clock import SystemClock
from wsrecorder.core.fault import parse_faults
from wsrecorder.core.moment import parse_duration, resolve_moment
from wsrecorder.core.target import AtMatch, AtNote, AtSeq, AtTime, ByDelta, Target
from wsrecorder.errors import UsageError
from wsrecorder.jobs.playback import Playback
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_arguments import speed_of
from wsrecorder.jobs.replay_options import PlaybackState, ReplayOptions, ReplayReport
from wsrecorder.jobs.two_way import TwoWayReplay
from wsrecorder.jobs.two_way_options import TwoWayOptions, TwoWayReport
from wsrecorder.net.client import Client
from wsrecorder.store.session import Store
from wsrecorder.testing.loop_thread import LoopThread
from wsrecorder.testing.received import Inbox, ReceivedFrame
from wsrecorder.testing.waits import Waits

__all__ = ["ReplayServer"]

_Found = TypeVar("_Found")

_SERVICE_RESTART: Final = 1012
_TIMEOUT_S: Final = 5.0


class ReplayServer:
    """A replay, serving while its context is open.

    ::

        with ReplayServer([store], options) as server:
            client = connect(server.url)

    Attributes:
        stores: The sessions that are played.
        replay: The replay itself, which is to be used on its own thread only.
        aio: The waits, for ``await``: ``await server.aio.wait_received(1)``.

    Args:
        stores: The sessions, merged by time.
        options: How to replay.
        two_way: How to answer clients by what they say; None plays by time, whatever they say.
        as_compared: Returns what a client has said as it is compared with what was recorded; None is as it is.

    Raises:
        UsageError: What was asked for cannot be.
        SessionError: A session cannot be read.
        EndpointError: The address or port cannot be had (on entering the context).
    """

    def __init__(
        self,
        stores: Sequence[Store],
        options: ReplayOptions,
        two_way: TwoWayOptions | None = None,
        as_compared: Callable[[bytes], bytes] | None = None,
    ) -> None:
        if two_way is not None and len(stores) != 1:
            raise UsageError(f"a dialogue is that of one session, {len(stores)} were named", hint="name one of them")
        self.replay: Replay | TwoWayReplay
        self.stores = stores
        self._inbox = Inbox()
        self._as_compared = as_compared
        self._thread = LoopThread("wsrec-replay")
        try:
            self._thread.call(lambda: self._make(stores, options, two_way))
        except BaseException:
            self._thread.close()
            raise
        self.aio = Waits(self.replay, self._inbox, self._thread)
        self._url = ""

    def _make(self, stores: Sequence[Store], options: ReplayOptions, two_way: TwoWayOptions | None) -> None:
        clock = SystemClock()
        if two_way is None:
            self.replay = Replay(stores, options, clock)
        else:
            self.replay = TwoWayReplay(stores[0], options, two_way, clock)
        answer, as_compared = self.replay.endpoint.on_inbound, self._as_compared

        def hear(client: Client, payload: bytes, opcode: int) -> None:
            self._inbox.take(client, payload, opcode)
            if answer is not None:
                answer(client, payload if as_compared is None else as_compared(payload), opcode)

        self.replay.endpoint.on_inbound = hear

    def __enter__(self) -> Self:
        try:
            self._thread.run(self.replay.__aenter__())
            self._url = self._thread.call(lambda: self.replay.url)
        except BaseException:
            self._thread.close()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all clients, stop serving and end the thread; does nothing the second time."""
        if not self._thread.is_open:
            return
        try:
            self._thread.run(self.replay.__aexit__(None, None, None))
        finally:
            self._thread.close()

    # What there is to see; after the end too.

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self._url

    @property
    def received(self) -> list[ReceivedFrame]:
        """What clients have sent so far, in the order of arrival."""
        return list(self._inbox.frames)

    @property
    def report(self) -> ReplayReport | TwoWayReport:
        """What the replay measured of itself so far."""
        return self._thread.call(lambda: self.replay.report())

    @property
    def state(self) -> PlaybackState:
        """How the playback stands: position, speed, frames sent.

        Raises:
            UsageError: Each client has one of its own; ask `playback_state` for it by name. Or the replay is two-way.
        """
        return self.playback_state()

    def playback_state(self, playback: str | None = None) -> PlaybackState:
        """Return how a playback stands, such as that of ``client 2``; None is the shared one, or the only one."""
        return self._thread.call(lambda: self._playback(playback).state)

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return self._thread.call(lambda: len(self.replay.endpoint.clients))

    @property
    def error(self) -> BaseException | None:
        """What keeps the replay from going on, or None."""
        return self.replay.error

    @property
    def mismatches(self) -> list[str]:
        """What clients should have said and did not, each in full; of a two-way replay."""
        report = self.report
        dialogues = report.dialogues if isinstance(report, TwoWayReport) else []
        return [
            f"client {each.client} did not say what was expected\n" + "\n".join(each.mismatch.lines())
            for each in dialogues
            if each.mismatch is not None
        ]

    # Controls: those of the shared playback, or of the one that is named (``client 2``, ``session KEY``).

    def pause(self, playback: str | None = None) -> None:
        """Stand still."""
        self._thread.call(lambda: self._playback(playback).pause())

    def resume(self, playback: str | None = None) -> None:
        """Play on."""
        self._thread.call(lambda: self._playback(playback).resume())

    def restart(self, playback: str | None = None) -> None:
        """Play again from the start, or stand there if paused."""
        self._thread.call(lambda: self._playback(playback).restart())

    def set_speed(self, speed: float | str, playback: str | None = None) -> None:
        """Go on at another speed: session seconds per wall second, or ``max``."""
        self._thread.call(lambda: self._playback(playback).set_speed(speed_of(speed)))

    def burst(self, events: int, playback: str | None = None) -> None:
        """Send the next events at once, and go on from there as before."""
        self._thread.call(lambda: self._playback(playback).burst(events))

    def step(self, events: int = 1, playback: str | None = None) -> None:
        """Stand still, and send the next events at once; less than 0 goes back before the last ones."""
        self._do(lambda: self._playback(playback).step(events))

    def seek(
        self,
        to: str | float | None = None,
        *,
        by: str | float | None = None,
        seq: int | None = None,
        match: str | None = None,
        note: str | None = None,
        playback: str | None = None,
    ) -> int:
        """Play on from another place, or stand there if paused.

        Args:
            to: A moment: ``"90s"``, ``"-10s"`` from the end, an ISO 8601 time, or seconds from the start.
            by: So far on from here, seconds or text; negative is back.
            seq: An event's number.
            match: The next event for which this SQL expression is true.
            note: A note that holds this text; ``next`` is the next one.
            playback: Which playback; None is the shared one, or the only one.

        Returns:
            Session time reached, ns.

        Raises:
            UsageError: There is no such place, or not just one was named.
            SessionError: The session cannot be read up to there.
        """
        target = self._target(to, by, seq, match, note)
        return self._do(lambda: self._playback(playback).seek(target))

    def set_faults(self, faults: Iterable[str]) -> None:
        """Have these faults go wrong from now on, such as ``["drop=1%"]``; none ends them (docs/faults.md)."""
        parsed = parse_faults(faults)
        self._thread.call(lambda: self.replay.faults.set(parsed))

    def disconnect(self, code: int = _SERVICE_RESTART, reason: str = "", *, client: int | None = None) -> int:
        """Close clients and go on serving.

        Args:
            code: Close code; 1006 cuts the connections without a close frame.
            reason: Reason beside the code.
            client: Number of the client; None is all.

        Returns:
            How many were closed.
        """
        endpoint = self.replay.endpoint
        return self._thread.call(
            lambda: endpoint.dismiss([each for each in endpoint.clients if client in (None, each.number)], code, reason)
        )

    # Waiting: blocks; an async test awaits the same of ``aio``.

    @overload
    def wait_received(self, wanted: int = 1, timeout_s: float = _TIMEOUT_S) -> list[ReceivedFrame]: ...
    @overload
    def wait_received(
        self, wanted: Callable[[ReceivedFrame], object], timeout_s: float = _TIMEOUT_S
    ) -> ReceivedFrame: ...
    def wait_received(
        self, wanted: int | Callable[[ReceivedFrame], object] = 1, timeout_s: float = _TIMEOUT_S
    ) -> list[ReceivedFrame] | ReceivedFrame:
        """Wait until clients have sent so many messages, or one that is wanted.

        Args:
            wanted: How many, counted from the start; or what tells a wanted one, called on the server's thread.
            timeout_s: How long to wait, s.

        Returns:
            All that came; or the first one that is wanted.

        Raises:
            NotInTime: They did not come.
        """
        return self._wait(self.aio.for_received(wanted, timeout_s))

    def wait_finished(self, timeout_s: float = 30.0) -> None:
        """Wait until everything was played.

        Raises:
            NotInTime: It was not.
            WsrecError: The recording cannot be read to its end.
        """
        self._wait(self.aio.for_finished(timeout_s))

    def wait_clients(self, count: int = 1, timeout_s: float = _TIMEOUT_S) -> None:
        """Wait until just so many clients are connected; 0 is until all have gone.

        Raises:
            NotInTime: There were more or less all the time.
        """
        self._wait(self.aio.for_clients(count, timeout_s))

    def wait_sent(self, frames: int = 1, timeout_s: float = _TIMEOUT_S) -> None:
        """Wait until so many frames were played, counted from the start, over all playbacks.

        Raises:
            NotInTime: They were not.
        """
        self._wait(self.aio.for_sent(frames, timeout_s))

    def _wait(self, work: Coroutine[Any, Any, _Found]) -> _Found:
        return self._thread.run(work)

    def _do(self, control: Callable[[], Coroutine[Any, Any, _Found]]) -> _Found:
        async def doing() -> _Found:
            return await control()

        return self._thread.run(doing())

    def _playback(self, name: str | None) -> Playback:
        if isinstance(self.replay, TwoWayReplay):
            raise UsageError(
                "a two-way replay has no playhead to control: each client is answered by what it says",
                hint='leave out two_way, or use two_way="timed"',
            )
        return self.replay.playback(name)

    def _target(
        self, to: str | float | None, by: str | float | None, seq: int | None, match: str | None, note: str | None
    ) -> Target:
        named = [word for word in (to, by, seq, match, note) if word is not None]
        if len(named) != 1:
            raise UsageError(f"{len(named)} places were named, expected one", hint='as in seek("90s") or seek(seq=12)')
        if to is not None:
            return AtTime(self._moment_ns(to) if isinstance(to, str) else round(to * 1e9))
        if by is not None:
            return ByDelta(_signed_ns(by) if isinstance(by, str) else round(by * 1e9))
        if seq is not None:
            return AtSeq(seq)
        return AtNote(note) if match is None and note is not None else AtMatch(match or "")

    def _moment_ns(self, text: str) -> int:
        manifests = [store.manifest() for store in self.stores]
        began_ns = min(manifest.identity.started_ns for manifest in manifests)
        ended_ns = max(manifest.identity.started_ns + manifest.last_elapsed_ns for manifest in manifests)
        return resolve_moment(text, start_ns=began_ns, length_ns=ended_ns - began_ns)


def _signed_ns(text: str) -> int:
    sign = -1 if text.strip().startswith("-") else 1
    return sign * parse_duration(text.strip().lstrip("+-"))
