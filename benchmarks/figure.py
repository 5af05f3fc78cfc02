"""One row of the table: what was measured, its peer, their ratio, the target."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Figure", "markdown"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        what: What was measured.
        value: What came out, with its unit.
        peer: The same of the peer in the same run, or what the figure is held against.
        ratio: How they compare.
        target: What was aimed at.
        is_met: Whether it was reached; None where a peer was not installed.
    """

    what: str
    value: str
    peer: str
    ratio: str
    target: str
    is_met: bool | None


def markdown(figures: list[Figure]) -> str:
    """Return the table in Markdown."""
    lines = ["| what | wsrec | beside it | ratio | target | met |", "|---|---|---|---|---|---|"]
    for figure in figures:
        met = {True: "yes", False: "**no**", None: "not measured"}[figure.is_met]
        lines.append(f"| {figure.what} | {figure.value} | {figure.peer} | {figure.ratio} | {figure.target} | {met} |")
    return "\n".join(lines)
