"""The tests of what listens run on each kind of event loop: their transports buffer and close differently."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

try:
    import uvloop
except ImportError:  # it is in the extra fast
    uvloop = None  # type: ignore[assignment]

ON_EACH_LOOP = {"test_endpoint.py", "test_tap.py", "test_turned_away.py"}

LoopFactories = dict[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(item: pytest.Item) -> LoopFactories:
    factories: LoopFactories = {"asyncio": asyncio.new_event_loop}
    if uvloop is not None and item.path.name in ON_EACH_LOOP:
        factories["uvloop"] = uvloop.new_event_loop
    return factories
