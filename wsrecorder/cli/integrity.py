"""``wsrec verify | recover``: is a session as it was recorded, and what a crash left of it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_error, print_json, print_lines, say, show_count, show_number
from wsrecorder.cli.progress import progress_bar
from wsrecorder.cli.selecting import find_session
from wsrecorder.cli.spool_options import Spool, waiting_for
from wsrecorder.errors import UsageError
from wsrecorder.store.place import ObjectPath, Place, label

if TYPE_CHECKING:
    from wsrecorder.analysis.session import Session
    from wsrecorder.jobs.recover import Recovery
    from wsrecorder.jobs.verify import VerifyReport

__all__ = ["recover", "verify"]

_Sessions = Annotated[
    list[str] | None, typer.Argument(metavar="SESSION…", help="Path, id, unique prefix of an id, name, or 'latest'.")
]
_All = Annotated[bool, typer.Option("--all", help="All sessions of the library.")]


@app.command(epilog="Example: wsrec verify latest")
def verify(
    sessions: _Sessions = None,
    library: LibraryOption = Path("recordings"),
    use_all: _All = False,
    as_json: Json = False,
) -> int:
    """Read sessions back in full and check every rule of their format: sequence, checksums, counts, footers.

    Exits 4 and names all that is wrong if anything is. With --json, an object a session, one a line.
    """
    from wsrecorder.jobs.verify import verify as run_verify

    exit_code = 0
    for session in _chosen(sessions, library, use_all=use_all):
        with progress_bar(f"verifying {label(session.path)}") as show:
            report = run_verify(session.store, lambda events: show(events, None))
        if as_json:
            print_json(report.to_dict())
        else:
            _print_report(report)
        exit_code = exit_code or report.exit_code
    return exit_code


def _print_report(report: VerifyReport) -> None:
    for finding in report.findings:
        print_lines([f"{finding.severity}  {finding.where}: {finding.message}"])
    wrong = sum(finding.severity == "wrong" for finding in report.findings)
    live = ", which is being recorded," if report.is_live else ""
    segments = f" in {show_number(report.segments, 'segment')}" if report.segments else ""
    checked = f"{show_number(report.events, 'event')}{segments} read back"
    if report.is_sound:
        print_lines([f"session {report.id}{live} is sound: {checked}"])
    else:
        print_error(
            f"session {report.id}{live} breaks {show_number(wrong, 'rule')}; {checked}",
            f'"wsrec recover {report.path}" mends what a crash leaves; restore what is damaged from a copy',
        )


@app.command(epilog="Example: wsrec recover latest")
def recover(
    sessions: _Sessions = None,
    library: LibraryOption = Path("recordings"),
    use_all: _All = False,
    spool: Spool = None,
    as_json: Json = False,
) -> int:
    """Seal what a crash left unsealed, and say what it cost. It removes nothing that it could not read.

    With --all, what black boxes held that were killed becomes sessions, too.
    Of a library in object storage, --all are the sessions that wait in the spool: they are brought there.

    Exits 0 when nothing was lost, 6 when the end of a journal was cut off, 4 when nothing could be read.
    """
    from wsrecorder.jobs.recover import recover as run_recover

    exit_code = 0
    if use_all and not sessions and isinstance(library, ObjectPath):
        sessions, use_all = waiting_for(library, spool), False
        if not sessions:
            say(f"nothing waits for {library}")
            return 0
    elif use_all and not sessions:
        exit_code = _recover_rings(library, as_json=as_json)
    for session in _chosen(sessions, library, use_all=use_all):
        recovery = run_recover(session.store)
        if as_json:
            print_json(recovery.to_dict())
        else:
            _print_recovery(recovery)
        exit_code = exit_code or recovery.exit_code
    return exit_code


def _recover_rings(library: Place, *, as_json: bool) -> int:
    """Make sessions of what killed black boxes have left; return the exit code."""
    from wsrecorder.jobs.snapshot import recover_rings

    exit_code = 0
    for recovery in recover_rings(library, f"wsrecorder {version('wsrecorder')}"):
        if as_json:
            print_json(recovery.to_dict())
        else:
            for made in recovery.made:
                events = show_number(made.manifest.events, "event")
                say(f"a black box was killed; what it held is in {made.path}: {events}")
            for kept in recovery.kept:
                print_lines([f"what could not be read is kept in {kept}"])
        exit_code = exit_code or recovery.exit_code
    return exit_code


def _print_recovery(recovery: Recovery) -> None:
    for cut in recovery.cut:
        lost_bytes = f"{show_count(cut.bytes)} bytes at its end could not be read ({cut.reason})"
        print_lines([f"{cut.file}: {lost_bytes}; they are kept in {cut.kept_as}"])
    if recovery.lost:
        print_lines(recovery.lost)
    sealed = f"sealed {', '.join(recovery.sealed)}; " if recovery.sealed else ""
    whole = f"{sealed}session {recovery.id} is whole up to {recovery.whole_until}, {show_count(recovery.events)} events"
    if recovery.lost:
        print_error(
            whole, 'it was not sealed, for sealed it would look whole; restore the file, then run "recover" again'
        )
    elif recovery.cut:
        say(f"{whole}; what came after that was lost")
    else:
        say(f"{whole}; nothing was lost")


def _chosen(references: list[str] | None, library: Place, *, use_all: bool) -> list[Session]:
    if bool(references) == use_all:
        raise UsageError(
            "--all and a session exclude each other" if use_all else "no session was named",
            hint='name one or more, such as "latest", or say --all',
        )
    if use_all:
        from wsrecorder.store.library import Library

        references = [str(path.absolute()) for path in Library(library).paths()]
        if not references:
            say(f'library {library} holds no session; "wsrec record URL" makes one')
    return [find_session(reference, library) for reference in references or []]
