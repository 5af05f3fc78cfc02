"""Projections: registering one's own, and that a fold sees only what it reads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.core.test_folds import event
from wsrecorder.core import projection as module
from wsrecorder.core.event import Event
from wsrecorder.core.projection import advance, initial_states, projections, register
from wsrecorder.errors import UsageError


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Forget what a test registered."""
    before = dict(module._REGISTERED)
    yield
    module._REGISTERED.clear()
    module._REGISTERED.update(before)


def count(state: int, event: Event) -> int:
    return state + 1


def test_ours_come_first() -> None:
    assert list(projections()) == ["engine", "orders", "positions", "scan"]


def test_a_fold_of_ones_own_is_folded_with_the_others() -> None:
    mine = register("errors", count, 0, ["ERROR"])
    assert projections()["errors"] is mine
    states = advance(initial_states(), event("ERROR", {}))
    states = advance(states, event("SIGNAL", {}))
    assert states["errors"] == 1
    assert set(states) == {"engine", "orders", "positions", "scan", "errors"}


def test_a_fold_is_given_only_the_types_that_it_reads() -> None:
    seen = []

    def note(state: None, event: Event) -> None:
        seen.append(event.type)

    mine = register("notes", note, None, "A")
    for name in ("A", "B", "A"):
        advance({"notes": None}, event(name), [mine])
    assert seen == ["A", "A"]


def test_the_states_before_an_event_stay_as_they_are() -> None:
    mine = register("errors", count, 0, ["ERROR"])
    before = initial_states([mine])
    assert advance(before, event("ERROR"), [mine]) == {"errors": 1}
    assert before == {"errors": 0}


def test_a_name_is_given_once() -> None:
    with pytest.raises(UsageError, match="engine"):
        register("engine", count, 0, ["ERROR"])


def test_a_fold_reads_something() -> None:
    with pytest.raises(UsageError, match="no type"):
        register("nothing", count, 0, [])
