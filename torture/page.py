"""The page ``docs/reliability.md``: each promise beside the trial and the figures of the last runs written."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

from torture.finding import Finding, markdown

__all__ = ["write_page"]

_PAGE: Final = Path(__file__).parent.parent / "docs" / "reliability.md"

_TEXT: Final = """# Reliability

A recorder is worth what it kept on the worst day. Each row is a promise, what was done to break it, and what came out
with each seed. Run it yourself, some minutes: `make torture` draws a seed and prints it, `make torture
ARGS="--seed 7"` repeats one. The tests run a short form of every part.

One figure is adjusted, and stands beside what was measured: how much a killed recorder loses. A disk or a processor
that is busy with others holds every program up. So a thread beside the recorder syncs one page to the same disk every
10 ms, and the kernel tells how long the recorder's threads waited for a processor. From the age of the oldest frame
that was lost the two longest of these syncs and that wait are taken off, of the time from 100 ms before that frame to
the kill: a frame may wait for the sync before, and for its own. Nothing else is taken off. Kills under load count,
anywhere and while it seals; those while DuckDB folds its log are told apart and held to no time.

{table}

Run on {cores} cores, {system}, with Python {python} and wsrecorder {wsrec}.
"""


def write_page(runs: dict[int, list[Finding]]) -> None:
    """Write the page from the findings of each seed."""
    _PAGE.write_text(
        _TEXT.format(
            table=markdown(runs),
            cores=os.cpu_count(),
            system=platform.system(),
            python=platform.python_version(),
            wsrec=version("wsrecorder"),
        )
    )
