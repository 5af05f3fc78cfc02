"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from wsrecorder.errors import UsageError
from wsrecorder.store.place import Place, place_of

__all__ = ["Json", "LibraryOption", "Quiet", "parse_size", "split_words"]

if TYPE_CHECKING:
    _Library: TypeAlias = Place
else:
    _Library = Any  # Typer takes no unions; the parser makes what the checker is told above

LibraryOption = Annotated[
    _Library,
    typer.Option(
        "--library",
        envvar="WSREC_LIBRARY",
        help="Folder of sessions, or s3://BUCKET/PREFIX (gs://, az://).",
        metavar="DIR|URL",
        parser=place_of,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Plain log lines instead of a panel, only what matters.")]

_SIZES: Final = {"": 1, "b": 1, "k": 10**3, "kb": 10**3, "kib": 2**10, "m": 10**6, "mb": 10**6, "mib": 2**20}
_LARGE: Final = {"g": 10**9, "gb": 10**9, "gib": 2**30, "t": 10**12, "tb": 10**12, "tib": 2**40}


def parse_size(text: str) -> int:
    """Return a size in bytes: ``512``, ``64MiB``, ``1.5GB``.

    Raises:
        UsageError: It is not a size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    unit = (_SIZES | _LARGE).get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise UsageError(f"{text!r} is not a size", hint="write it as 512, 64MiB or 1.5GB")
    return round(float(match[1]) * unit)


def split_words(values: list[str] | None) -> frozenset[str] | None:
    """Return what a repeatable option with commas names, such as ``--types A,B --types C``; None if not given."""
    if not values:
        return None
    return frozenset(word.strip() for value in values for word in value.split(",") if word.strip())
