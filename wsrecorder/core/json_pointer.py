"""Places in a JSON document (RFC 6901), and references from one to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, unquote

from wsrecorder.errors import UsageError

__all__ = ["Place", "at", "broken_reference", "follow", "show_place"]

Place = tuple[str | int, ...]
"""Keys and indexes from the document's root."""

_LONGEST_CHAIN: Final = 32
_NOTHING: Final = object()


def show_place(place: Place) -> str:
    """Return a place as a URI fragment, such as ``#/components/messages/ORDER~1S``."""
    return "#" + "".join(
        "/" + quote(str(part).replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@") for part in place
    )


def at(document: Any, place: Place) -> Any:
    """Return what stands in a place.

    Raises:
        UsageError: There is no such place.
    """
    found = _found(document, place)
    if found is _NOTHING:
        raise UsageError(f"the document has nothing at {show_place(place)}", hint="correct the reference to it")
    return found


def follow(document: Any, place: Place) -> tuple[Place, Any]:
    """Return a place and what stands there, after all references from it are followed.

    Raises:
        UsageError: A reference leads out of the document, to nothing, or in a circle.
    """
    for _ in range(_LONGEST_CHAIN):
        found = at(document, place)
        if not isinstance(found, dict) or not isinstance(found.get("$ref"), str):
            return place, found
        target = _target(document, found["$ref"])
        if target is None:
            raise _broken(place, found["$ref"])
        place = target
    raise UsageError(f"{show_place(place)}: references lead in a circle", hint="let one of them end at a definition")


def broken_reference(document: Any, place: Place) -> UsageError | None:
    """Return what is wrong with the first reference below a place that leads nowhere; None if there is none."""
    for inner, reference in _references(at(document, place), place):
        if _target(document, reference) is None:
            return _broken(inner, reference)
    return None


def _found(document: Any, place: Place) -> Any:
    found = document
    for part in place:
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and str(part).isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return _NOTHING
    return found


def _target(document: Any, reference: str) -> Place | None:
    """Return the place that a reference names; None if it is none of this document."""
    if not reference.startswith("#/"):
        return () if reference == "#" else None
    parts = reference[2:].split("/")
    place = tuple(unquote(part).replace("~1", "/").replace("~0", "~") for part in parts)
    return None if _found(document, place) is _NOTHING else place


def _references(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield place, value["$ref"]
        for key, inner in value.items():
            yield from _references(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _references(inner, (*place, index))


def _broken(place: Place, reference: str) -> UsageError:
    if reference.startswith("#"):
        return UsageError(
            f"{show_place(place)}: $ref {reference!r} leads to nothing in this document", hint="correct the reference"
        )
    return UsageError(
        f"{show_place(place)}: $ref {reference!r} leads out of the document, and nothing is fetched",
        hint="put the definition into the document, and refer to it with #/…",
    )
