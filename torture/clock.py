"""The wall clock is set while a session is recorded: the time of a replay is the monotonic one, and does not move.

The feed is the simulated engine's, over real sockets. The clock double tells true monotonic time and a UTC that jumps
to and fro by up to hours, in the middle of everything, and creeps in between; what it told is what the session is held
to. The replay runs in virtual time, so that what is due when is known to the ns.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from torture.finding import Finding
from wsrecorder.analysis.session import Session
from wsrecorder.clock import SystemClock, VirtualClock
from wsrecorder.core.event import Event, Kind
from wsrecorder.core.recorder import Limits
from wsrecorder.jobs.feed_recorder import FeedRecorder
from wsrecorder.jobs.playback import Playback
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.jobs.verify import verify
from wsrecorder.net.feed import loop_factory
from wsrecorder.net.framing import Frames
from wsrecorder.net.simulator import Simulator
from wsrecorder.net.simulator_options import SimulatorOptions
from wsrecorder.net.transport import FeedOptions, choose_transport
from wsrecorder.store.library import open_store
from wsrecorder.store.session import Store

__all__ = ["findings"]

_SESSIONS: Final = 12
_MESSAGES: Final = 4_000
_RATE: Final = 6_000.0
_SECOND_NS: Final = 1_000_000_000
_HOUR_NS: Final = 3_600 * _SECOND_NS
_FLUSH_NS: Final = 20_000_000

_MOST_CREEP_PPM: Final = 500
"""What NTP slews a clock by at most."""

_LATENCY_SLACK_MS: Final = 20.0
"""For the skew that is estimated from messages that a busy machine held up; the clock is set by far more."""


@dataclass(frozen=True, slots=True)
class _Setting:
    """UTC as it was set, until it was set again.

    Attributes:
        since_ns: Monotonic time from which it holds.
        ahead_ns: What UTC is ahead of monotonic time by, then.
        creep_ppm: By how much that grows.
    """

    since_ns: int
    ahead_ns: int
    creep_ppm: float

    def at(self, now_ns: int) -> int:
        """Return what UTC is ahead of monotonic time by, at a moment."""
        return self.ahead_ns + round((now_ns - self.since_ns) * self.creep_ppm / 1e6)


class SteppedClock(SystemClock):
    """True monotonic time, and a UTC that is set to and fro.

    Attributes:
        steps: How often UTC was set so far.
        most_ns: By how much at most.
    """

    def __init__(self, chance: random.Random) -> None:
        self.steps = 0
        self.most_ns = 0
        self._chance = chance
        now_ns = SystemClock.now_ns()
        self._settings = [_Setting(now_ns, SystemClock.wall_ns() - now_ns, 0.0)]

    def wall_ns(self) -> int:  # type: ignore[override]  # SystemClock has the function itself
        """Return UTC as it is set now."""
        now_ns = SystemClock.now_ns()
        return now_ns + self._settings[-1].at(now_ns)

    def set(self) -> None:
        """Set UTC, by hours or by less, forward or back, and let it creep from now on."""
        now_ns = SystemClock.now_ns()
        by_ns = round(self._chance.uniform(-1, 1) * self._chance.choice([3 * _HOUR_NS, _SECOND_NS, _SECOND_NS // 200]))
        creep_ppm = self._chance.uniform(-_MOST_CREEP_PPM, _MOST_CREEP_PPM)
        self._settings.append(_Setting(now_ns, self._settings[-1].at(now_ns) + by_ns, creep_ppm))
        self.steps += 1
        self.most_ns = max(self.most_ns, abs(by_ns))

    def may_be_ahead(self, ahead_ns: int, from_ns: int, to_ns: int) -> bool:
        """Return whether UTC was ahead of monotonic time by so much at some moment between two.

        Whoever asks reads two clocks, one after the other, so that it may be off by as long as it took.
        """
        slack_ns = to_ns - from_ns
        last = bisect_right(self._settings, to_ns, key=lambda setting: setting.since_ns)
        for setting in reversed(self._settings[:last]):
            ends = [setting.at(max(from_ns, setting.since_ns)), setting.at(to_ns)]
            if min(ends) - slack_ns <= ahead_ns <= max(ends) + slack_ns:
                return True
            if setting.since_ns <= from_ns:
                break
        return False


class _Witness(FeedRecorder):
    """A recorder that keeps what the time was when each frame came, and when each was handed on.

    Attributes:
        came_ns: Monotonic time before and after each frame was taken.
        left_ns: The same of the hand-over of each.
    """

    def __init__(self, options: RecordOptions, clock: SteppedClock) -> None:
        super().__init__(options, clock)
        self.came_ns: list[tuple[int, int]] = []
        self.left_ns: list[tuple[int, int]] = []

    @property
    def started_ns(self) -> int:
        """Monotonic time at which the session began."""
        return self._recorder.started_ns

    def on_frame(self, payload: bytes, opcode: int) -> None:
        """Take a message."""
        before_ns = SystemClock.now_ns()
        place = len(self.came_ns)
        self.came_ns.append((before_ns, before_ns))
        super().on_frame(payload, opcode)
        self.came_ns[place] = (before_ns, SystemClock.now_ns())

    def _flush(self) -> None:
        before_ns = SystemClock.now_ns()
        super()._flush()
        self.left_ns += [(before_ns, SystemClock.now_ns())] * (len(self.came_ns) - len(self.left_ns))


@dataclass(slots=True)
class _Total:
    """What all sessions came to."""

    messages: int = 0
    steps: int = 0
    most_ns: int = 0
    back: int = 0
    unsound: int = 0
    wrong_elapsed: list[str] = field(default_factory=list)
    wrong_received: list[str] = field(default_factory=list)
    wrong_replay: list[str] = field(default_factory=list)
    wrong_latency: list[str] = field(default_factory=list)


def findings(seed: int, effort: float, folder: Path) -> list[Finding]:
    """Return what came of setting the clock.

    Args:
        seed: What the steps are drawn from.
        effort: Share of the sessions that are recorded.
        folder: Where they may be put.
    """
    total = _Total()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        for number in range(max(1, round(_SESSIONS * effort))):
            runner.run(_try(random.Random(f"{seed} {number}"), folder / str(number), total))
    hours = total.most_ns / _HOUR_NS
    trial = f"UTC set {total.steps:,} times, by up to {hours:.1f} h, to and fro, creeping up to 500 ppm in between"
    return [
        Finding(
            "Setting the clock moves no event in session time, nor in a replay",
            trial,
            f"{total.messages:,} events, {len(total.wrong_elapsed)} off the monotonic time of their arrival, "
            f"{len(total.wrong_replay)} replayed off it by a ns or more",
            not total.wrong_elapsed and not total.wrong_replay,
            "; ".join([*total.wrong_elapsed, *total.wrong_replay][:3]),
        ),
        Finding(
            "`received_at` is UTC as the clock told it, at most a batch later; nothing else follows it",
            trial,
            f"{total.back:,} times UTC went back in a session, {len(total.wrong_received)} stamps wrong, "
            f"{total.unsound} sessions unsound, {len(total.wrong_latency)} latencies moved",
            not total.wrong_received and not total.unsound and not total.wrong_latency,
            "; ".join([*total.wrong_received, *total.wrong_latency][:3]),
        ),
    ]


async def _try(chance: random.Random, folder: Path, total: _Total) -> None:
    clock = SteppedClock(chance)
    store, witness = await _record(clock, chance, folder)
    events = [event for event in Session(store).events() if event.kind is Kind.MESSAGE]
    total.messages += len(events)
    total.steps += clock.steps
    total.most_ns = max(total.most_ns, clock.most_ns)
    total.back += sum(after.received_ns < before.received_ns for before, after in itertools.pairwise(events))
    total.unsound += not verify(store).is_sound
    total.wrong_elapsed += _wrong_elapsed(events, witness)
    total.wrong_received += _wrong_received(events, witness, clock)
    total.wrong_replay += await _wrong_replay(store, events)
    total.wrong_latency += _wrong_latency(store, events)


async def _record(clock: SteppedClock, chance: random.Random, folder: Path) -> tuple[Store, _Witness]:
    """Record a session while the clock is set."""
    stop = asyncio.Event()
    limits = Limits(batch_events=chance.choice([1, 50, 4_096]), flush_ns=_FLUSH_NS, segment_ns=_SECOND_NS // 3)
    async with Simulator(SimulatorOptions(port=0, rate=_RATE, max_events=_MESSAGES), SystemClock()) as feed:
        options = RecordOptions(
            feed=FeedOptions(feed.url),
            library=folder,
            name="clock",
            sync=False,
            limits=limits,
            transport=choose_transport(),
        )
        witness = _Witness(options, clock)
        recording = asyncio.create_task(witness.run(stop))
        while not feed.finished.is_set() or len(witness.came_ns) < _MESSAGES:
            await asyncio.sleep(chance.choice([0.0, 0.002, 0.02, 0.07]))
            clock.set()
        stop.set()
        outcome = await recording
    if outcome.path is None or outcome.error is not None:
        raise RuntimeError(f"nothing was recorded: {outcome.error}")
    return open_store(outcome.path), witness


def _wrong_elapsed(events: list[Event], witness: _Witness) -> list[str]:
    """Return which events do not stand at the monotonic time of their arrival."""
    if len(events) != len(witness.came_ns):
        return [f"{len(events)} of {len(witness.came_ns)} messages recorded"]
    return [
        f"event {event.seq} at {event.elapsed_ns} ns"
        for event, (before_ns, after_ns) in zip(events, witness.came_ns, strict=True)
        if not before_ns <= witness.started_ns + event.elapsed_ns <= after_ns
    ]


def _wrong_received(events: list[Event], witness: _Witness, clock: SteppedClock) -> list[str]:
    """Return which events do not carry UTC as it was when they were handed on."""
    return [
        f"event {event.seq} received at {event.received_ns}"
        for event, (before_ns, after_ns) in zip(events, witness.left_ns, strict=True)
        if not clock.may_be_ahead(event.received_ns - event.elapsed_ns - witness.started_ns, before_ns, after_ns)
    ]


class _SentWhen:
    """An endpoint that notes when each frame is sent."""

    def __init__(self, clock: VirtualClock) -> None:
        self.sent_ns: list[int] = []
        self._clock = clock

    async def broadcast(self, frames: Frames, start: int, stop: int, to: object = None) -> int:
        """Take frames."""
        self.sent_ns += [self._clock.now_ns()] * (stop - start)
        return 0


async def _wrong_replay(store: Store, events: list[Event]) -> list[str]:
    """Return which events a replay does not send when they came, to the ns."""
    clock = VirtualClock()
    endpoint, options = _SentWhen(clock), ReplayOptions(verbatim=True)
    programme = Programme([store], options)
    playback = Playback(
        programme,
        endpoint,  # type: ignore[arg-type]  # a double
        options,
        clock,
        start_ns=programme.start_ns,
        stop_ns=programme.stop_ns,
        types=None,
        speed=1.0,
    )
    playback.resume()
    await playback.run()
    playback.close()
    if len(endpoint.sent_ns) != len(events):
        return [f"{len(endpoint.sent_ns)} of {len(events)} messages replayed"]
    return [
        f"event {event.seq} at {event.elapsed_ns} ns replayed at {sent_ns} ns"
        for event, sent_ns in zip(events, endpoint.sent_ns, strict=True)
        if sent_ns != event.elapsed_ns
    ]


def _wrong_latency(store: Store, events: list[Event]) -> list[str]:
    """Return which latencies are not those of a clock that was never set: of the feed's stamps and monotonic time."""
    delays = {event.seq: event.elapsed_ns - event.sent_at_us * 1_000 for event in events if event.sent_at_us}
    least_ns = min(delays.values())
    rows = Session(store).sql("select seq, latency_ms from latency where latency_ms is not null").to_pylist()
    wrong = [] if rows else ["no latency at all"]
    for row in rows:
        expected_ms = (delays[row["seq"]] - least_ns) / 1e6
        if abs(row["latency_ms"] - expected_ms) > _LATENCY_SLACK_MS:
            wrong.append(f"event {row['seq']}: {row['latency_ms']} ms instead of {expected_ms} ms")
    return wrong
