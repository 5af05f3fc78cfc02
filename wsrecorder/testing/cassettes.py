"""Cassettes of one test: the first run records the real server, later runs replay what was recorded."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from wsrecorder.core.dialect import ENGINE, Dialect
from wsrecorder.errors import SessionNotFound, UsageError, WsrecError
from wsrecorder.jobs.replay_arguments import duration_ns_of, one_of, replay_options
from wsrecorder.jobs.two_way_options import TwoWay, TwoWayOptions
from wsrecorder.store.library import open_store
from wsrecorder.testing.blanks import Blanks
from wsrecorder.testing.cassette_file import BeforeRecord, read_cassette, write_cassette
from wsrecorder.testing.replay_server import ReplayServer
from wsrecorder.testing.tap_server import TapServer

__all__ = ["Cassette", "CassetteMode", "Cassettes", "cassette_name"]


class CassetteMode(StrEnum):
    """When the real server is asked."""

    ONCE = "once"
    """When there is no cassette yet."""

    NONE = "none"
    """Never: a cassette that is missing fails the test."""

    ALL = "all"
    """Each time; a test that passes replaces its cassette."""

    REWRITE = "rewrite"
    """Each time; the cassette is removed first."""


@dataclass(slots=True)
class Cassette:
    """A cassette in use.

    Attributes:
        path: The file.
        server: Replays it; None while it is recorded.
        tap: Records it; None while it is replayed.
        save: Writes the recorded session to the file.
        is_checked: Whether the test fails where a client does not say what was recorded.
        recorded: Where the recorded session is, after `close`; None if there is none.
    """

    path: Path
    server: ReplayServer | None
    tap: TapServer | None
    save: Callable[[Path], None]
    is_checked: bool
    recorded: Path | None = None

    @property
    def is_recording(self) -> bool:
        """Whether the real server is asked."""
        return self.tap is not None

    @property
    def url(self) -> str:
        """Where clients connect."""
        if self.tap is not None:
            return self.tap.url
        assert self.server is not None, "a cassette is recorded or replayed"
        return self.server.url

    def close(self) -> None:
        """End the server or the tap."""
        if self.tap is not None:
            self.recorded = self.tap.close()
        elif self.server is not None:
            self.server.close()

    def problems(self) -> list[str]:
        """Return what went wrong at the server that the test cannot have meant."""
        if self.server is None:
            return []
        found = [str(self.server.error)] if self.server.error is not None else []
        hint = "record it anew if that is meant: --wsrec-mode rewrite"
        return found + [f"{self.path}: {said}\n{hint}" for said in self.server.mismatches if self.is_checked]


class Cassettes:
    """Gives the test local URLs in place of those of real servers.

    Attributes:
        mode: When the real server is asked.
        used: The cassettes of this test, in the order in which it asked for them.

    Args:
        folder: Where they are kept.
        name: Of the test.
        mode: When the real server is asked.
        make_folder: Makes a new folder for what is passed through.
        options: What holds unless a call says otherwise.
        rerun: How to run this test alone, for messages.
    """

    def __init__(
        self, folder: Path, name: str, mode: CassetteMode, make_folder: Callable[[], Path],
        options: Mapping[str, Any], rerun: str,
    ) -> None:  # fmt: skip
        self.mode = mode
        self.used: list[Cassette] = []
        self._folder = folder
        self._name = name
        self._make_folder = make_folder
        self._options = options
        self._rerun = rerun

    def __call__(self, url: str, **options: Any) -> str:
        """Return a local URL that stands for that of a server.

        Args:
            url: ``ws://`` or ``wss://`` URL of the real server.
            **options: As for `_Options`; docs/testing.md describes them.

        Raises:
            SessionNotFound: There is no cassette, and none may be recorded.
            SessionError: The cassette cannot be read.
            UsageError: What was asked for cannot be.
        """
        __tracebackhide__ = True
        try:
            cassette = self._take(url, {**self._options, **options})
        except WsrecError as exc:
            raise exc.with_traceback(None) from None  # the test's line is what matters
        self.used.append(cassette)
        return cassette.url

    def _take(self, url: str, options: dict[str, Any]) -> Cassette:
        try:
            wanted = _Options(**options)
        except TypeError as exc:
            raise UsageError(f"no such option: {exc}", hint="docs/testing.md lists them") from None
        path = self._path(wanted.name)
        if any(each.path == path for each in self.used):
            raise UsageError(f"{path} is in use already", hint="give the second one a name: ws_record(url, name=...)")
        if self.mode is CassetteMode.REWRITE:
            path.unlink(missing_ok=True)
        is_there = path.exists()
        if not is_there and self.mode is CassetteMode.NONE:
            raise SessionNotFound(
                f"there is no cassette {path}, and mode none asks no server",
                hint=f"record it: {self._rerun} --wsrec-mode once",
            )
        replays = is_there and self.mode in (CassetteMode.ONCE, CassetteMode.NONE)
        return self._replayed(path, wanted) if replays else self._recorded(path, url, wanted)

    def _path(self, name: str | None) -> Path:
        if name is not None:
            return self._folder / f"{cassette_name(name)}.jsonl"
        number = len(self.used) + 1
        return self._folder / (f"{self._name}.jsonl" if number == 1 else f"{self._name}.{number}.jsonl")

    def _recorded(self, path: Path, url: str, wanted: _Options) -> Cassette:
        save = partial(_save, path, Blanks(wanted.redact), wanted.before_record)
        tap = TapServer(url, self._make_folder(), wanted.dialect, wanted.headers)
        return Cassette(path, None, tap, save, is_checked=False)

    def _replayed(self, path: Path, wanted: _Options) -> Cassette:
        store = read_cassette(path, self._make_folder(), wanted.dialect)
        two_way = TwoWayOptions(
            mode=one_of(TwoWay, wanted.two_way, "two_way"),
            match=wanted.match,
            match_timeout_s=duration_ns_of(wanted.match_timeout) / 1e9,
            in_turn=True,
        )
        asked = replay_options(speed=wanted.speed, verbatim=True)
        server = ReplayServer([store], asked, two_way, as_compared=Blanks(wanted.redact).payload)
        return Cassette(path, server.__enter__(), None, _keep, is_checked=wanted.check)

    def finish(self, *, has_passed: bool) -> list[str]:
        """End all servers; keep what was recorded if the test has passed.

        Returns:
            What went wrong at servers that the test cannot have meant.
        """
        with ExitStack() as closing:  # all of them, whatever happens to one
            for cassette in self.used:
                closing.callback(cassette.close)
        if has_passed:
            for cassette in self.used:
                if cassette.recorded is not None:
                    cassette.save(cassette.recorded)
        return [said for cassette in self.used for said in cassette.problems()]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """How a server is recorded and replayed.

    Attributes:
        name: Name of the cassette; None is the test's.
        two_way: ``strict``, ``loose`` or ``timed``.
        match: When a client's message is the recorded one.
        match_timeout: How long ``strict`` waits for it, seconds or text.
        speed: Session seconds per wall second.
        check: Whether the test fails where a client does not say what was recorded.
        redact: Paths in payloads, and names in queries with a question mark, that are left blank.
        before_record: Is given each event before it is kept.
        headers: Headers for the real server.
        dialect: How envelopes are read.
    """

    name: str | None = None
    two_way: str = "strict"
    match: str = "json"
    match_timeout: str | float = 5.0
    speed: float | str = "max"
    check: bool = True
    redact: Iterable[str] = ()
    before_record: BeforeRecord | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    dialect: Dialect = ENGINE


def _save(path: Path, blanks: Blanks, before_record: BeforeRecord | None, recorded: Path) -> None:
    write_cassette(path, open_store(recorded), blanks, before_record)


def _keep(recorded: Path) -> None:
    """A cassette that was replayed stays as it is."""


def cassette_name(test: str) -> str:
    """Return what a test's cassette is called: its name, as far as that can stand in a file name anywhere.

    Names that differ stay different.
    """
    plain = re.sub(r"\[(.*)\]$", r"-\1", test, flags=re.DOTALL)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", plain)[:120]
    return safe if safe == plain else f"{safe}-{zlib.crc32(test.encode(errors='surrogatepass')):08x}"
