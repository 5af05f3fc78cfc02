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
