"""Makes replay servers of what a test names, and sees to it that they are gone, and all was well, after the test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from wsrecorder.core.dialect import Dialect
from wsrecorder.errors import UsageError, WsrecError
from wsrecorder.jobs.replay_arguments import duration_ns_of, one_of, replay_options
from wsrecorder.jobs.two_way_options import TwoWay, TwoWayOptions, read_rules
from wsrecorder.store.session import Store
from wsrecorder.testing.replay_server import ReplayServer
from wsrecorder.testing.session_files import SessionFiles, find_file

__all__ = ["ReplayFactory", "replay_factory", "two_way_options"]

_FILES: Final = pytest.StashKey[SessionFiles]()


class ReplayFactory:
    """Serves sessions to one test.

    Args:
        places: Folders that paths are relative to, the first in which there is such a file.
        files: Opens sessions, and makes sessions of other files.
    """

    def __init__(self, places: list[Path], files: SessionFiles) -> None:
        self._places = places
        self._files = files
        self._servers = ExitStack()
        self._checked: list[ReplayServer] = []

    def __call__(
        self,
        *sessions: str | Path,
        from_: str | None = None,
        to: str | None = None,
        two_way: str | None = None,
        match: str = "json",
        match_timeout: str | float = 5.0,
        conn: int | None = None,
        rules: str | Path | None = None,
        check: bool = True,
        format: str | None = None,
        dialect: Dialect | None = None,
        **options: Any,
    ) -> ReplayServer:
        """Serve sessions on a free port until the test is over.

        Args:
            *sessions: Paths of sessions, or of files that ``wsrec import`` reads; several are merged by time.
            from_: Where to begin: ``90s``, ``-10s`` from the end, or an ISO 8601 time.
            to: Where to end, not included.
            two_way: ``strict``, ``loose`` or ``timed``; None plays by time, whatever clients say.
            match: When a client's message is the recorded one: ``json``, ``exact``, ``type``, or an SQL expression.
            match_timeout: How long ``strict`` waits for what is expected, seconds or text.
            conn: Which recorded connection of a two-way replay.
            rules: Path of a rule file, in place of ``two_way``.
            check: Whether the test fails where a client of a two-way replay did not say what was expected.
            format: Format of files to import; None is told by their names or first lines.
            dialect: How to read the envelopes of files to import.
            **options: All else that `wsrecorder.serve` takes; ``speed`` is ``max`` unless given.

        Raises:
            UsageError: What was asked for cannot be.
            SessionError: There is no such session, or it cannot be read.
        """
        __tracebackhide__ = True
        window = {name: moment for name, moment in (("start", from_), ("end", to)) if moment is not None}
        try:
            stores = self._open(sessions, format, dialect)
            asked = replay_options(**{"speed": "max", **options, **window})
            rule_file = None if rules is None else find_file(rules, self._places)
            talk = two_way_options(two_way, match, match_timeout, conn, rule_file)
            server = self._servers.enter_context(ReplayServer(stores, asked, talk))
        except TypeError as exc:
            raise UsageError(f"no such option: {exc}", hint="docs/testing.md lists them") from None
        except WsrecError as exc:
            raise exc.with_traceback(None) from None  # the test's line is what matters
        if check:
            self._checked.append(server)
        return server

    def _open(self, sessions: Sequence[str | Path], format: str | None, dialect: Dialect | None) -> list[Store]:
        if not sessions:
            raise UsageError("no session was named", hint='name one, such as ws_replay_factory("fixtures/x")')
        return [self._files.open(find_file(each, self._places), format, dialect) for each in sessions]

    def close(self) -> None:
        """Close all servers."""
        self._servers.close()

    def problems(self) -> list[str]:
        """Return what went wrong at servers that tests cannot have meant."""
        found = [str(server.error) for server in self._checked if server.error is not None]
        return found + [mismatch for server in self._checked for mismatch in server.mismatches]


def two_way_options(
    mode: str | None, match: str, match_timeout: str | float, conn: int | None, rules: Path | None
) -> TwoWayOptions | None:
    """Return how to answer clients; None where what they say does not matter.

    Raises:
        UsageError: Options exclude each other, or one of them is none.
    """
    chosen = None if mode is None else one_of(TwoWay, mode, "two_way")
    if rules is not None and chosen is not None:
        raise UsageError(f"two_way={mode!r} and rules exclude each other", hint="give one of them")
    if rules is None and chosen in (None, TwoWay.TIMED):
        return None
    return TwoWayOptions(
        mode=chosen or TwoWay.LOOSE,
        match=match,
        match_timeout_s=duration_ns_of(match_timeout) / 1e9,
        conn=conn,
        rules=None if rules is None else read_rules(rules),
    )


@contextmanager
def replay_factory(request: pytest.FixtureRequest) -> Iterator[ReplayFactory]:
    """Give a test its factory; the test fails if one of its servers did."""
    files = request.config.stash.get(_FILES, None)
    if files is None:
        made: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        files = request.config.stash[_FILES] = SessionFiles(lambda: made.mktemp("wsrec"))
    factory = ReplayFactory([request.path.parent, request.config.rootpath], files)
    try:
        yield factory
    finally:
        factory.close()
    if problems := factory.problems():
        pytest.fail("\n\n".join(problems), pytrace=False)
