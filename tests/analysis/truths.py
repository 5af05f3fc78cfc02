"""Sessions of the simulated engine with the truth about them, and sessions of any payloads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from docs.example import MONDAY, sink
from wsrecorder.analysis.sql import connect
from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.engine import Engine
from wsrecorder.core.engine_book import GroundTruth
from wsrecorder.core.event import Direction, Event, Kind, to_epoch_ns
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import from_rows
from wsrecorder.store.session import Store

START_MS = to_epoch_ns(MONDAY) // 1_000_000
STEP_MS = 50
_READER = EnvelopeReader(ENGINE)


@dataclass
class Told:
    """A recorded session of the engine, and what really happened.

    Attributes:
        store: Where it is kept.
        truth: What the engine did.
        latencies_ns: How long each message took, in order.
        types: Type of each message.
    """

    store: Store
    truth: GroundTruth
    latencies_ns: list[int]
    types: list[str]


def record_engine(
    library: Path, seed: int = 1, *, cycles: int = 1_500, into: str | None = None, live: bool = False,
    name: str = "engine", off_ms: int = 0, skew_ppm: float = 0.0, step_ms: int = STEP_MS,
) -> Told:  # fmt: skip
    """Record an engine whose messages take at least 1 ms.

    Args:
        library: Folder of sessions.
        seed: Of the engine, and of the latencies.
        cycles: Steps of the engine.
        into: Name of a DuckDB file, for a session in such a one.
        live: The session is not closed: part of it is in a journal.
        name: Of the session.
        off_ms: The sender's clock is that far behind ours.
        skew_ppm: And falls behind so much more each second, µs.
        step_ms: From one step to the next.
    """
    truth, chance = GroundTruth(), Random(seed)
    engine = Engine(seed, nan=0.05, truth=truth)
    target = sink(library, name, MONDAY, into=into, segment_bytes=100_000)
    told = Told(None, truth, [], [])  # type: ignore[arg-type]
    seq = now_ns = 0
    for cycle in range(cycles):
        sent_ns = cycle * step_ms * 1_000_000
        behind_ms = off_ms + int(sent_ns * skew_ppm / 1e12)
        pushed = engine.step(START_MS + cycle * step_ms - behind_ms)
        if cycle % 20 == 0:
            pushed = [*engine.snapshot(START_MS + cycle * step_ms - behind_ms), *pushed]
        events = []
        for one in pushed:
            now_ns = max(now_ns + 1_000, sent_ns + 1_000_000 + int(chance.expovariate(1 / 2e6)))
            told.latencies_ns.append(now_ns - sent_ns)
            told.types.append(one.type)
            events.append(
                Event(
                    seq, Kind.MESSAGE, 0, Direction.IN, now_ns, START_MS * 1_000_000 + now_ns, one.type,
                    one.sent_ms * 1_000, one.payload,
                )
            )  # fmt: skip
            seq += 1
        if events:
            target.append(from_rows(events))
    if live:
        target.abandon()
    else:
        target.close(Health())
    told.store = open_store(target.path)
    return told


def record_payloads(library: Path, payloads: Iterable[Any], *, name: str = "odd", every_ms: int = 100) -> Store:
    """Record payloads, text as it is and anything else as JSON, one every so many ms."""
    texts = [payload if isinstance(payload, str) else json.dumps(payload) for payload in payloads]
    target = sink(library, name, MONDAY)
    events = []
    for seq, text in enumerate(texts):
        elapsed_ns = seq * every_ms * 1_000_000
        kind, sent_us = _READER.read(text.encode())
        events.append(
            Event(
                seq, Kind.MESSAGE, 0, Direction.IN, elapsed_ns, START_MS * 1_000_000 + elapsed_ns, kind, sent_us, text
            )
        )
    if events:
        target.append(from_rows(events))
    target.close(Health())
    return open_store(target.path)


def asked(stores: Store | list[Store], query: str) -> list[dict[str, Any]]:
    """Return the rows that a query finds."""
    with connect(stores if isinstance(stores, list) else [stores]) as queries:
        found: list[dict[str, Any]] = queries.query(query).table().to_pylist()
    return found
