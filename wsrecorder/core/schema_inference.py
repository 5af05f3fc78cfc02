"""JSON Schema (draft 7) inferred from values: evidence is folded in value by value, a schema is read off it.

What was folded in is always valid against the schema, with null in the place of ``NaN`` and ``Infinity``
(`wsrecorder.core.json_value.finite`). In whichever order and in whichever parts evidence is gathered, `merge` makes
the same of it, as long as it stays within the `Budget`; beyond that it depends on what came first, and stays valid.

What is concluded, and from what:

- ``required``: the key was in every object.
- ``integer``: every number was written without fraction and exponent; else ``number``.
- ``format: date-time``: every text was a time of RFC 3339, with its zone.
- ``enum``: at most `MOST_WORDS` different texts, without digits, each seen at least `SEEN_OFTEN` times.
- ``additionalProperties``: the object is a map. It had more than `MOST_KEYS` different keys; or at least `MAP_KEYS`,
  of which an object has less than a quarter on average, and values of one kind.

Objects stay open: keys that were never seen are allowed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any, Final

__all__ = [
    "DEEPEST",
    "MAP_KEYS",
    "MOST_KEYS",
    "MOST_WORDS",
    "NON_FINITE",
    "SEEN_OFTEN",
    "Budget",
    "Evidence",
    "fold",
    "merge",
    "schema_of",
]

MOST_KEYS: Final = 128
"""Different keys beyond which an object is a map."""

MAP_KEYS: Final = 20
"""Different keys from which on an object may be a map."""

MOST_WORDS: Final = 12
"""Different texts that an ``enum`` may have."""

SEEN_OFTEN: Final = 10
"""How often each of them must have been seen."""

DEEPEST: Final = 24
"""Levels that are looked into; what lies deeper may be anything."""

NON_FINITE: Final = "x-wsrec-non-finite"
"""What marks a place where ``NaN`` or ``Infinity`` stood."""

_LONGEST_WORD: Final = 64
_MAP_DENSITY: Final = 0.25
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_DIGIT: Final = re.compile(r"\d")


@dataclass(slots=True)
class Budget:
    """How many places may still be looked into, over all that share it: it bounds memory and the schemas' size."""

    places: int = 20_000

    def take(self) -> bool:
        """Return whether there was one left."""
        self.places -= 1
        return self.places >= 0


@dataclass(slots=True)
class Evidence:
    """What was seen in one place.

    Attributes:
        count: Values.
        nulls: How many were null, and so on for the other kinds.
        booleans: True or false.
        integers: Numbers without fraction and exponent.
        floats: Other numbers.
        non_finite: ``NaN`` and ``Infinity``.
        strings: Texts.
        arrays: Arrays.
        objects: Objects.
        words: Different texts and how often each came; None where they are too many or too long.
        are_times: Whether no text was anything but a time.
        items: What was in the arrays; None where all were empty.
        fields: What was under each key; None where the object is a map.
        values: What was in the maps.
        is_cut: Whether nothing but ``count`` is known, and anything may be here.
    """

    count: int = 0
    nulls: int = 0
    booleans: int = 0
    integers: int = 0
    floats: int = 0
    non_finite: int = 0
    strings: int = 0
    arrays: int = 0
    objects: int = 0
    words: dict[str, int] | None = field(default_factory=dict)
    are_times: bool = True
    items: Evidence | None = None
    fields: dict[str, Evidence] | None = field(default_factory=dict)
    values: Evidence | None = None
    is_cut: bool = False


def fold(seen: Evidence, value: Any, budget: Budget, depth: int = 0) -> None:
    """Take in a value.

    Args:
        seen: What was seen in its place.
        value: As `wsrecorder.core.json_value.read_value` gives it.
        budget: What new places are taken from.
        depth: Level of the place, 0 is the outermost.
    """
    seen.count += 1
    if seen.is_cut:
        return
    kind = type(value)
    if kind is str:
        _fold_text(seen, value)
    elif kind is dict:
        _fold_object(seen, value, budget, depth + 1)
    elif kind is list:
        seen.arrays += 1
        for inner in value:
            if seen.items is None:
                seen.items = _new(budget, depth + 1)
            fold(seen.items, inner, budget, depth + 1)
    else:
        _fold_scalar(seen, value)


def merge(one: Evidence, other: Evidence) -> Evidence:
    """Return what both say together; neither is changed, but the result may share parts with them."""
    if one.is_cut or other.is_cut:
        return Evidence(one.count + other.count, is_cut=True)
    is_map = one.fields is None or other.fields is None
    fields = None if is_map else _merged_fields(one.fields or {}, other.fields or {})
    values = None
    if fields is None or len(fields) > MOST_KEYS:
        values = _together(_values(one), _values(other))
        fields = None
    return Evidence(
        one.count + other.count,
        one.nulls + other.nulls,
        one.booleans + other.booleans,
        one.integers + other.integers,
        one.floats + other.floats,
        one.non_finite + other.non_finite,
        one.strings + other.strings,
        one.arrays + other.arrays,
        one.objects + other.objects,
        _merged_words(one.words, other.words),
        one.are_times and other.are_times,
        _together(one.items, other.items),
        fields,
        values,
    )


def schema_of(seen: Evidence) -> dict[str, Any]:
    """Return the JSON Schema that evidence speaks for; an empty one allows anything."""
    types = _types(seen)
    if seen.is_cut or not types:
        return {}
    schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if seen.strings:
        words = _enum(seen)
        if words:
            schema["enum"] = [*words, None] if "null" in types else words
        if seen.are_times:
            schema["format"] = "date-time"
    if seen.items is not None:
        schema["items"] = schema_of(seen.items)
    if seen.objects:
        schema |= _object_schema(seen)
    if seen.non_finite:
        schema[NON_FINITE] = True
    return schema


def _new(budget: Budget, depth: int) -> Evidence:
    return Evidence(is_cut=depth > DEEPEST or not budget.take())


def _fold_scalar(seen: Evidence, value: Any) -> None:
    if type(value) is int:
        seen.integers += 1
    elif type(value) is float:
        if math.isfinite(value):
            seen.floats += 1
        else:
            seen.non_finite += 1
    elif value is None:
        seen.nulls += 1
    else:
        seen.booleans += 1


def _fold_text(seen: Evidence, text: str) -> None:
    seen.strings += 1
    words = seen.words
    if words is not None:
        if text in words:
            words[text] += 1
            return  # whether it is a time was seen when it came first
        if len(words) == MOST_WORDS or len(text) > _LONGEST_WORD:
            seen.words = None
        else:
            words[text] = 1
    if seen.are_times and not _is_time(text):
        seen.are_times = False


def _fold_object(seen: Evidence, value: dict[str, Any], budget: Budget, depth: int) -> None:
    seen.objects += 1
    fields = seen.fields
    if fields is not None:
        added = [key for key in value if key not in fields]
        if len(fields) + len(added) <= MOST_KEYS:
            for key in added:
                fields[key] = _new(budget, depth)
            for key, inner in value.items():
                fold(fields[key], inner, budget, depth)
            return
        seen.values = _all_together(list(fields.values()))
        seen.fields = None
    for inner in value.values():
        if seen.values is None:
            seen.values = _new(budget, depth)
        fold(seen.values, inner, budget, depth)


def _is_time(text: str) -> bool:
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _merged_fields(one: dict[str, Evidence], other: dict[str, Evidence]) -> dict[str, Evidence]:
    return {key: _both(one.get(key), other.get(key)) for key in (*one, *(key for key in other if key not in one))}


def _merged_words(one: dict[str, int] | None, other: dict[str, int] | None) -> dict[str, int] | None:
    if one is None or other is None:
        return None
    words = {word: one.get(word, 0) + other.get(word, 0) for word in (*one, *other)}
    return words if len(words) <= MOST_WORDS else None


def _values(seen: Evidence) -> Evidence | None:
    return seen.values if seen.fields is None else _all_together(list(seen.fields.values()))


def _all_together(parts: list[Evidence]) -> Evidence | None:
    return reduce(merge, parts) if parts else None


def _together(one: Evidence | None, other: Evidence | None) -> Evidence | None:
    return None if one is None and other is None else _both(one, other)


def _both(one: Evidence | None, other: Evidence | None) -> Evidence:
    if one is None or other is None:
        found = one or other
        assert found is not None  # one of them is there
        return found
    return merge(one, other)


def _types(seen: Evidence) -> list[str]:
    counts = {
        "object": seen.objects,
        "array": seen.arrays,
        "string": seen.strings,
        "integer": 0 if seen.floats else seen.integers,
        "number": seen.floats or (seen.non_finite and not seen.integers),
        "boolean": seen.booleans,
        "null": seen.nulls or seen.non_finite,
    }
    return [name for name, count in counts.items() if count]


def _enum(seen: Evidence) -> list[str] | None:
    """Return the texts that there are, if there is good reason to believe that there are no others.

    Digits make a text look like a number, a time or an id, of which there are always others.
    """
    others = seen.count - seen.strings - seen.nulls
    if others or not seen.words or min(seen.words.values()) < SEEN_OFTEN:
        return None
    return None if any(map(_DIGIT.search, seen.words)) else sorted(seen.words)


def _object_schema(seen: Evidence) -> dict[str, Any]:
    values = seen.values
    fields = seen.fields or {}
    if _looks_like_a_map(seen):
        values = _all_together(list(fields.values()))
    if values is not None:
        return {"additionalProperties": schema_of(values)}
    schema: dict[str, Any] = {}
    if fields:
        schema["properties"] = {key: schema_of(inner) for key, inner in fields.items()}
    required = [key for key, inner in fields.items() if inner.count == seen.objects]
    if required:
        schema["required"] = required
    return schema


def _looks_like_a_map(seen: Evidence) -> bool:
    fields = seen.fields or {}
    if len(fields) < MAP_KEYS:
        return False
    density = sum(inner.count for inner in fields.values()) / (seen.objects * len(fields))
    return density < _MAP_DENSITY and len({tuple(_types(inner)) for inner in fields.values()}) == 1
