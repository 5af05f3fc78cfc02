"""Events as lines of text: for people, as JSON, or as bare payloads."""

from __future__ import annotations

from typing import Any, Final, Protocol

from wsrecorder.cli.output import say, show_count
from wsrecorder.cli.printable import printable
from wsrecorder.cli.table import cut

__all__ = ["EventLines", "JsonLines", "PayloadLines", "ReadableLines"]

_TYPE_WIDTH: Final = 15
_NARROWEST: Final = 20


class EventLines(Protocol):
    """Writes record batches of events as lines."""

    def encode(self, batch: Any) -> bytes:
        """Return the lines of a batch, each with its line feed."""
        ...

    def end(self) -> None:
        """Say what is to be said at the end."""
        ...


class ReadableLines:
    """A line an event: number, time of day (UTC), time since the beginning, type, payload cut to the width.

    Args:
        width: Columns that a line may have; None is no limit.
    """

    def __init__(self, width: int | None) -> None:
        self._width = width

    def encode(self, batch: Any) -> bytes:
        """Return the lines of a batch."""
        columns = (
            batch.column(name).to_pylist()
            for name in ("seq", "elapsed_ns", "kind", "type", "direction", "text", "binary", "detail")
        )
        # Arrow's own text of a time: five times as fast as datetime's.
        times = batch.column("received_at").cast("timestamp[us]").cast("string").to_pylist()
        return "".join(map(self._line, times, *columns)).encode(errors="surrogatepass")

    def _line(
        self, time: str, seq: int, elapsed_ns: int, kind: str, type_: str | None, direction: str,
        text: str | None, binary: bytes | None, detail: str | None,
    ) -> str:  # fmt: skip
        what = kind if kind != "message" else type_ if type_ is not None else "text" if text is not None else "binary"
        head = f"{seq:>7}  {time[11:23]}  {elapsed_ns // 1_000_000 / 1_000:>9.3f}s  {printable(what):<{_TYPE_WIDTH}}  "
        head += "> " if direction == "out" else ""
        room = None if self._width is None else max(_NARROWEST, self._width - len(head))
        if text is not None:
            payload = printable(text if room is None else text[: room + 1])
        elif binary is not None:
            shown = (binary if room is None else binary[:room]).hex(" ")
            payload = f"{len(binary):,} bytes: {shown}"
        else:
            payload = printable(detail or "")
        return f"{head}{payload if room is None else cut(payload, room)}".rstrip() + "\n"

    def end(self) -> None:
        """Say nothing."""


class JsonLines:
    """A JSON object an event, with all columns; binary frames as base64. ``wsrec import`` reads them back."""

    def encode(self, batch: Any) -> bytes:
        """Return the lines of a batch."""
        from wsrecorder.formats.jsonl import encode_lines

        return encode_lines(batch)

    def end(self) -> None:
        """Say nothing."""


class PayloadLines:
    """The payload of each text frame, verbatim. Binary frames have no line of their own: they are counted."""

    def __init__(self) -> None:
        self._left_out = 0

    def encode(self, batch: Any) -> bytes:
        """Return the lines of a batch."""
        from wsrecorder.store.schema import NOT_UTF8

        binary = batch.column("binary")
        if binary.null_count == len(batch):
            texts = batch.column("text").drop_null().to_pylist()
            return ("\n".join(texts) + "\n").encode() if texts else b""
        lines = []
        columns = (batch.column(name).to_pylist() for name in ("text", "binary", "detail"))
        for text, payload, detail in zip(*columns, strict=True):
            if text is not None:
                lines.append(text.encode())
            elif detail == NOT_UTF8:
                lines.append(payload)  # a text frame all the same
            elif payload is not None:
                self._left_out += 1
        return b"".join(line + b"\n" for line in lines)

    def end(self) -> None:
        """Say how many binary frames were left out."""
        if self._left_out:
            frames = "frame was" if self._left_out == 1 else "frames were"
            say(f"{show_count(self._left_out)} binary {frames} left out; --json has them, as base64")
