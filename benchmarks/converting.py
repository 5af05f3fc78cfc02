"""How fast sessions become files and files sessions, each figure beside the format's own library doing less.

The peer of an export writes the same payloads and nothing else, that of an import parses the file and keeps nothing.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from mcap.reader import make_reader
from mcap.writer import Writer

import wsrecorder
from benchmarks.figure import Figure
from benchmarks.long_session import make_long_session
from benchmarks.processes import Memory, result_of, started
from wsrecorder.jobs.convert import ExportOptions, ImportOptions, export_session, import_file

__all__ = ["figures"]

MESSAGES = 1_000_000

_TARGETS = {"jsonl": 150_000, "har": 100_000, "mcap": 100_000}
_NAMES = {"jsonl": "JSON lines", "har": "HAR", "mcap": "MCAP"}
_PEERS = {
    ("export", "jsonl"): "`json.dumps` of each row",
    ("export", "har"): "`json.dumps` of each message",
    ("export", "mcap"): "`mcap.writer` alone",
    ("import", "jsonl"): "`json.loads` of each line",
    ("import", "har"): "`json.load`, all of it in memory",
    ("import", "mcap"): "`mcap.reader` alone",
}
_PEER_ROWS = 200_000


def figures(folder: Path, messages: int = MESSAGES) -> list[Figure]:
    """Measure exports of a session of so many messages, and imports of what they wrote."""
    place = folder / "converting"
    place.mkdir()
    session = make_long_session(place, messages)
    found = []
    for form in _TARGETS:
        for verb in ("export", "import"):
            rate, memory = _measured("ours", verb, form, session)
            peer, _ = _measured("peer", verb, form, session)
            found.append(_figure(verb, form, rate, memory, peer))
        _file(session, form).unlink()
    return found


def _measured(who: str, verb: str, form: str, session: Path) -> tuple[float, Memory]:
    with started("benchmarks.converting", who, verb, form, str(session)) as process:
        memory = Memory(process.pid)
        rate = float(result_of(process))
        memory.stop()
    return rate, memory


def _figure(verb: str, form: str, rate: float, memory: Memory, peer: float) -> Figure:
    target = _TARGETS[form]
    return Figure(
        f"`wsrec {verb}`, {_NAMES[form]}",
        f"{rate:,.0f} events/s, {memory.peak_mb:.0f} MB at most",
        f"{_PEERS[verb, form]} {peer:,.0f}/s",
        f"{rate / peer:.1f}×",
        f"{target:,} events/s",
        rate >= target,
    )


def _file(session: Path, form: str) -> Path:
    return session.parent / f"x.{form}"


def _convert(verb: str, form: str, session: Path) -> int:
    """Do the work, and return how many events it was."""
    file = _file(session, form)
    if verb == "export":
        return export_session(wsrecorder.open(session), ExportOptions(out=file)).events
    with tempfile.TemporaryDirectory(dir=file.parent) as library:
        return import_file(ImportOptions(file=file, library=Path(library))).manifest.events


def _peer(verb: str, form: str, session: Path) -> int:
    """Let the peer do the work, and return how many events it was."""
    file = _file(session, form)
    if verb == "export":
        return _peer_export(form, session)
    if form == "jsonl":
        with file.open("rb") as lines:
            return sum(json.loads(line)["seq"] >= 0 for line in lines)
    if form == "har":
        entries = json.loads(file.read_bytes())["log"]["entries"]
        return sum(len(entry["_webSocketMessages"]) for entry in entries)
    with file.open("rb") as stream:
        return sum(1 for _ in make_reader(stream).iter_messages(log_time_order=False))


def _peer_export(form: str, session: Path) -> int:
    count = 0
    with tempfile.TemporaryFile() as out:
        writer = Writer(out)
        if form == "mcap":
            writer.start()
            channel = writer.register_channel("x", "json", 0)
        for batch in wsrecorder.open(session).batches():
            if form == "mcap":
                for text, time_ns in zip(
                    *(batch.column(name).to_pylist() for name in ("text", "received_ns")), strict=True
                ):
                    writer.add_message(channel, time_ns, text.encode(), time_ns)
            else:
                rows = batch.to_pylist() if form == "jsonl" else batch.select(["received_ns", "text"]).to_pylist()
                out.write("\n".join(json.dumps(row, default=str) for row in rows).encode())
            count += len(batch)
            if count >= _PEER_ROWS:
                break
        if form == "mcap":
            writer.finish()
    return count


if __name__ == "__main__":
    asked_who, asked_verb, asked_form, asked_session = sys.argv[1:]
    work = _convert if asked_who == "ours" else _peer
    start_s = time.perf_counter()
    print(work(asked_verb, asked_form, Path(asked_session)) / (time.perf_counter() - start_s), flush=True)
