"""A pytest plugin: sessions replayed to the tests (``ws_replay``), servers recorded once and replayed (``ws_record``).

pytest loads it by itself where wsrecorder is installed (entry point ``pytest11``), else with ``-p wsrecorder.testing``.
docs/testing.md describes it. Without a test that uses it, it costs a few milliseconds: all else is loaded by the
fixtures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from wsrecorder.testing.plugin import (
    pytest_addoption,
    pytest_configure,
    pytest_runtest_makereport,
    ws_record,
    ws_record_options,
    ws_replay,
    ws_replay_factory,
)

if TYPE_CHECKING:
    from wsrecorder.testing.cassettes import Cassette, CassetteMode, Cassettes
    from wsrecorder.testing.received import ReceivedFrame
    from wsrecorder.testing.replay_factory import ReplayFactory
    from wsrecorder.testing.replay_server import ReplayServer
    from wsrecorder.testing.waiting import NotInTime

__all__ = [
    "Cassette",
    "CassetteMode",
    "Cassettes",
    "NotInTime",
    "ReceivedFrame",
    "ReplayFactory",
    "ReplayServer",
    "pytest_addoption",
    "pytest_configure",
    "pytest_runtest_makereport",
    "ws_record",
    "ws_record_options",
    "ws_replay",
    "ws_replay_factory",
]

_HOMES: Final = {
    "Cassette": "wsrecorder.testing.cassettes",
    "CassetteMode": "wsrecorder.testing.cassettes",
    "Cassettes": "wsrecorder.testing.cassettes",
    "NotInTime": "wsrecorder.testing.waiting",
    "ReceivedFrame": "wsrecorder.testing.received",
    "ReplayFactory": "wsrecorder.testing.replay_factory",
    "ReplayServer": "wsrecorder.testing.replay_server",
}


def __getattr__(name: str) -> Any:
    # No __dir__ beside it: pytest looks at all that a plugin lists, and would load it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
