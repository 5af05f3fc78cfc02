"""What a replay is asked to do, as Python callers write it: plain words and numbers become `ReplayOptions`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

from wsrecorder.core.fault import parse_faults
from wsrecorder.core.moment import parse_duration, parse_moment
from wsrecorder.core.playhead import parse_speed
from wsrecorder.core.timeline import Axis
from wsrecorder.errors import UsageError
from wsrecorder.jobs.replay_options import AtEnd, Prime, ReplayOptions
from wsrecorder.net.endpoint_options import SlowClient

__all__ = ["duration_ns_of", "one_of", "replay_options", "speed_of", "words_of"]

_Choice = TypeVar("_Choice", bound=StrEnum)


def replay_options(
    *,
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
) -> ReplayOptions:
    """Return options of a replay; the arguments are those of `wsrecorder.serve`.

    Raises:
        UsageError: One of them is none.
    """
    return ReplayOptions(
        host=host,
        port=port,
        path=path,
        speed=speed_of(speed),
        axis=one_of(Axis, clock, "clock"),
        max_gap_ns=None if max_gap is None else duration_ns_of(max_gap),
        start=None if start is None else parse_moment(start),
        end=None if end is None else parse_moment(end),
        types=None if types is None else words_of(types),
        exclude=words_of(exclude),
        where=where,
        verbatim=verbatim,
        restamp=restamp,
        per_client=per_client,
        wait_for=wait_for,
        slow_client=None if slow_client is None else one_of(SlowClient, slow_client, "slow_client"),
        client_buffer_bytes=client_buffer,
        at_end=one_of(AtEnd, at_end, "at_end"),
        prime=one_of(Prime, prime, "prime"),
        faults=parse_faults(faults),
        seed=seed,
    )


def speed_of(speed: float | str) -> float:
    """Return a speed, session seconds per wall second; ``max`` and infinity are as fast as possible."""
    return parse_speed(str(speed)) if speed != math.inf else math.inf


def duration_ns_of(duration: str | float) -> int:
    """Return a duration, given as text or in seconds, as ns."""
    if isinstance(duration, str):
        return parse_duration(duration)
    if not 0 <= duration < math.inf:
        raise UsageError(f"{duration} is not a duration", hint="give seconds from 0, or text such as 1m30s")
    return round(duration * 1e9)


def words_of(words: Iterable[str]) -> frozenset[str]:
    """Return words, given one by one or as a text with commas."""
    # A text is a series of letters too, which nobody means.
    return frozenset(words.split(",") if isinstance(words, str) else words)


def one_of(choices: type[_Choice], word: str, what: str) -> _Choice:
    """Return the choice that goes by a word.

    Args:
        choices: All there are.
        word: Which.
        what: Name of the argument, for the message.

    Raises:
        UsageError: None does.
    """
    try:
        return choices(word)
    except ValueError:
        raise UsageError(
            f"{what} cannot be {word!r}", hint=f"give one of {', '.join(choice.value for choice in choices)}"
        ) from None
