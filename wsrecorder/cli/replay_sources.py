"""What ``wsrec replay`` plays: sessions of a library, or one of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wsrecorder.core.moment import Moment, Origin, parse_moment
from wsrecorder.core.stream_address import is_stream_address
from wsrecorder.errors import UsageError

if TYPE_CHECKING:
    from wsrecorder.cli.options import LibraryOption
    from wsrecorder.store.session import Store

__all__ = ["find_stores", "moment_of"]


def find_stores(references: Sequence[str], library: LibraryOption) -> tuple[list[Store], bool]:
    """Return the sessions that are named, each once, and whether it is one of a stream.

    Raises:
        UsageError: None is named, or a stream beside others.
        SessionNotFound: There is none by that name.
        FeedError: The stream's server does not answer, or refuses.
    """
    from wsrecorder.store.library import Library

    if not references:
        raise UsageError(
            "no session was named", hint='name one or more, such as "wsrec replay latest"; "wsrec ls" lists them'
        )
    if any(map(is_stream_address, references)):
        return [_in_stream(references)], True
    found = {store.path.resolve(): store for store in map(Library(library).find, references)}
    # "monday latest" may be one session: merged with itself, each frame would go out twice
    return list(found.values()), False


def _in_stream(references: Sequence[str]) -> Store:
    from wsrecorder.cli.stream_options import need_nats, stream_address

    if len(references) > 1:
        raise UsageError(
            f"a stream is replayed by itself, found {len(references)} sessions",
            hint='bring it into the library first: "wsrec archive nats://… --into LIBRARY"; sessions there merge',
        )
    address = stream_address(references[0])
    need_nats()
    from wsrecorder.jobs.stream_store import StreamStore  # nats-py: an extra

    return StreamStore(address)


def moment_of(text: str, stores: Sequence[Store]) -> Moment:
    """Return where to begin: a moment, or that of an event of the first session, as in ``#1200``.

    Raises:
        UsageError: It is neither, or there is no such event.
    """
    number = text.strip().removeprefix("#")
    if number == text.strip():
        return parse_moment(text)
    from wsrecorder.store.selection import Selection

    if not number.isdecimal():
        raise UsageError(f"{text!r} is not the number of an event", hint="write #1200; the first is #0")
    store = stores[0]
    began_ns = min(other.identity().started_ns for other in stores)
    for rows in store.batches(Selection(columns=("seq", "elapsed_ns"), from_seq=int(number), to_seq=int(number) + 1)):
        elapsed_ns = int(rows.column("elapsed_ns")[0].as_py())
        return Moment(Origin.START, store.identity().started_ns - began_ns + elapsed_ns, text)
    raise UsageError(
        f"{store.path.name} holds no event {number}", hint=f"it holds {store.manifest().events:,} events, from #0 on"
    )
