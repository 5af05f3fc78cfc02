"""What pytest finds: the options, the markers, the fixtures. It loads nothing but pytest before a test asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

from wsrecorder.errors import WsrecError

if TYPE_CHECKING:
    from wsrecorder.testing.cassettes import Cassettes
    from wsrecorder.testing.replay_factory import ReplayFactory
    from wsrecorder.testing.replay_server import ReplayServer

__all__ = [
    "MODES",
    "pytest_addoption",
    "pytest_configure",
    "pytest_runtest_makereport",
    "ws_record",
    "ws_record_options",
    "ws_replay",
    "ws_replay_factory",
]

MODES: Final = ("once", "none", "all", "rewrite")
"""When a real server is asked; see `wsrecorder.testing.cassettes.CassetteMode`."""

_PASSED: Final = pytest.StashKey[bool]()

_MARKERS: Final = (
    "wsrec(*sessions, **options): what the fixture ws_replay serves, and how: speed=10, types=[...], two_way='strict'; "
    "see docs/testing.md of wsrecorder",
    "wsrec_record(**options): how the fixture ws_record records and replays: mode='none', redact=['token']; "
    "see docs/testing.md of wsrecorder",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("wsrec", "recorded WebSockets (wsrecorder)")
    group.addoption(
        "--wsrec-mode", choices=MODES, help="when ws_record asks the real server; goes before markers and the ini file"
    )
    parser.addini("wsrec_mode", "when ws_record asks the real server: once (default), none, all, rewrite")
    parser.addini("wsrec_cassettes", "folder of cassettes, beside each test file", default="cassettes")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for line in _MARKERS:
        config.addinivalue_line("markers", line)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember whether a test that records has passed: only then is its cassette kept."""
    if call.when == "call" and "ws_record" in getattr(item, "fixturenames", ()):
        item.stash[_PASSED] = call.excinfo is None


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


@pytest.fixture
def ws_record_options() -> dict[str, Any]:
    """What holds for each ``ws_record`` unless a marker or a call says otherwise; for you to override in a conftest."""
    return {}


@pytest.fixture
def ws_record(
    request: pytest.FixtureRequest, ws_record_options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cassettes]:
    """Stands for real servers: ``ws_record("wss://example/ws")`` gives a local URL.

    The first run that passes records the server into a cassette beside the test's file; later runs replay that.
    """
    from wsrecorder.testing.record_fixture import cassettes_of

    node = request.node
    node.stash[_PASSED] = False  # until it has; it may be run a second time
    cassettes = cassettes_of(node, ws_record_options, lambda: tmp_path_factory.mktemp("wsrec"))
    problems: list[str] = []
    try:
        yield cassettes
    finally:
        problems = cassettes.finish(has_passed=node.stash[_PASSED])
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)
