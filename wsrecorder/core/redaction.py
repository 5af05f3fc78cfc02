r"""Values in payloads replaced by stand-ins; all other bytes stay as they are.

A payload is not parsed and written again: a scanner walks over its tokens, remembers where the values stand that a path
leads to, and only those bytes are exchanged. Most payloads hold no such key, which a search for its bytes tells; a key
can also be written with escapes, so a payload with any ``\u00`` is walked over as well. One that has the name, but not
as JSON writes a key, is looked at for being JSON.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from wsrecorder.core.stand_ins import NUMBER, StandIns
from wsrecorder.errors import UsageError

__all__ = ["Redactor"]

_TOKEN: Final = re.compile(rb'[ \t\r\n]*(?:("(?:[^"\\]|\\.)*")|([{}\[\],:])|([^ \t\r\n{}\[\],:"]+))', re.DOTALL)
_STRING, _MARK = 1, 2
_WORDS: Final = {b"null", b"true", b"false", b"NaN", b"Infinity", b"-Infinity"}
_PLAIN: Final = re.compile(r"[A-Za-z0-9_. -]*")

_skim: Final = msgspec.json.Decoder(msgspec.Raw).decode


@dataclass(slots=True, eq=False)
class _Node:
    """Where a walk along the paths stands.

    Attributes:
        hits: Paths that end here.
        names: Where a key leads.
        other: Where any other key leads.
        element: Where an element of an array leads.
    """

    hits: tuple[str, ...] = ()
    names: dict[str, _Node] = field(default_factory=dict)
    other: _Node | None = None
    element: _Node | None = None


_Tails = frozenset[tuple[str, tuple[str, ...]]]


class Redactor:
    """Replaces values in payloads.

    Attributes:
        hits: How many values were replaced, by path.
        unparsed: Payloads that were looked at and are no JSON: those that mention the last name of a path.

    Args:
        paths: Such as ``data.account.key``; lists on the way are passed through, and ``*`` is any key or element.
        stand_ins: What takes their place.
        looks_at_all: Whether payloads without such a name are looked at too, so that `unparsed` counts every one that
            is no JSON.

    Raises:
        UsageError: A path has an empty part.
    """

    def __init__(self, paths: Iterable[str], stand_ins: StandIns, *, looks_at_all: bool = False) -> None:
        self.hits: Counter[str] = Counter()
        self.unparsed = 0
        self._stand_ins = stand_ins
        self._looks_at_all = looks_at_all
        parts = {path: _parts(path) for path in paths}
        self._nodes: dict[_Tails, _Node] = {}
        self._root = self._node(frozenset(parts.items()))
        named = [[part for part in each if part != "*"] for each in parts.values()]
        self._needles = [json.dumps(names[-1], ensure_ascii=False).encode() for names in named if names]
        self._has_needles = all(named)
        mentions = dict.fromkeys(names[-1].encode() for names in named if names)
        # Whatever holds the key as JSON writes it holds the name, unless something in it is escaped.
        self._mentions = [*mentions, *(key for key in self._needles if not any(name in key for name in mentions))]
        plain = all(_PLAIN.fullmatch(name) for names in named for name in names)
        self._escape = b"\\u00" if plain else b"\\"  # as every ASCII letter begins

    def redact(self, payload: bytes) -> bytes:
        """Return a payload with stand-ins; one that is no JSON, or has nothing to replace, as it is."""
        if self._has_needles and self._escape not in payload:
            for name in self._mentions:
                if name in payload:
                    break
            else:
                if self._looks_at_all:
                    self._check(payload)
                return payload
            for needle in self._needles:
                if needle in payload:
                    break
            else:
                self._check(payload)
                return payload
        spans = self._spans(payload)
        if spans is None:
            self.unparsed += 1
            return payload
        if not spans:
            return payload
        pieces: list[bytes] = []
        end = 0
        for start, stop in spans:
            pieces += payload[end:start], self._stand_ins.of_token(payload[start:stop])
            end = stop
        return b"".join((*pieces, payload[end:]))

    def _check(self, payload: bytes) -> None:
        try:
            _skim(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            if self._spans(payload) is None:  # NaN and its like are no reason to worry
                self.unparsed += 1

    def _node(self, tails: _Tails) -> _Node:
        node = self._nodes.get(tails)
        if node is not None:
            return node
        node = self._nodes[tails] = _Node(tuple(sorted(path for path, rest in tails if not rest)))
        going = [(path, rest) for path, rest in tails if rest]
        past = frozenset((path, rest[1:]) for path, rest in going if rest[0] == "*")
        node.other = self._node(past)
        node.element = self._node(frozenset(going) | past)
        for name in {rest[0] for _, rest in going} - {"*"}:
            node.names[name] = self._node(past | {(path, rest[1:]) for path, rest in going if rest[0] == name})
        return node

    def _spans(self, payload: bytes) -> list[tuple[int, int]] | None:
        """Return where the values to be replaced stand, in order; None if the payload is no JSON."""
        walk = _Walk(self._root)
        end = 0
        while (token := _TOKEN.match(payload, end)) is not None:
            kind = token.lastindex
            assert kind is not None
            start, end = token.span(kind)
            if not walk.takes(kind, payload[start:end], start, end):
                return None
        if not walk.is_done or payload[end:].strip(b" \t\r\n"):
            return None
        self.hits.update(walk.hits)
        return walk.spans


class _Walk:
    """Walks over the tokens of a payload, and keeps to the grammar of JSON (RFC 8259) on the way.

    Attributes:
        spans: Where the values stand that a path leads to; of those within each other only the outermost.
        hits: Of each, the paths that lead to it.
    """

    def __init__(self, root: _Node) -> None:
        self.spans: list[tuple[int, int]] = []
        self.hits: list[str] = []
        self._node = root
        self._want = "value"
        self._stack: list[tuple[_Node, bytes]] = []
        self._hidden: tuple[int, int] | None = None  # within a value that is replaced: its depth and beginning

    @property
    def is_done(self) -> bool:
        """Whether a value is complete, and nothing is open."""
        return self._want == "more" and not self._stack

    def takes(self, kind: int, token: bytes, start: int, end: int) -> bool:
        """Go over a token; False if the grammar does not allow it here."""
        want = self._want
        if want.startswith("value"):
            if kind == _MARK:
                if token == b"]" and want == "value or end":
                    return self._close(token, end)
                return self._open(token, start)
            return self._scalar(kind, token, start, end)
        if want == "more":
            if token == b",":
                return self._next()
            return self._close(token, end)
        if want == "colon":
            self._want = "value"
            return token == b":"
        if kind == _STRING:
            return self._key(token)
        return want == "key or end" and self._close(token, end)

    def _scalar(self, kind: int, token: bytes, start: int, end: int) -> bool:
        if self._node.hits and self._hidden is None:
            self._hit(start, end)
        self._want = "more"
        return kind == _STRING or token in _WORDS or NUMBER.fullmatch(token) is not None

    def _open(self, token: bytes, start: int) -> bool:
        if token not in b"{[":
            return False
        if self._node.hits and self._hidden is None:
            self._hidden = len(self._stack), start
        self._stack.append((self._node, b"}" if token == b"{" else b"]"))
        self._want = "key or end" if token == b"{" else "value or end"
        self._enter()
        return True

    def _enter(self) -> None:
        element = self._stack[-1][0].element
        assert element is not None
        self._node = element

    def _next(self) -> bool:
        if not self._stack:
            return False
        self._want = "key" if self._stack[-1][1] == b"}" else "value"
        self._enter()
        return True

    def _key(self, token: bytes) -> bool:
        node = self._stack[-1][0]
        try:
            key = json.loads(token.decode(errors="surrogateescape"), strict=False)
        except ValueError:  # no such escape
            return False
        found = node.names.get(key, node.other)
        assert found is not None
        self._node, self._want = found, "colon"
        return True

    def _close(self, token: bytes, end: int) -> bool:
        if not self._stack or self._stack[-1][1] != token:
            return False
        self._node, _ = self._stack.pop()
        self._want = "more"
        if self._hidden is not None and self._hidden[0] == len(self._stack):
            self._hit(self._hidden[1], end)
            self._hidden = None
        return True

    def _hit(self, start: int, end: int) -> None:
        self.spans.append((start, end))
        self.hits += self._node.hits


def _parts(path: str) -> tuple[str, ...]:
    parts = tuple(path.split("."))
    if not all(parts):
        raise UsageError(f"path {path!r} has an empty part", hint="write it as data.account.key or data.orders.*.id")
    return parts
