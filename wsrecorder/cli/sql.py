"""``wsrec sql``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from wsrecorder.cli.answer import AnswerFormat, format_by_name, write_answer
from wsrecorder.cli.app import app
from wsrecorder.cli.options import LibraryOption
from wsrecorder.cli.output import print_json, print_lines
from wsrecorder.cli.table import output_width
from wsrecorder.errors import StorageError, UsageError
from wsrecorder.store.place import Place

if TYPE_CHECKING:
    from wsrecorder.analysis.spark_queries import SparkQueries
    from wsrecorder.analysis.sql import Queries
    from wsrecorder.store.session import Store

__all__ = ["Engine", "sql"]


class Engine(StrEnum):
    """What answers a query."""

    DUCKDB = "duckdb"
    SPARK = "spark"


@app.command(epilog='Example: wsrec sql "select type, count(*) from events group by type order by 2 desc"')
def sql(
    query: Annotated[str | None, typer.Argument(help="One query over the views; - reads it from stdin.")] = None,
    library: LibraryOption = Path("recordings"),
    session: Annotated[
        list[str] | None,
        typer.Option("--session", "-s", help="Path, id, prefix, name or 'latest'. Repeatable.  [default: latest]"),
    ] = None,
    use_all: Annotated[bool, typer.Option("--all", help="All sessions of the library.")] = False,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Read the query from a file.")] = None,
    form: Annotated[
        AnswerFormat | None, typer.Option("--format", help="How to print; told by the name of --out, else table.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write to a new file.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="List the views and their columns; QUERY may name one view.")
    ] = False,
    shell: Annotated[bool, typer.Option("--shell", help="Ask one query after the other, with a history.")] = False,
    engine: Annotated[Engine, typer.Option(help="What answers: spark needs the extra spark.")] = Engine.DUCKDB,
    master: Annotated[
        str | None, typer.Option(metavar="URL", help="Where Spark runs, such as spark://host:7077.")
    ] = None,
) -> int:
    """Ask recordings a question in SQL (DuckDB), over views such as events, orders, latency: --schema lists them.

    Sessions that are being recorded are queried as they are now. A query can read; it cannot write.
    """
    if schema:
        return _print_schema(query, as_json=as_json or form is AnswerFormat.JSON)
    if master is not None and engine is not Engine.SPARK:
        raise UsageError("--master is Spark's", hint="add --engine spark, or leave it out")
    connect = _connecting(engine, master)
    form = _form(form, out, as_json=as_json)
    if shell:
        return _run_shell(connect, library, session or [], form, use_all=use_all, is_alone=not (query or file or out))
    text = _query(query, file)
    stores = _stores(library, session or [], use_all=use_all)
    with connect(stores) as queries:
        answer = queries.query(text)
        with _output(out, stores, overwrite=overwrite) as stream:
            write_answer(answer, form, stream, width=output_width() if out is None else None)
    return 0


def _print_schema(name: str | None, *, as_json: bool) -> int:
    from wsrecorder.cli.schema import schema_json, schema_lines

    if as_json:
        print_json(schema_json(name))
    else:
        print_lines(schema_lines(name, width=output_width()))
    return 0


def _connecting(engine: Engine, master: str | None) -> Callable[[list[Store]], Queries | SparkQueries]:
    if engine is Engine.SPARK:
        from wsrecorder.analysis import spark_queries

        return lambda stores: spark_queries.connect(stores, master)
    gc.disable()  # as in app.main
    from wsrecorder.analysis import sql as duckdb_queries

    gc.enable()
    return duckdb_queries.connect


def _run_shell(
    connect: Callable[[list[Store]], Queries | SparkQueries],
    library: Place,
    references: list[str],
    form: AnswerFormat,
    *,
    use_all: bool,
    is_alone: bool,
) -> int:
    from wsrecorder.cli.shell import run_shell

    if not is_alone:
        raise UsageError("--shell reads its queries itself", hint="leave out the query, --file and --out")
    with connect(_stores(library, references, use_all=use_all)) as queries:
        run_shell(queries, form)
    return 0


def _form(form: AnswerFormat | None, out: Path | None, *, as_json: bool) -> AnswerFormat:
    if as_json:
        if form not in (None, AnswerFormat.JSON):
            raise UsageError(f"--json and --format {form} exclude each other", hint="give one of them")
        return AnswerFormat.JSON
    if form is None:
        form = AnswerFormat.TABLE if out is None else format_by_name(out.name)
    if form is AnswerFormat.PARQUET and out is None and sys.stdout.isatty():
        raise UsageError("a Parquet file is nothing to look at", hint="write it with --out FILE.parquet")
    return form


def _query(query: str | None, file: Path | None) -> str:
    if query is not None and file is not None:
        raise UsageError("a query was given, and a file with one", hint="give one of them")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
            raise UsageError(f"cannot read {file}: {reason}", hint="name a file that holds one SQL query") from exc
    if query is None and sys.stdin.isatty():
        raise UsageError("no query was given", hint='ask one, such as wsrec sql "from events limit 10"')
    return sys.stdin.read() if query in (None, "-") else str(query)


def _stores(library: Place, references: list[str], *, use_all: bool) -> list[Store]:
    from wsrecorder.store.library import Library

    if use_all and references:
        raise UsageError("--all and --session exclude each other", hint="give one of them")
    found = Library(library)
    if use_all:
        return list(found.stores())
    return [found.find(reference) for reference in references or ["latest"]]


@contextmanager
def _output(out: Path | None, stores: list[Store], *, overwrite: bool) -> Iterator[BinaryIO]:
    """Give the stream to write to; a file gets its name when it is whole."""
    if out is None:
        yield sys.stdout.buffer
        return
    from wsrecorder.jobs.staging import staging
    from wsrecorder.store import disk

    _check_is_free(out, stores, overwrite=overwrite)
    with staging(out.parent) as folder:
        path = folder / out.name
        try:
            with path.open("xb") as file:
                yield file
        except OSError as exc:
            raise StorageError(
                f"cannot write {out}: {exc.strerror or exc}", hint="name another place with --out, or free some space"
            ) from exc
        disk.publish(path, out)


def _check_is_free(out: Path, stores: list[Store], *, overwrite: bool) -> None:
    """Refuse a file that is there, and any in a session: a query does not write to those."""
    place = out.resolve()
    if any(store.path.resolve() in (place, *place.parents) for store in stores):
        raise UsageError(f"{out} is part of a session", hint="name a file outside of the library with --out")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}", hint="make it first, or name another file with --out")
    if out.is_dir():
        raise UsageError(f"{out} is a folder, expected a file", hint="name a file in it with --out")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} is there already", hint="name another file with --out, or replace it with --overwrite")
