"""``wsrec publish``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_json, say, show_number
from wsrecorder.errors import UsageError
from wsrecorder.store.place import ObjectPath, Place

if TYPE_CHECKING:
    from wsrecorder.store.session import Store

__all__ = ["publish"]

_FOLDER = ".iceberg"


@app.command(epilog="Example: wsrec publish --all")
def publish(
    sessions: Annotated[
        list[str] | None, typer.Argument(metavar="SESSION…", help="Path, id, prefix, name or 'latest'.")
    ] = None,
    library: LibraryOption = Path("recordings"),
    use_all: Annotated[bool, typer.Option("--all", help="All sessions of the library, DuckDB files left out.")] = False,
    catalog: Annotated[
        str | None,
        typer.Option(
            metavar="URL|NAME",
            help="Database of the catalogue, or its name in pyiceberg's configuration."
            "  [default: .iceberg/catalog.db in the library]",
        ),
    ] = None,
    warehouse: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the table's metadata goes.  [default: .iceberg in the library]"),
    ] = None,
    table: Annotated[str, typer.Option(metavar="NAMESPACE.NAME", help="The table.")] = "wsrec.events",
    setting: Annotated[
        list[str] | None,
        typer.Option("--property", metavar="NAME=VALUE", help="Property of the catalogue, as s3.endpoint. Repeatable."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Register sessions in an Iceberg table, so that Trino, Spark, Snowflake and others see the library as one table.

    Nothing is copied: the table points at the sealed segments where they lie. Each time something is new it gets a
    snapshot, so that the table can be asked as it was. Who publishes at the same time loses nothing.
    """
    from wsrecorder.jobs.publish import publish as publish_sessions
    from wsrecorder.store.iceberg import IcebergTable

    stores = _stores(library, sessions or [], use_all=use_all)
    properties = _endpoint() | dict(map(_property, setting or []))
    if warehouse is not None or catalog is None:
        properties["warehouse"] = warehouse or _folder(library).as_uri()
    elif isinstance(library, ObjectPath):
        properties.setdefault("warehouse", str(library / _FOLDER))
    found = publish_sessions(
        stores, IcebergTable(catalog or f"sqlite:///{_folder(library)}/catalog.db", table, properties)
    )
    if as_json:
        print_json(
            {"table": found.table, "sessions": list(found.sessions), "segments": found.segments, "events": found.events}
            | {"known": found.known, "snapshot": found.snapshot}
        )
    else:
        say(
            f"registered {show_number(found.segments, 'segment')} with {show_number(found.events, 'event')} of "
            f"{show_number(len(found.sessions), 'session')} in {found.table}, {found.known:,} were there already; "
            f"snapshot {found.snapshot}"
        )
    return 0


def _stores(library: Place, references: list[str], *, use_all: bool) -> list[Store]:
    from wsrecorder.store.library import DUCKDB_SUFFIX, Library

    if use_all == bool(references):
        raise UsageError("name sessions, or --all of the library", hint="such as wsrec publish latest")
    found = Library(library)
    if use_all:
        return [store for store in found.stores() if store.path.suffix != DUCKDB_SUFFIX]
    return [found.find(reference) for reference in references]


def _endpoint() -> dict[str, str]:
    """Return where S3 is, as the environment says it for the library; pyiceberg does not look there itself."""
    found = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return {"s3.endpoint": found} if found else {}


def _folder(library: Place) -> Path:
    """Return where catalogue and metadata go by default; a session's folder does not begin with a dot."""
    from wsrecorder.store import disk

    if isinstance(library, ObjectPath):
        raise UsageError(
            f"{library} holds no catalogue: its default place is a folder of a library on a disk",
            hint="name one with --catalog, such as --catalog sqlite:////srv/catalogue.db",
        )
    folder = library.resolve() / _FOLDER
    disk.make_directory(folder)
    return folder


def _property(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"found --property {text!r}, expected NAME=VALUE", hint="such as s3.region=eu-west-1")
    return name, value
