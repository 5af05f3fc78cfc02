"""Serve the simulated engine as a live feed until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from wsrecorder.clock import Clock
from wsrecorder.core.engine_book import GroundTruth
from wsrecorder.errors import StorageError, UsageError
from wsrecorder.jobs.endings import pass_on
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.net.simulator import Simulator
from wsrecorder.net.simulator_options import SimulatorOptions

__all__ = ["SimulateOptions", "SimulateSummary", "SimulatorOptions", "serving_line", "simulate"]


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """What to simulate, and for how long.

    Attributes:
        feed: How the feed behaves: seed, rate, port, burst and the rest.
        duration_s: Stop after that many seconds; None goes on until told to stop.
        truth: Where to write the truth about every event, order and position at the end, as JSON
            lines; None writes none. It is kept in memory until then.

    Raises:
        UsageError: The duration is not above 0.
    """

    feed: SimulatorOptions = field(default_factory=SimulatorOptions)
    duration_s: float | None = None
    truth: Path | None = None

    def __post_init__(self) -> None:
        if self.duration_s is not None and not self.duration_s > 0:
            raise UsageError(
                f"the duration of the simulation is {self.duration_s} s",
                hint="give more than 0 seconds, or none to go on until stopped",
            )


@dataclass(frozen=True, slots=True)
class SimulateSummary:
    """What a simulation did.

    Attributes:
        url: Where it served.
        duration_s: Seconds from the first to the last moment of serving.
        events: Events pushed; heartbeats, which belong to connections, are not counted.
        types: The same by type, the most frequent first.
        clients: Connections accepted.
    """

    url: str
    duration_s: float
    events: int
    types: dict[str, int]
    clients: int


def serving_line(url: str, options: SimulateOptions) -> str:
    """Return the line that says where the simulated engine serves, and how."""
    feed = options.feed
    pace = f"{feed.rate:g} events/s, a heartbeat every {feed.heartbeat_s:g} s"
    return f"simulated engine on {url} (seed {feed.seed}, {pace})"


async def simulate(
    options: SimulateOptions,
    clock: Clock,
    *,
    on_started: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
    mishaps: Mishaps | None = None,
) -> SimulateSummary:
    """Serve the simulated engine until ``stop`` is set, the duration is over, or the task is canceled.

    However it ends, clients are closed with 1012 and the truth is written.

    Args:
        options: What to simulate.
        clock: The time.
        on_started: Called once with the URL, as soon as clients can connect.
        stop: Set it to end the simulation.
        mishaps: Takes the errors of our own making: one ends one client's connection, or the simulation.

    Returns:
        What was pushed.

    Raises:
        EndpointError: The address or port cannot be had.
        StorageError: The truth cannot be written.
    """
    truth = None if options.truth is None else GroundTruth()
    if options.truth is not None:
        await asyncio.to_thread(_write_truth, options.truth, GroundTruth())  # fail now, not after an hour
    stop = stop or asyncio.Event()
    started_ns = clock.now_ns()
    try:
        simulator = Simulator(options.feed, clock, truth=truth)
        simulator.on_mishap = partial((mishaps or Mishaps()).note, "simulation")
        async with simulator:
            breaking = asyncio.create_task(pass_on(simulator.broken, stop))
            url = simulator.url
            if on_started is not None:
                on_started(url)
            if options.duration_s is None:
                await stop.wait()
            else:
                await clock.sleep_until(started_ns + round(options.duration_s * 1e9), stop)
            breaking.cancel()
    finally:
        if options.truth is not None and truth is not None:
            await asyncio.to_thread(_write_truth, options.truth, truth)
    return SimulateSummary(
        url=url,
        duration_s=(clock.now_ns() - started_ns) / 1e9,
        events=simulator.events_sent,
        types=dict(simulator.types_sent.most_common()),
        clients=simulator.clients_served,
    )


def _write_truth(path: Path, truth: GroundTruth) -> None:
    try:
        with path.open("w", encoding="ascii") as file:
            file.writelines(f"{line}\n" for line in truth.lines())
    except OSError as exc:
        raise StorageError(
            f"cannot write the truth to {path}: {exc.strerror or exc}", hint="give a path that can be written"
        ) from exc
