"""``wsrec check``: what in a session breaks an AsyncAPI document or a JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_json, print_lines, say, show_count, show_number
from wsrecorder.cli.selecting import Exclude, SessionArgument, Types, find_session, wanted_events
from wsrecorder.cli.table import output_width, table_lines

if TYPE_CHECKING:
    from wsrecorder.analysis.check import CheckResult

__all__ = ["check"]

_BROKEN: Final = 1

_Schema = Annotated[
    Path, typer.Argument(metavar="SCHEMA", help="File: AsyncAPI 2 or 3, a JSON Schema, or a map from type to schema.")
]
_Client = Annotated[
    bool, typer.Option("--client", help="The AsyncAPI 3 document describes a client: what it sends is received.")
]


@app.command(epilog="Example: wsrec check latest asyncapi.json")
def check(
    session: SessionArgument,
    schema: _Schema,
    library: LibraryOption = Path("recordings"),
    types: Types = None,
    exclude: Exclude = None,
    client: _Client = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Messages of which the document says nothing break it too.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Show no more findings than this.")] = 20,
    as_json: Json = False,
) -> int:
    """Check every message of a session against a document, and list what breaks it: by type and path, with counts.

    Documents are JSON; no reference is ever fetched. Exit codes: 0 nothing breaks it; 1 something does.
    """
    from wsrecorder.analysis.check import check_session, read_document

    found = find_session(session, library)
    result = check_session(found, read_document(schema), **wanted_events(types, exclude), is_clients=client)
    if as_json:
        print_json(result.to_dict())
    else:
        _print(result, schema, limit)
    return 0 if result.is_kept(strict=strict) else _BROKEN


def _print(result: CheckResult, schema: Path, limit: int) -> None:
    of_session = f"session {result.session}, {show_number(result.messages, 'message')}"
    print_lines([of_session, f"against {schema}, {result.form}", ""])
    counts = {
        "valid": result.valid,
        "broken": result.broken,
        "unknown type": result.unknown.total(),
        "not JSON": result.unreadable,
    }
    print_lines(["  ".join(f"{name} {show_count(count)}" for name, count in counts.items())])
    if result.lenient:
        say(f"{show_number(result.lenient, 'message')} with NaN or the like, which is no JSON: checked as null")
    if result.findings:
        print()
        cells = [
            [each.type, each.path or "(payload)", each.says, show_count(each.count), str(each.seq), each.value]
            for each in result.findings[:limit]
        ]
        columns = ["type", "where", "what", "messages", "first", "value there"]
        print_lines(table_lines(columns, cells, right=(3, 4), whole=[3, 4], width=output_width()))
    if len(result.findings) > limit:
        say(f"{show_number(len(result.findings) - limit, 'more finding')}; --limit shows more")
    if result.unknown:
        print()
        rows = [[name, show_count(count)] for name, count in result.unknown.most_common(limit)]
        print_lines(table_lines(["of unknown type", "messages"], rows, right=(1,), width=output_width()))
