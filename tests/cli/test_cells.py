"""Values as cells: what is not known is a dash, numbers are as they came."""

from __future__ import annotations

import pytest

from wsrecorder.cli.cells import NOTHING, amount_cell, money_cell, time_cell, word_cell


def test_what_is_not_known_is_a_dash() -> None:
    assert {word_cell(None), amount_cell(None), money_cell(None), time_cell(None)} == {NOTHING}


@pytest.mark.parametrize(("value", "shown"), [(5.0, "5"), (0.125, "0.125"), (3, "3"), (-2.5, "-2.5"), (0.0, "0")])
def test_amounts_are_as_they_came(value: float, shown: str) -> None:
    assert amount_cell(value) == shown


def test_small_amounts_have_no_exponent() -> None:
    assert amount_cell(0.00000012) == "0.00000012"
    assert float(amount_cell(1e22)) == 1e22


def test_money_has_cents() -> None:
    assert money_cell(1234.5) == "1,234.50"
    assert money_cell(-0.004) == "0.00"


@pytest.mark.parametrize(
    ("epoch_ms", "shown"),
    [(0, "00:00:00.000"), (1_764_000_000_250, "16:00:00.250"), (-1, "23:59:59.999"), (86_399_999, "23:59:59.999")],
)
def test_times_are_times_of_day(epoch_ms: int, shown: str) -> None:
    assert time_cell(epoch_ms) == shown
