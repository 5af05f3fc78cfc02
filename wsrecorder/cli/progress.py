"""A progress bar on a terminal; elsewhere nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wsrecorder.cli.printable import printable

__all__ = ["OnEvents", "progress_bar"]

OnEvents = Callable[[int, float | None], None]
"""Is told how many events are done, and which share of the whole that is, 0 to 1; None where it is not known."""


@contextmanager
def progress_bar(title: str) -> Iterator[OnEvents]:
    """Show how far a long job is while the block runs; the bar is gone at its end.

    Args:
        title: What is being done.
    """
    if not sys.stderr.isatty():
        yield lambda events, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    what = TextColumn("{task.description}", markup=False)  # the name of a session may hold brackets
    columns = (what, BarColumn(), TextColumn("{task.fields[events]:,} events"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(printable(title), total=None, events=0)

        def show(events: int, share: float | None) -> None:
            total = None if share is None else 1.0
            progress.update(task, total=total, completed=share or 0.0, events=events)

        yield show
