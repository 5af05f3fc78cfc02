"""A session with stand-ins for what must not be seen: values in payloads, headers and queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from wsrecorder.analysis.session import Session
from wsrecorder.core.dialect import EnvelopeReader
from wsrecorder.core.redaction import Redactor
from wsrecorder.core.stand_ins import StandIns, redact_detail, redact_query
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.jobs.new_session import Made, Target, make_session
from wsrecorder.jobs.progress import OnProgress, Progress, unwatched
from wsrecorder.store.manifest import Identity, Manifest, Origin
from wsrecorder.store.place import label
from wsrecorder.store.replacing import replaced
from wsrecorder.store.selection import Selection

__all__ = ["RedactOptions", "Redacted", "redact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactOptions:
    """What is replaced.

    Attributes:
        target: Where the new session goes.
        stand_ins: What takes the place of values.
        paths: Where they stand in payloads, as `Redactor` takes them.
        headers: Names of headers, in the marks.
        queries: Names in the query of URLs, in the marks and the manifest.
        fail_on_unparsed: Whether a payload that is no JSON is an error.
    """

    target: Target
    stand_ins: StandIns
    paths: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    fail_on_unparsed: bool = False


@dataclass(frozen=True, slots=True)
class Redacted:
    """What a redaction made.

    Attributes:
        made: The new session.
        hits: How many values were replaced, by path; 0 for a path that led nowhere.
        unparsed: Payloads that are no JSON; they were kept as they are.
    """

    made: Made
    hits: dict[str, int]
    unparsed: int


def redact(session: Session, options: RedactOptions, on_progress: OnProgress = unwatched) -> Redacted:
    """Make a session in which values are replaced; if that fails, nothing is left of it.

    Raises:
        UsageError: Nothing is to be replaced, or a path is none.
        SessionError: The session cannot be read; or a payload is no JSON, and that is an error.
        StorageError: The disk refuses.
    """
    if not (options.paths or options.headers or options.queries):
        raise UsageError("nothing is to be redacted", hint="name values with --path, --header or --query")
    redactor = Redactor(options.paths, options.stand_ins, looks_at_all=True)
    source = session.store.manifest()
    made = make_session(
        options.target,
        _identity(source.identity, options),
        _batches(session, source, options, redactor, on_progress),
    )
    return Redacted(made, {path: redactor.hits[path] for path in options.paths}, redactor.unparsed)


def _identity(source: Identity, options: RedactOptions) -> Identity:
    what = (
        *options.paths,
        *(f"header {name}" for name in options.headers),
        *(f"query {name}" for name in options.queries),
    )
    return msgspec.structs.replace(
        source,
        name=f"{source.name}-redacted",
        feed=redact_query(source.feed, options.queries, options.stand_ins),
        path=redact_query(source.path, options.queries, options.stand_ins),
        derived_from=(Origin(verb="redact", session=source.id, started_ns=source.started_ns, paths=what),),
    )


def _batches(
    session: Session, source: Manifest, options: RedactOptions, redactor: Redactor, on_progress: OnProgress
) -> Iterator[Any]:
    reader = EnvelopeReader(source.identity.dialect)

    def detail_of(detail: str) -> str:
        return redact_detail(detail, options.headers, options.queries, options.stand_ins)

    done = 0
    for batch in session.store.batches(Selection()):
        yield replaced(batch, redactor.redact if options.paths else _same, detail_of, reader)
        if options.fail_on_unparsed and redactor.unparsed:
            raise SessionError(
                f"{label(session.path)} holds a payload that is no JSON, one of the {len(batch)} events from {done} on",
                hint="leave out --fail-on-unparsed to keep such payloads as they are, or drop them first with "
                '"wsrec trim --where"',
            )
        done += len(batch)
        on_progress(Progress(done, min(1.0, done / max(1, source.events))))


def _same(payload: bytes) -> bytes:
    return payload
