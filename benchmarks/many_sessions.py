"""A library of a year: how long it takes to list it, and to ask all of it."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import msgspec

from benchmarks.figure import Figure
from benchmarks.processes import WSREC
from docs.example import MONDAY, add_session
from wsrecorder.core.event import to_epoch_ns
from wsrecorder.store.library import new_id
from wsrecorder.store.manifest import MANIFEST_NAME, Manifest
from wsrecorder.store.session import EVENTS_FOLDER

__all__ = ["figures", "make_library"]

FEEDS = 10
DAYS = 365
FEWER_DAYS = 36
MESSAGES = 100
_COUNT = "select type, count(*) as n from events group by all"


def figures(folder: Path) -> list[Figure]:
    """Measure a library of a session a feed and day, and a smaller one."""
    libraries = {FEEDS * days: folder / f"days-{days}" for days in (DAYS, FEWER_DAYS)}
    for sessions, library in libraries.items():
        make_library(library, FEEDS, sessions // FEEDS)
    all_of_them, few = libraries
    ls_s = {sessions: _timed("ls", "--library", str(library)) for sessions, library in libraries.items()}
    sql_s = {sessions: _timed("sql", "--all", "--library", str(path), _COUNT) for sessions, path in libraries.items()}
    latest_s = _timed("info", "latest", "--library", str(libraries[all_of_them]))
    return [
        Figure(
            f"`wsrec ls` of {all_of_them:,} sessions, from start to exit",
            f"{ls_s[all_of_them]:.2f} s",
            f"of {few:,} sessions {ls_s[few]:.2f} s",
            f"{ls_s[all_of_them] / ls_s[few]:.1f}×",
            "–",
            True,
        ),
        Figure(
            f"`wsrec sql --all` over {all_of_them:,} sessions of {MESSAGES} messages, counted by type",
            f"{sql_s[all_of_them]:.2f} s",
            f"of {few:,} sessions {sql_s[few]:.2f} s",
            f"{sql_s[all_of_them] / sql_s[few]:.1f}×",
            "–",
            True,
        ),
        Figure(f"`wsrec info latest` among {all_of_them:,} sessions", f"{latest_s:.2f} s", "–", "–", "–", True),
    ]


def make_library(folder: Path, feeds: int, days: int) -> int:
    """Fill a folder with a session a feed and day and return how many: manifests of their own, one segment for all."""
    pattern = add_session(folder / ".pattern", "feed", MONDAY, MESSAGES)
    known = Manifest.from_json((pattern / MANIFEST_NAME).read_bytes(), pattern)
    segments = sorted((pattern / EVENTS_FOLDER).iterdir())
    for number in range(feeds * days):
        name, start = f"feed-{number % feeds}", MONDAY + timedelta(days=number // feeds)
        started_ns = to_epoch_ns(start)
        identity = msgspec.structs.replace(
            known.identity, id=new_id(name, started_ns), name=name, started_ns=started_ns
        )
        path = folder / identity.id
        (path / EVENTS_FOLDER).mkdir(parents=True)
        (path / MANIFEST_NAME).write_bytes(msgspec.structs.replace(known, identity=identity).to_json())
        for segment in segments:
            os.link(segment, path / EVENTS_FOLDER / segment.name)
    return feeds * days


def _timed(*arguments: str) -> float:
    """Return how long a command takes, s; the second time, when what it reads is in memory."""
    for _ in range(2):
        began = time.perf_counter()
        subprocess.run([*WSREC, *arguments], stdout=subprocess.DEVNULL, check=True)
        took_s = time.perf_counter() - began
    return took_s
