"""What pytest finds: the options, the markers, the fixtures. It loads nothing but pytest before a test asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from wsrecorder.errors import WsrecError

if TYPE_CHECKING:
    from wsrecorder.testing.replay_factory import ReplayFactory
    from wsrecorder.testing.replay_server import ReplayServer

__all__ = ["pytest_addoption", "pytest_configure", "ws_replay", "ws_replay_factory"]

_MARKERS: Final = (
    "wsrec(*sessions, **options): what the fixture ws_replay serves, and how: speed=10, types=[...], two_way='strict'; "
    "see docs/testing.md of wsrecorder",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for line in _MARKERS:
        config.addinivalue_line("markers", line)


@pytest.fixture
def ws_replay_factory(request: pytest.FixtureRequest) -> Iterator[ReplayFactory]:
    """Serves sessions: ``ws_replay_factory("fixtures/x", speed=10)`` gives a `ReplayServer`, as often as you like.

    Paths are relative to the test's file, or to the root of the tests. All are closed after the test.
    """
    from wsrecorder.testing.replay_factory import replay_factory  # late: the tests of others are not to pay for it

    with replay_factory(request) as factory:
        yield factory


@pytest.fixture
def ws_replay(request: pytest.FixtureRequest, ws_replay_factory: ReplayFactory) -> ReplayServer:
    """The session of ``@pytest.mark.wsrec("fixtures/x")``, served on a free port, at speed ``max`` by default."""
    from wsrecorder.testing.marks import sessions_and_options

    sessions, options = sessions_and_options(request.node)
    try:
        return ws_replay_factory(*sessions, **options)
    except WsrecError as exc:
        # What the marker asked for cannot be: where in here that was noticed is of no use to anybody.
        refusal = str(exc)
    pytest.fail(refusal, pytrace=False)
