"""A long time at high speed: does anything grow?

In virtual time a day of recording, and a day of a replay that loops; over real sockets as many connections as a day
has. Each in a process of its own, so that its memory is its own. What flat means is said in `torture.vitals`.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

from torture.finding import Finding
from torture.soak_recorder import record_day
from torture.soak_replay import replay_day
from torture.soak_sockets import look_at_console, record_over_sockets, tap_over_sockets
from torture.vitals import Soaked

__all__ = ["findings"]

_Part = Callable[[int, float, Path], Soaked]

_PARTS: Final[tuple[tuple[_Part, float, str, str], ...]] = (
    (
        record_day,
        24,
        "a recorder that runs all day holds no more in the evening than at noon, and has every event",
        "a day of the simulated feed in virtual time: losses, closes, silences, floods, refusals, rotation by time and "
        "size",
    ),
    (
        replay_day,
        24,
        "a replay that loops all day holds no more in the evening than at noon, and who stays gets each frame in order",
        "a day of a session of ten minutes with `--loop` in virtual time; every quarter of an hour clients come and "
        "go, of the shared playback and of their own",
    ),
    (
        record_over_sockets,
        300,
        "reconnecting leaves nothing behind",
        "300 losses over sockets, with each transport, with and without a close frame",
    ),
    (
        tap_over_sockets,
        300,
        "clients of a tap leave nothing behind",
        "300 visits: clients that close, vanish, and hang up in the middle of their handshake",
    ),
    (
        look_at_console,
        200,
        "who looks at the console leaves nothing behind",
        "200 visits beside a replay: streams of states that are read and left, state, events and density asked for",
    ),
)
"""What is soaked, how much of it is the whole, what is promised and how it is tried."""


def findings(seed: int, effort: float, folder: Path) -> list[Finding]:
    """Soak everything for its share of a day.

    Args:
        seed: What happens is drawn from it.
        effort: 1 is the whole.
        folder: For sessions.
    """
    found = []
    for part, whole, promise, trial in _PARTS:
        soaked = _in_a_process(part, seed, whole * effort, folder / part.__name__)
        found.append(Finding(promise, trial, f"{soaked.work}: {soaked.vitals}", not soaked.trouble, soaked.trouble))
    return found


def _in_a_process(part: _Part, seed: int, size: float, folder: Path) -> Soaked:
    folder.mkdir()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), logging.disable) as process:
        return process.submit(part, seed, size, folder).result()
