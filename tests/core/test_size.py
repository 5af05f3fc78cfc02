"""Sizes as people read them."""

from __future__ import annotations

import pytest

from wsrecorder.core.size import show_bytes


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_536, "1.5 KiB"),
        (64 << 20, "64.0 MiB"),
        (70_430_000_000, "65.6 GiB"),
        (5 << 40, "5.0 TiB"),
        (-2_048, "-2.0 KiB"),
    ],
)
def test_a_size_is_told_in_the_unit_that_fits(size_bytes: int, expected: str) -> None:
    assert show_bytes(size_bytes) == expected
