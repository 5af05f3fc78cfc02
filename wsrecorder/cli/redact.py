"""``wsrec redact``: a session with stand-ins for what must not be seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsrecorder.cli.access_options import from_variable, read_secret_file
from wsrecorder.cli.app import app
from wsrecorder.cli.making import Into, Name, report_made, target_of
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import say, show_count, show_number
from wsrecorder.cli.progress import progress_bar
from wsrecorder.cli.selecting import SessionArgument, find_session
from wsrecorder.errors import UsageError
from wsrecorder.store.place import label

if TYPE_CHECKING:
    from wsrecorder.jobs.redact import Redacted

__all__ = ["redact"]

_SHORT_BYTES = 16


@app.command(epilog="Example: wsrec redact latest --path data.account.key --secret-env REDACTION_SECRET")
def redact(
    session: SessionArgument,
    library: LibraryOption = Path("recordings"),
    paths: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="PATH", help="Value in payloads: data.account.key, * for any. Repeatable."),
    ] = None,
    headers: Annotated[
        list[str] | None, typer.Option("--header", metavar="NAME", help="Header, in the marks. Repeatable.")
    ] = None,
    queries: Annotated[
        list[str] | None, typer.Option("--query", metavar="NAME", help="Value in a URL's query. Repeatable.")
    ] = None,
    secret_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable that holds the secret.")
    ] = None,
    secret_file: Annotated[Path | None, typer.Option(metavar="FILE", help="File that holds the secret.")] = None,
    keep_shape: Annotated[
        bool, typer.Option("--keep-shape", help="Letters become letters, digits digits, numbers stay numbers.")
    ] = False,
    fail_on_unparsed: Annotated[
        bool, typer.Option("--fail-on-unparsed", help="Make nothing if a payload is no JSON.")
    ] = False,
    name: Name = None,
    into: Into = None,
    as_json: Json = False,
) -> int:
    """Make a session in which values are replaced: the same value by the same stand-in, which takes the secret to tell.

    All other bytes of a payload stay as they are. All or nothing.
    """
    from wsrecorder.core.stand_ins import StandIns
    from wsrecorder.jobs.redact import RedactOptions
    from wsrecorder.jobs.redact import redact as run_redact

    options = RedactOptions(
        target=target_of(library, name, into),
        stand_ins=StandIns(_secret(secret_env, secret_file), keep_shape=keep_shape),
        paths=tuple(dict.fromkeys(paths or ())),
        headers=tuple(headers or ()),
        queries=tuple(queries or ()),
        fail_on_unparsed=fail_on_unparsed,
    )
    found = find_session(session, library)
    with progress_bar(f"redacting {label(found.path)}") as show:
        redacted = run_redact(found, options, lambda done: show(done.events, done.share))
    report_made(redacted.made, "wrote", as_json=as_json, replaced=redacted.hits, unparsed=redacted.unparsed)
    _warn(redacted, as_json=as_json)
    return 0


def _secret(variable: str | None, file: Path | None) -> bytes:
    if (variable is None) == (file is None):
        raise UsageError(
            "a redaction needs a secret, from one place",
            hint='name a variable with --secret-env or a file with --secret-file; make one with "openssl rand -hex 32"',
        )
    if variable is not None:
        secret = from_variable(variable)
    else:
        assert file is not None
        secret = read_secret_file(file)
    if 0 < len(secret) < _SHORT_BYTES:
        say(f"warning: a secret of {len(secret)} bytes can be guessed; use {_SHORT_BYTES} or more")
    return secret


def _warn(redacted: Redacted, *, as_json: bool) -> None:
    for path, hits in redacted.hits.items():
        if not hits:
            say(f"warning: {path} was found nowhere")
        elif not as_json:
            say(f"{path}: {show_number(hits, 'value')} replaced")
    if redacted.unparsed:
        say(f"warning: {show_count(redacted.unparsed)} payloads are no JSON; they were kept as they are")
