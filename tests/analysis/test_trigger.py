"""A trigger tells when its condition holds, and what cannot be computed of an event triggers nothing."""

from __future__ import annotations

import pytest

from tests.store.sessions import STEP_NS, batch
from wsrecorder.analysis.trigger import TriggerCondition
from wsrecorder.errors import UsageError


def places(expression: str) -> list[int]:
    return [moment // STEP_NS for moment in TriggerCondition(expression).moments(batch(50, 40), "s")]


def test_it_sees_the_columns_of_events() -> None:
    assert places("kind = 'open'") == [40, 80]
    assert places("seq BETWEEN 50 AND 52 AND session = 's'") == [50, 51, 52]
    assert places("payload->>'$.n' = '46'") == [46]


def test_what_fails_on_an_event_does_not_hold_of_it_and_hides_no_other() -> None:
    assert places("CAST(text AS INTEGER) = 1") == []
    assert places("CASE WHEN seq = 46 THEN true ELSE CAST(text AS INTEGER) = 1 END") == [46]


@pytest.mark.parametrize(
    ("expression", "type_"),
    [("'abc'", "VARCHAR"), ("seq", "BIGINT"), ("payload->'$.n'", "JSON"), ("NULL", '"NULL"'), ("type", "VARCHAR")],
)
def test_what_is_neither_true_nor_false_is_refused(expression: str, type_: str) -> None:
    with pytest.raises(UsageError, match=rf"gives a value of type {type_}, expected a condition") as caught:
        TriggerCondition(expression)
    assert "compare it" in caught.value.hint


@pytest.mark.parametrize("expression", ["", "type =", "1) OR (1", "count(*) > 1", "seq IN (SELECT 1)", "random() < 1"])
def test_what_is_no_condition_on_one_event_is_refused(expression: str) -> None:
    with pytest.raises(UsageError):
        TriggerCondition(expression)
