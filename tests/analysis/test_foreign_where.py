from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.replays import message, session
from wsrecorder.analysis import foreign_where, where_children
from wsrecorder.analysis.condition import Foreign, condition
from wsrecorder.analysis.foreign_where import ForeignWhere
from wsrecorder.analysis.where import Where
from wsrecorder.errors import UsageError, WsrecError
from wsrecorder.store.schema import COLUMNS
from wsrecorder.store.selection import Selection


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    store = session(tmp_path_factory.mktemp("library"), [message(n, "AB"[n % 2]) for n in range(50)])
    return list(store.batches(Selection()))


def kept(where: Where, batches: list[Any]) -> list[int]:
    found = where.apply(batches, ("seq",), "the-session")
    return [seq for batch in found if batch is not None for seq in batch.column("seq").to_pylist()]


@pytest.mark.parametrize(
    "expression",
    ["type = 'A'", "1 = 1", "NULL", "seq BETWEEN 10 AND 30", "session = 'the-session' AND seq % 3 = 0",
     "payload->>'$.type' = 'B'"],
)  # fmt: skip
def test_it_keeps_what_an_own_condition_keeps(expression: str, batches: list[Any]) -> None:
    with closing(Where(expression)) as own, closing(ForeignWhere(expression)) as foreign:
        assert (foreign.columns, foreign.names_session) == (own.columns, own.names_session)
        assert kept(foreign, batches) == kept(own, batches)
        [marked] = foreign.marked(batches, ("seq",), "the-session")
        assert marked.equals(next(iter(own.marked(batches, ("seq",), "the-session"))))
        assert kept(foreign, [batch.slice(0, 0) for batch in batches]) == []


def test_a_large_batch_is_asked_in_pieces(batches: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_where, "_MOST_ASKED_BYTES", 64)
    pieces = [len(piece) for batch in batches for piece in foreign_where._pieces(batch.select(COLUMNS))]
    assert sum(pieces) == 50
    assert len(pieces) > 10
    with closing(ForeignWhere("type = 'A'")) as foreign:
        assert kept(foreign, batches) == list(range(0, 50, 2))


@pytest.mark.parametrize("expression", ["nonsense", "EXISTS (SELECT 1)", "count(*) > 1"])
def test_what_is_wrong_with_an_expression_is_said_as_of_an_own(expression: str) -> None:
    with pytest.raises(UsageError) as own:
        Where(expression)
    with pytest.raises(UsageError) as foreign:
        ForeignWhere(expression)
    assert (foreign.value.message, foreign.value.hint) == (own.value.message, own.value.hint)


def test_an_expression_that_fails_on_an_event_can_be_asked_again(batches: list[Any]) -> None:
    with closing(ForeignWhere("cast(type AS INTEGER) = 1")) as foreign:
        for _ in range(2):
            with pytest.raises(UsageError, match="Could not convert"):
                kept(foreign, batches)


@pytest.mark.skipif(sys.platform == "win32", reason="there, nobody ends by a signal")
def test_a_child_that_the_system_ends_took_too_much(batches: list[Any]) -> None:
    with closing(ForeignWhere("type = 'A'")) as foreign:
        os.kill(foreign._child.pid, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(UsageError, match="takes more than 512 MiB of memory"):
                kept(foreign, batches)


def test_a_child_is_gone_when_its_condition_is_closed_or_forgotten(batches: list[Any]) -> None:
    closed = ForeignWhere("type = 'A'")
    closed.close()
    closed.close()
    assert closed._child.poll() is not None
    with pytest.raises(UsageError, match="looked at no longer"):
        kept(closed, batches)
    forgotten = ForeignWhere("type = 'A'")
    child = forgotten._child
    del forgotten
    assert child.poll() is not None


def test_closing_ends_what_is_being_looked_at(batches: list[Any]) -> None:
    """As when the page asks for another filter: nobody waits for what takes hours."""
    foreign = ForeignWhere("type = 'A'")
    failures: list[UsageError] = []
    begun = threading.Event()

    def look() -> None:
        begun.set()
        try:
            for _ in range(1_000_000):
                kept(foreign, batches)
        except UsageError as exc:
            failures.append(exc)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    assert begun.wait(60)
    foreign.close()
    thread.join(60)
    assert not thread.is_alive()
    assert [failure.message for failure in failures] == ["the expression is looked at no longer"]


def test_a_child_that_cannot_begin_is_no_matter_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(WsrecError, match="cannot begin: No such file or directory"):
        ForeignWhere("type = 'A'")
    (tmp_path / "python").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "python").chmod(0o700)
    with pytest.raises(WsrecError, match="did not begin, it ended with 3"):
        ForeignWhere("type = 'A'")


def test_a_child_has_the_modules_that_we_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "duckdb.py").write_text("raise SystemExit(7)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WsrecError, match="did not begin, it ended with 7"):
        ForeignWhere("type = 'A'")


def test_the_next_child_has_begun_already(batches: list[Any]) -> None:
    with closing(ForeignWhere("type = 'A'")):
        [(_, _, spare)] = where_children._spares
    with closing(ForeignWhere("type = 'B'")) as foreign:
        assert foreign._child is spare
        assert kept(foreign, batches) == list(range(1, 50, 2))
        [(_, _, following)] = where_children._spares
        assert following is not spare


@pytest.mark.parametrize("lack", ["it has died", "it has other modules"])
def test_a_spare_child_that_will_not_do_is_passed_over(
    lack: str, batches: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(ForeignWhere("type = 'A'")):
        [(_, _, spare)] = where_children._spares
    if lack == "it has died":
        spare.kill()
        spare.wait()
    else:
        monkeypatch.syspath_prepend(tmp_path)
    with closing(ForeignWhere("type = 'B'")) as foreign:
        assert foreign._child is not spare
        assert spare.poll() is not None
        assert kept(foreign, batches) == list(range(1, 50, 2))


def test_the_spare_child_ends_with_its_program() -> None:
    program = (
        "from wsrecorder.analysis import where_children; where_children.keep_spare(); "
        "print(where_children._spares[0][2].pid)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.stdout), 0)


def test_only_what_comes_from_elsewhere_is_looked_at_apart() -> None:
    for expression, kind in (("seq = 1", Where), (Foreign("seq = 1"), ForeignWhere)):
        with closing(condition(expression)) as found:
            assert type(found) is kind
