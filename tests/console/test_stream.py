from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from wsrecorder.clock import VirtualClock
from wsrecorder.console.stream import StateStream

SECOND_NS = 1_000_000_000


class Counted:
    """A state, and how often it was asked for."""

    def __init__(self) -> None:
        self.value = 0
        self.reads = 0

    def read(self) -> bytes:
        self.reads += 1
        return b"%d" % self.value


def stream_of(counted: Counted, clock: VirtualClock) -> StateStream:
    return StateStream(counted.read, clock, lambda: None)


async def next_state(events: AsyncIterator[bytes]) -> bytes:
    while not (sent := await anext(events)).startswith(b"event: state\n"):
        pass
    return sent.removeprefix(b"event: state\ndata: ").removesuffix(b"\n\n")


async def test_nothing_is_computed_while_nobody_listens() -> None:
    clock, counted = VirtualClock(), Counted()
    stream = stream_of(counted, clock)
    await clock.sleep_until(10 * SECOND_NS)
    assert counted.reads == 0
    events = stream.events()
    await next_state(events)
    await events.aclose()  # type: ignore[attr-defined]
    reads = counted.reads
    await clock.sleep_until(20 * SECOND_NS)
    assert counted.reads == reads
    assert stream.listeners == 0


async def test_it_is_computed_once_a_tick_however_many_listen() -> None:
    clock, counted = VirtualClock(is_jumping=False), Counted()
    stream = stream_of(counted, clock)
    listeners = [stream.events() for _ in range(50)]
    for events in listeners:
        assert await next_state(events) == b"0"
    assert counted.reads == 1
    counted.value = 1
    clock.advance(SECOND_NS // 5)
    assert [await next_state(events) for events in listeners] == [b"1"] * 50
    assert counted.reads == 2
    stream.close()


async def test_what_does_not_change_is_sent_once_a_second() -> None:
    clock, counted = VirtualClock(), Counted()
    stream = stream_of(counted, clock)
    events = stream.events()
    times = []
    for _ in range(4):
        await next_state(events)
        times.append(clock.now_ns())
    assert times == [0, SECOND_NS, 2 * SECOND_NS, 3 * SECOND_NS]
    stream.close()


async def test_what_changes_is_sent_five_times_a_second() -> None:
    clock, counted = VirtualClock(), Counted()
    stream = stream_of(counted, clock)
    events = stream.events()
    times = []
    for counted.value in range(6):
        await next_state(events)
        times.append(clock.now_ns())
    assert times == [n * SECOND_NS // 5 for n in range(6)]
    stream.close()


async def test_a_control_is_told_at_once() -> None:
    clock, counted = VirtualClock(is_jumping=False), Counted()
    stream = stream_of(counted, clock)
    events = stream.events()
    await next_state(events)
    counted.value = 7
    stream.poke()
    assert await next_state(events) == b"7"
    assert clock.now_ns() == 0
    stream.close()


async def test_who_reads_slowly_gets_the_newest_alone() -> None:
    clock, counted = VirtualClock(is_jumping=False), Counted()
    stream = stream_of(counted, clock)
    slow, quick = stream.events(), stream.events()
    await next_state(slow)
    await next_state(quick)
    for counted.value in range(1, 10):
        stream.poke()
        await next_state(quick)
    assert await next_state(slow) == b"9"
    stream.close()


async def test_closing_lets_all_go() -> None:
    clock, counted = VirtualClock(is_jumping=False), Counted()
    stream = stream_of(counted, clock)
    events = stream.events()
    await next_state(events)
    waiting = asyncio.ensure_future(anext(events, None))
    await asyncio.sleep(0)
    stream.close()
    assert await waiting is None


async def test_it_begins_again_for_who_comes_later() -> None:
    clock, counted = VirtualClock(is_jumping=False), Counted()
    stream = stream_of(counted, clock)
    first = stream.events()
    await next_state(first)
    await first.aclose()  # type: ignore[attr-defined]
    second = stream.events()
    assert await next_state(second) == b"0"
    stream.close()
