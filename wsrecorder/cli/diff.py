"""``wsrec diff``: how two sessions differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.cells import NOTHING, word_cell
from wsrecorder.cli.options import Json, LibraryOption, split_words
from wsrecorder.cli.output import print_json, print_lines, say, show_count, show_number
from wsrecorder.cli.selecting import Exclude, Types, find_session, wanted_events
from wsrecorder.cli.table import output_width, table_lines

if TYPE_CHECKING:
    from wsrecorder.analysis.diff import Difference, SessionDiff

__all__ = ["diff"]

_DIFFERENT: Final = 1
_LONGEST_VALUE: Final = 40
_MOST_PATHS: Final = 20

_Which = "Path, id, unique prefix of an id, name, or 'latest'."
_A = Annotated[str, typer.Argument(metavar="A", help=f"The first session: what was. {_Which}")]
_B = Annotated[str, typer.Argument(metavar="B", help="The second session: what is now.")]
_Ignore = Annotated[
    list[str] | None, typer.Option(metavar="KEY", help="Leave this key out, wherever it stands. Repeatable.")
]
_IgnorePath = Annotated[
    list[str] | None, typer.Option(metavar="PATH", help="Leave this out, such as data.timestamp. Repeatable.")
]
_Key = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH", help="Where the id stands that tells entities apart. Repeatable.  [default: the engine's]"
    ),
]


@app.command(epilog="Example: wsrec diff before after --ignore ts --ignore-path data.timestamp")
def diff(
    a: _A,
    b: _B,
    library: LibraryOption = Path("recordings"),
    types: Types = None,
    exclude: Exclude = None,
    ignore: _Ignore = None,
    ignore_path: _IgnorePath = None,
    key: _Key = None,
    ignore_order: Annotated[
        bool, typer.Option("--ignore-order", help="A message that only moved is the same.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Show no more differences than this.")] = 20,
    as_json: Json = False,
) -> int:
    """Compare what the server sent in two sessions: what is missing, added, changed, moved, and how timing differs.

    Exit codes: 0 they are equal, whatever their timing; 1 they differ.
    """
    from wsrecorder.analysis.diff import DiffOptions, diff_sessions

    options = DiffOptions(
        **wanted_events(types, exclude),
        ignore=split_words(ignore) or frozenset(),
        ignore_paths=tuple(ignore_path or ()),
        entity_paths=tuple(key) if key else None,
        ignore_order=ignore_order,
        limit=limit,
    )
    found = diff_sessions(find_session(a, library), find_session(b, library), options)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)
    return 0 if found.is_equal else _DIFFERENT


def _print(found: SessionDiff) -> None:
    width = output_width()
    print_lines([f"A  {found.a}", f"B  {found.b}", ""])
    names = list(found.to_dict()["counts"])
    rows = [["all", *(show_count(count) for count in found.to_dict()["counts"].values())]]
    rows += [
        [word_cell(entry["type"]), *(show_count(entry[name]) for name in names)] for entry in found.to_dict()["types"]
    ]
    print_lines(table_lines(["type", *names], rows, right=range(1, len(names) + 1), width=width))
    _print_timing(found)
    if found.paths:
        print()
        shown = list(found.paths.items())[:_MOST_PATHS]
        cells = [
            [word_cell(name), path, show_count(each.count), _value(each.example.before), _value(each.example.after)]
            for (name, path), each in shown
        ]
        print_lines(table_lines(["type", "changed at", "times", "in A", "in B"], cells, right=(2,), width=width))
        if len(found.paths) > len(shown):
            say(f"{show_number(len(found.paths) - len(shown), 'more path')}; --json has them all")
    if found.differences:
        print()
        columns = ["what", "A", "B", "at", "type", "of", "changes"]
        cells = [_cells(difference) for difference in found.differences]
        print_lines(table_lines(columns, cells, right=(1, 2, 3), whole=[0, 1, 2, 3], width=width))
    left_out = found.total - len(found.differences)
    if left_out:
        say(f"{show_number(left_out, 'more difference')}; --limit shows more")


def _print_timing(found: SessionDiff) -> None:
    timing = found.timing.to_dict()
    if timing["shift_ms"]["p50"] is None:
        return
    titles = {"shift_ms": "later in B than in A, ms", "pace_ms": "longer after the one before, ms"}
    rows = [
        [title, *(NOTHING if value is None else f"{value:,.3f}" for value in timing[name].values())]
        for name, title in titles.items()
    ]
    columns = ["timing of what both have", *timing["shift_ms"]]
    print()
    print_lines(table_lines(columns, rows, right=range(1, len(columns)), width=output_width()))


def _cells(difference: Difference) -> list[str]:
    changes = [f"{each.path}: {_value(each.before)} → {_value(each.after)}" for each in difference.changes]
    return [
        str(difference.outcome),
        NOTHING if difference.seq_a is None else str(difference.seq_a),
        NOTHING if difference.seq_b is None else str(difference.seq_b),
        f"{difference.elapsed_ns / 1e9:.3f}s",
        word_cell(difference.type),
        word_cell(difference.entity),
        ", ".join(changes),
    ]


def _value(value: Any) -> str:
    from wsrecorder.core.likeness import ABSENT

    if value is ABSENT:
        return "(absent)"
    text = repr(value) if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
