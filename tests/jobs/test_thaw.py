"""After a silence both the playback and what was held back want to send: neither trips over the other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.jobs.replays import FakeEndpoint, ats, message, session
from wsrecorder.clock import VirtualClock
from wsrecorder.core.fault import parse_faults
from wsrecorder.jobs.delivery import Delivery
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.read_ahead import ReadAhead
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.net.endpoint_options import EndpointOptions


async def test_rows_sent_in_the_instant_of_thawing_take_the_held_ones_along(tmp_path: Path) -> None:
    clock, errors = VirtualClock(is_jumping=False), list[BaseException]()
    endpoint: Any = FakeEndpoint(clock)
    endpoint.options, endpoint.admission = EndpointOptions(), SimpleNamespace(refused=0)
    programme = Programme([session(tmp_path, [message(n) for n in range(3)])], ReplayOptions())
    faults = Faults(
        parse_faults(["freeze=1s/1h"]), 0, endpoint, clock,
        read_outages=list, check_types=programme.check_types, on_error=errors.append,
    )  # fmt: skip
    delivery = Delivery(endpoint, clock, faults, to=None, next_ns=lambda: 0, speed=lambda: 1.0, max_gap_ns=None)
    reader = ReadAhead(programme, None, None)
    reader.begin(0)
    batch = await reader.take()
    assert batch is not None
    faults.thawed.clear()
    await delivery.send(batch, 0, 1)
    await asyncio.sleep(0)  # what releases it waits now
    assert endpoint.payloads == []
    faults.thawed.set()
    await delivery.send(batch, 1, 2)  # before that had its turn
    async with asyncio.timeout(30):
        await delivery.drain(asyncio.Event())
    await delivery.send(batch, 2, 3)
    assert (ats(endpoint.payloads), errors) == ([0, 1, 2], [])
    reader.close()
    delivery.close()
    await faults.close()
