"""Flow files of mitmproxy, read and written by the user's own ``mitmdump``.

The package mitmproxy asks for versions of others that clash with ours, and the form of its files is its own matter: so
its program does the work, led by `wsrecorder.formats.mitmproxy_addon`. What it reads comes as a HAR.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Direction, Event, Kind, Opcode
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.formats.har import HarReader
from wsrecorder.formats.lines import Lines
from wsrecorder.formats.session_metadata import feed_of

__all__ = ["MITMDUMP", "FlowReader", "is_flow_file", "write_flows"]

MITMDUMP: Final = "WSREC_MITMDUMP"
"""The environment variable that names the program; else it is looked for on the PATH."""

_ADDON: Final = Path(__file__).with_name("mitmproxy_addon.py")
# A dictionary in netstrings; its first key is text.
_HEAD: Final = re.compile(rb"\d{2,12}:\d{1,2}:[a-z_]+;")
_SECOND_NS: Final = 1_000_000_000
_ENCODER: Final = msgspec.json.Encoder()


class _Message(msgspec.Struct, array_like=True, gc=False):
    kind: str
    conn: int
    time: float
    is_from_client: bool
    opcode: int
    text: str | None
    binary: bytes | None


def is_flow_file(head: bytes) -> bool:
    """Return whether a file that begins with these bytes looks like one."""
    return _HEAD.match(head) is not None


class FlowReader:
    """Reads the WebSocket connections of a flow file, each as a connection of the session.

    Attributes:
        feed: URL of the first connection.
        notes: What should be said of the file, complete once all of it was read.

    Args:
        lines: The file.
        dialect: Of the feed; None is the engine's.
        clean_url: Takes the credentials out of a URL before it becomes part of an event.
    """

    def __init__(
        self, lines: Lines, dialect: Dialect | None = None, clean_url: Callable[[str], str] = lambda url: url
    ) -> None:
        self.feed = ""
        self.notes: list[str] = []
        self._lines = lines
        self._dialect = dialect
        self._clean_url = clean_url

    def batches(self) -> Iterator[list[Event]]:
        """Yield the messages of all connections in the order of their times.

        Raises:
            SessionError: ``mitmdump`` cannot read the file, or it holds no WebSocket.
            UsageError: There is no ``mitmdump``.
        """
        with tempfile.TemporaryFile() as har:
            found = _run("read", iter(lambda: self._lines.read(1 << 20), b""), har, self._lines.name)
            if not found["flows"]:
                raise SessionError(
                    f"{self._lines.name} holds no WebSocket: none of its {found['others']:,} flows has messages of one",
                    hint="mitmproxy keeps them in the flow of the request that opened the connection",
                )
            self._note(found)
            har.seek(0, os.SEEK_END)
            size_bytes, read_bytes = max(1, har.tell()), self._lines.read_bytes
            har.seek(0)
            inner = Lines(har, self._lines.name)
            reader = HarReader(inner, self._dialect, self._clean_url)
            for batch in reader.batches():
                self.feed = reader.feed
                self._lines.read_bytes = read_bytes * inner.read_bytes // size_bytes
                yield batch
            self.notes += reader.notes

    def _note(self, found: dict[str, Any]) -> None:
        for key, words in (
            ("others", "flows are no WebSockets and were left out"),
            ("dropped", "messages that mitmproxy did not pass on were left out"),
            ("not_utf8", "text frames that are not UTF-8 became binary ones"),
        ):
            if found[key]:
                self.notes.append(f"{found[key]:,} {words}")


def write_flows(batches: Iterable[pa.RecordBatch], out: BinaryIO, schema: pa.Schema) -> list[str]:
    """Write record batches of a session's columns as a flow file, a flow a connection.

    Args:
        batches: Of ``schema``.
        out: Stays open; need not be seekable.
        schema: Its metadata names the session's feed.

    Returns:
        What the file does not hold.

    Raises:
        UsageError: There is no ``mitmdump``.
        SessionError: It failed.
    """
    lines = _FlowLines()
    with tempfile.TemporaryFile() as flows:
        _run("write", lines.of(batches), flows, "the flow file", WSREC_FEED=feed_of(schema))
        flows.seek(0)
        shutil.copyfileobj(flows, out, 1 << 20)
    return [
        "times are floating point seconds, good to about 240 ns",
        *(f"{count:,} events {kind} were left out" for kind, count in lines.left_out.items()),
    ]


class _FlowLines:
    """Makes lines for the addon of record batches."""

    def __init__(self) -> None:
        self.left_out: dict[str, int] = {}

    def of(self, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
        for batch in batches:
            is_message = pc.equal(batch.column("kind").dictionary_decode(), str(Kind.MESSAGE))
            if pc.all(is_message).as_py():
                yield self._messages(batch)
                continue
            at = 0
            for place in pc.indices_nonzero(pc.invert(is_message)).to_pylist():
                yield self._messages(batch.slice(at, place - at)) + self._mark(batch.slice(place, 1).to_pylist()[0])
                at = place + 1
            yield self._messages(batch.slice(at))

    def _messages(self, rows: pa.RecordBatch) -> bytes:
        text, binary = rows.column("text"), rows.column("binary")
        is_text = pc.or_(pc.is_valid(text), pc.is_valid(rows.column("detail")))
        opcodes = pc.if_else(is_text, int(Opcode.TEXT), int(Opcode.BINARY))
        is_out = pc.equal(rows.column("direction").dictionary_decode(), str(Direction.OUT))
        seconds = pc.divide(rows.column("received_ns"), _SECOND_NS)
        rest = pc.subtract(rows.column("received_ns"), pc.multiply(seconds, _SECOND_NS))
        times = pc.add(seconds.cast(pa.float64()), pc.divide(rest.cast(pa.float64()), float(_SECOND_NS)))
        columns = (rows.column("conn"), times, is_out, opcodes, text, binary)
        return _ENCODER.encode_lines(
            list(map(_Message, repeat("message"), *(column.to_pylist() for column in columns)))
        )

    def _mark(self, row: dict[str, Any]) -> bytes:
        kind, detail = row["kind"], json.loads(row["detail"] or "{}")
        said: list[Any]
        if kind == Kind.OPEN:
            said = [str(detail.get("url") or ""), str(detail.get("subprotocol") or "")]
        elif kind == Kind.CLOSE:
            said = [detail.get("code", 1006), str(detail.get("reason") or ""), "client" in str(detail.get("cause"))]
        else:
            self.left_out[kind] = self.left_out.get(kind, 0) + 1
            return b""
        return _ENCODER.encode_lines([[kind, row["conn"], row["received_ns"] / _SECOND_NS, *said]])


def _run(task: str, source: Iterable[bytes], out: BinaryIO, name: str, **environment: str) -> dict[str, Any]:
    """Let ``mitmdump`` turn what comes from ``source`` into what goes to ``out``, and return what it says of it."""
    program = _program()
    with tempfile.TemporaryDirectory(prefix="wsrec-") as folder, tempfile.TemporaryFile() as complaints:
        # A copy: the program looks for modules beside an addon first, and ours there have names of its own ones.
        addon = shutil.copy(_ADDON, Path(folder) / "wsrec_addon.py")
        own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        try:
            process = subprocess.Popen(
                [program, "--quiet", "--no-server", "--scripts", addon, "--set", f"confdir={folder}"],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=complaints,
                env=own | environment | {"WSREC_TASK": task, "PYTHONDONTWRITEBYTECODE": "1"},
            )
        except OSError as exc:
            raise UsageError(
                f"cannot run {program}: {exc.strerror}", hint=f"name mitmproxy's program mitmdump in {MITMDUMP}"
            ) from exc
        try:
            _feed(process, source)
            process.wait()
        finally:
            process.kill()
            process.wait()
        complaints.seek(0)
        return _said(complaints.read(), name, program)


def _feed(process: subprocess.Popen[bytes], source: Iterable[bytes]) -> None:
    assert process.stdin is not None
    # A broken pipe: it has given up, and what it says tells why.
    try:
        with suppress(BrokenPipeError):
            for chunk in source:
                process.stdin.write(chunk)
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()


def _said(complaints: bytes, name: str, program: str) -> dict[str, Any]:
    lines = complaints.decode(errors="replace").splitlines()
    told = next((line for line in reversed(lines) if line.startswith('{"wsrec"')), None)
    if told is None:
        last = next((line for line in reversed(lines) if line.strip()), "nothing")
        raise SessionError(f"{program} failed; it said: {last}", hint="is it mitmdump of mitmproxy 10 or newer?")
    found: dict[str, Any] = json.loads(told)
    if "error" in found:
        raise SessionError(
            f"{name}, up to byte {found['byte']:,}: mitmproxy says: {found['error']}",
            hint="is it the whole file, as mitmproxy saved it (mitmdump -w FILE)?",
        )
    return found


def _program() -> str:
    program = os.environ.get(MITMDUMP) or shutil.which("mitmdump")
    if program is None:
        raise UsageError(
            "flow files need mitmproxy's program mitmdump, which is not on the PATH",
            hint=f"install mitmproxy (on its own: pipx install mitmproxy), or name its mitmdump in {MITMDUMP}",
        )
    return program
