"""Rule files: what is played when a client says something, in TOML.

::

    [[rule]]
    name = "ticker"
    match = ["type = subscribe", "channels[] = ticker"]
    where = "type = 'ticker'"

    [[rule]]
    match = "type = unsubscribe"
    stop = ["ticker"]

``docs/two-way.md`` documents the keys.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from wsrecorder.core.lenient import read_json
from wsrecorder.errors import UsageError

__all__ = ["PathCondition", "RuleText", "parse_condition", "parse_rules"]

_KEYS: Final = ("name", "match", "match_where", "where", "from", "stop")
_PATH: Final = re.compile(r"[^\s=\[\].]+(?:\[\d*\])*(?:\.[^\s=\[\].]+(?:\[\d*\])*)*")
_PART: Final = re.compile(r"\[(\d*)\]|([^\[\].]+)")
_MATCH_HINT: Final = 'write a path and a value, such as "type = subscribe" or "channels[] = ticker"'
_FORMAT_HINT: Final = "the keys of rules are documented in docs/two-way.md"


@dataclass(frozen=True, slots=True)
class PathCondition:
    """That a JSON payload has a value in one place.

    Attributes:
        path: Dotted; ``[2]`` is a place in a list, ``[]`` any place.
        value: What must stand there.
    """

    path: str
    value: Any

    def holds(self, payload: bytes) -> bool:
        """Return whether a payload has it there."""
        parts = [name or (int(place) if place else None) for place, name in _PART.findall(self.path)]
        found = _leaves(read_json(payload), parts)
        return any(type(leaf) is type(self.value) and leaf == self.value for leaf in found)


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule as it was written, its shape checked.

    Attributes:
        name: Its name; by default ``rule 1`` and so on.
        conditions: All must hold of what the client said.
        match_where: So must this SQL expression, or None.
        where: Which events it plays, an SQL expression; None plays none.
        from_start: Whether it plays from the beginning of the recording rather than from where the client is.
        stops: Numbers of the rules whose playing it stops.
    """

    name: str
    conditions: tuple[PathCondition, ...]
    match_where: str | None
    where: str | None
    from_start: bool
    stops: tuple[int, ...]


def parse_condition(text: str) -> PathCondition:
    """Read a condition such as ``channels[0] = "ticker"``: a path, and JSON or a bare word.

    Raises:
        UsageError: It is none.
    """
    path, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not value:
        raise UsageError(f"{text!r} has no value, expected a path, = and a value", hint=_MATCH_HINT)
    if not _PATH.fullmatch(path):
        raise UsageError(f"{path!r} is not a JSON path, expected one such as data.symbols[0]", hint=_MATCH_HINT)
    try:
        return PathCondition(path, json.loads(value))
    except ValueError:
        return PathCondition(path, value)


def parse_rules(text: str, source: str) -> list[RuleText]:
    """Read a rule file.

    Args:
        text: What it says.
        source: Its name, for messages.

    Raises:
        UsageError: It is no TOML, or no rules; the message names line or key, what was found and expected.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise UsageError(f"{source} is not TOML: {exc}", hint=_FORMAT_HINT) from exc
    unknown = [key for key in content if key != "rule"]
    if unknown:
        raise _wrong(source, f"key {unknown[0]!r} is unknown, expected only [[rule]]")
    entries = content.get("rule")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise _wrong(source, "there is no rule, expected one [[rule]] or more")
    names = [_name(f"{source}, rule {number}", entry, number) for number, entry in enumerate(entries, 1)]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise _wrong(source, f"two rules are named {twice!r}, expected names that differ")
    return [_rule(f"{source}, {_title(entry, n)}", entry, names, n) for n, entry in enumerate(entries, 1)]


def _title(entry: dict[str, Any], number: int) -> str:
    return f"rule {number} ({entry['name']})" if "name" in entry else f"rule {number}"


def _name(place: str, entry: dict[str, Any], number: int) -> str:
    name = entry.get("name", f"rule {number}")
    if not isinstance(name, str) or not name:
        raise _wrong(place, f"name is {_shown(name)}, expected a word in quotes")
    return name


def _rule(place: str, entry: dict[str, Any], names: list[str], number: int) -> RuleText:
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise _wrong(place, f"key {unknown[0]!r} is unknown, expected {', '.join(_KEYS)}")
    if "match" not in entry and "match_where" not in entry:
        raise _wrong(place, "it says not when it holds, expected match or match_where")
    if "where" not in entry and "stop" not in entry:
        raise _wrong(place, "it does nothing, expected where (what it plays) or stop (what it stops)")
    begins = entry.get("from", "now")
    if begins not in ("now", "start"):
        raise _wrong(place, f'from is {_shown(begins)}, expected "now" or "start"')
    conditions = []
    for text in _texts(place, entry, "match"):
        try:
            conditions.append(parse_condition(text))
        except UsageError as exc:
            raise UsageError(f"{place}: match: {exc.message}", hint=exc.hint) from None
    stops = _texts(place, entry, "stop")
    missing = [name for name in stops if name not in names]
    if missing:
        raise _wrong(place, f"stop names {missing[0]!r}, expected a rule of this file: {', '.join(names)}")
    return RuleText(
        names[number - 1],
        tuple(conditions),
        _text(place, entry, "match_where"),
        _text(place, entry, "where"),
        begins == "start",
        tuple(names.index(name) for name in stops),
    )


def _text(place: str, entry: dict[str, Any], key: str) -> str | None:
    found = entry.get(key)
    if found is None or isinstance(found, str):
        return found
    raise _wrong(place, f"{key} is {_shown(found)}, expected an SQL expression in quotes")


def _texts(place: str, entry: dict[str, Any], key: str) -> list[str]:
    found = entry.get(key, [])
    texts = [found] if isinstance(found, str) else found
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        return texts
    raise _wrong(place, f"{key} is {_shown(found)}, expected a text in quotes, or a list of them")


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)


def _wrong(place: str, problem: str) -> UsageError:
    return UsageError(f"{place}: {problem}", hint=_FORMAT_HINT)


def _leaves(value: Any, parts: list[str | int | None]) -> Iterator[Any]:
    if not parts:
        yield value
        return
    part, rest = parts[0], parts[1:]
    if isinstance(part, str):
        if isinstance(value, dict) and part in value:
            yield from _leaves(value[part], rest)
    elif isinstance(value, list):
        chosen = value if part is None else value[part : part + 1]
        for inner in chosen:
            yield from _leaves(inner, rest)
