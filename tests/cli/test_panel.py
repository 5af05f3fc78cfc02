"""Panels show what others sent as it is, in its place."""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text

from wsrecorder.cli.panel import facts_table


def shown(*rows: tuple[str, str | Text]) -> list[str]:
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(facts_table(rows))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_what_others_sent_steers_no_terminal() -> None:
    assert shown(("types", "\x1b]0;owned\x07 a\nb"), ("state", Text("open"))) == [
        "types  \\x1b]0;owned\\x07 a\\nb",
        "state  open",
    ]


def test_brackets_are_no_markup() -> None:
    assert shown(("types", "[red]a [/] 1")) == ["types  [red]a [/] 1"]
