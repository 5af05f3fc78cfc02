"""An SQL condition on one frame of a client, and on the recorded one that it may stand for.

It sees ``type``, ``text``, ``binary`` and ``payload`` (the text as JSON, NULL where it is none) of the frame that came,
and the same of the recorded one as ``expected.type`` and so on. It is looked at once, before anything is played. What
fails on a frame, such as a text cast to a number, does not hold of it: what clients send ends no replay.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

import duckdb

from wsrecorder.core.event import Opcode
from wsrecorder.core.saying import Said
from wsrecorder.errors import UsageError

__all__ = ["FrameWhere"]

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "enable_external_access": False,
    "threads": 1,
}
_HINT: Final = (
    "it sees type, text, binary and payload of a client's frame, and those of the recorded one as expected.type …;"
    " see docs/two-way.md"
)
_QUERY: Final = """
    SELECT place FROM (
        SELECT unnest(range(len($types::VARCHAR[]))) AS place,
            $type::VARCHAR AS type, $text::VARCHAR AS text, $binary::BLOB AS binary,
            try_cast($text::VARCHAR AS JSON) AS payload,
            {{
                'type': ($types::VARCHAR[])[place + 1],
                'text': ($texts::VARCHAR[])[place + 1],
                'binary': ($binaries::BLOB[])[place + 1],
                'payload': try_cast(($texts::VARCHAR[])[place + 1] AS JSON)
            }} AS expected
    ) AS frame
    WHERE coalesce(CAST((
        {expression}
    ) AS BOOLEAN), false)
    ORDER BY place LIMIT 1
"""


class FrameWhere:
    """A condition on a frame, checked and ready; as a `Matching` it compares it to recorded ones.

    Args:
        expression: The SQL expression.

    Raises:
        UsageError: It is no such expression, as DuckDB says.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self._connection = duckdb.connect(":memory:", config=_CONFIG)
        self._connection.execute("SET lock_configuration = true")
        self._query = _QUERY.format(expression=expression)
        try:
            # By itself: within brackets, what ends them early would pass.
            if len(duckdb.extract_statements(f"SELECT 1 WHERE {expression}")) != 1:
                raise UsageError(f"{expression!r} is more than one expression", hint=_HINT)
            self._first(Said(b""), ())
        except duckdb.Error as exc:
            said = [line for line in str(exc).splitlines() if line.strip()]
            raise UsageError("\n".join(said), hint=_HINT) from exc

    def holds(self, said: Said) -> bool:
        """Return whether it is true of a frame; nothing is expected, so ``expected`` is all NULL."""
        return self._first_or_none(said, (None,)) is not None

    def key(self, said: Said) -> Hashable:
        """Return None: which frames match can only be told by looking at both."""
        return None

    def first(self, found: Said, expected: Sequence[Said]) -> int | None:
        """Return for which of those expected it is true first; None if for none."""
        return self._first_or_none(found, expected)

    def _first_or_none(self, found: Said, expected: Sequence[Said | None]) -> int | None:
        try:
            return self._first(found, expected)
        except duckdb.Error:
            return None

    def _first(self, found: Said, expected: Sequence[Said | None]) -> int | None:
        columns = [(None, None, None) if said is None else _columns(said) for said in expected]
        type_, text, binary = _columns(found)
        rows = self._connection.execute(
            self._query,
            {
                "type": type_,
                "text": text,
                "binary": binary,
                "types": [each[0] for each in columns],
                "texts": [each[1] for each in columns],
                "binaries": [each[2] for each in columns],
            },
        ).fetchall()
        return rows[0][0] if rows else None


def _columns(said: Said) -> tuple[str | None, str | None, bytes | None]:
    if said.opcode is Opcode.TEXT:
        try:
            return said.type, said.payload.decode(), None
        except UnicodeDecodeError:
            pass  # as in a recording: text that is not UTF-8 stands in the column binary
    return said.type, None, said.payload
