"""``wsrec describe``: an AsyncAPI document of a session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.options import LibraryOption
from wsrecorder.cli.output import show_number
from wsrecorder.cli.page_file import check_is_free, write_page
from wsrecorder.cli.printable import printable_json
from wsrecorder.cli.selecting import Exclude, SessionArgument, Types, find_session, wanted_events
from wsrecorder.errors import UsageError

__all__ = ["describe"]

_YAML: Final = (".yaml", ".yml")
_Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it there, .json or .yaml.  [default: stdout]")
]


@app.command(epilog="Example: wsrec describe latest -o asyncapi.json")
def describe(
    session: SessionArgument,
    library: LibraryOption = Path("recordings"),
    out: _Out = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    types: Types = None,
    exclude: Exclude = None,
    examples: Annotated[int, typer.Option(min=0, metavar="N", help="Payloads kept as examples of each message.")] = 1,
) -> int:
    """Describe a session as an AsyncAPI 3.0 document: channel, messages by type, JSON Schemas of what they carry.

    The schemas are inferred from the payloads. The document is JSON, in a file named .yaml too: JSON is YAML 1.2.
    Examples are payloads as they were recorded: --examples 0 leaves them out.
    """
    from wsrecorder.analysis.describe import describe_session

    found = find_session(session, library)
    if out is not None:
        _check_suffix(out)
        check_is_free(out, found.path, option="--out", overwrite=overwrite)
    document = describe_session(found, **wanted_events(types, exclude), examples=examples)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if out is None:
        print("\n".join(map(printable_json, text.split("\n"))))
    else:
        kind = "AsyncAPI 3.0, written as JSON, which is YAML 1.2" if out.suffix.lower() in _YAML else "AsyncAPI 3.0"
        write_page(out, text + "\n", note=f"{show_number(len(document['components']['messages']), 'message')}, {kind}")
    return 0


def _check_suffix(out: Path) -> None:
    if out.suffix.lower() not in (".json", *_YAML):
        raise UsageError(f"{out} is neither .json nor .yaml", hint="the document is JSON, which is YAML 1.2 too")
