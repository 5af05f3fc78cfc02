"""What one part of the torture found: the promise, how it was tried, the number, whether it was kept."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding", "markdown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise, tried.

    Attributes:
        promise: What is promised.
        trial: What was done to break it.
        figure: What came out, with its unit; no bar character.
        is_kept: Whether the promise was kept.
        detail: The first case that broke it, enough to have it again; empty where none did.
    """

    promise: str
    trial: str
    figure: str
    is_kept: bool
    detail: str = ""


def markdown(runs: dict[int, list[Finding]]) -> str:
    """Return the table in Markdown: a row a promise, a column a seed.

    Args:
        runs: The findings of each seed; of the same promises, in the same order.
    """
    seeds = list(runs)
    head = " | ".join(f"seed {seed}" for seed in seeds)
    lines = [f"| promise | tried by | {head} | kept |", "|---|---|" + "---|" * (len(seeds) + 1)]
    for row in zip(*runs.values(), strict=True):
        figures = " | ".join(finding.figure for finding in row)
        kept = "yes" if all(finding.is_kept for finding in row) else "**no**"
        lines.append(f"| {row[0].promise} | {row[0].trial} | {figures} | {kept} |")
    return "\n".join(lines)
