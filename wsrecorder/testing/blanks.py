"""What stands in a cassette for a secret: a blank, from which nobody can tell what it was.

Other stand-ins are alike for like values, by a secret (`wsrecorder.core.stand_ins`). A cassette is read by everybody
who has the tests, and its messages have to match those of a client that knows other secrets: it holds blanks, and so
do messages when they are compared with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from wsrecorder.core.redaction import Redactor
from wsrecorder.core.stand_ins import NUMBER, StandIns, redact_detail

__all__ = ["Blanks"]

_BLANK = "redacted"


class Blanks:
    """Puts blanks into payloads and into the queries of URLs.

    Args:
        names: Paths in payloads, such as ``data.token``; names in queries with a question mark, such as ``?token``.

    Raises:
        UsageError: A path has an empty part.
    """

    def __init__(self, names: Iterable[str]) -> None:
        names = [names] if isinstance(names, str) else list(names)
        self._paths = [name for name in names if not name.startswith("?")]
        self._queries = [name[1:] for name in names if name.startswith("?")]
        self._stand_ins = _Blank()
        self._redactor = Redactor(self._paths, self._stand_ins)

    def payload(self, payload: bytes) -> bytes:
        """Return a payload with blanks; one that is no JSON as it is."""
        return self._redactor.redact(payload) if self._paths else payload

    def detail(self, detail: str) -> str:
        """Return the detail of a mark with blanks."""
        return redact_detail(detail, (), self._queries, self._stand_ins)


class _Blank(StandIns):
    def __init__(self) -> None:
        super().__init__(b"of no account")

    def of(self, text: str) -> str:
        return _BLANK

    def of_token(self, token: bytes) -> bytes:
        if token == b"null":
            return token
        return b"0" if NUMBER.fullmatch(token) else b'"%s"' % _BLANK.encode()
