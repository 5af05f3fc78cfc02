"""The faults of a replay: which are active, the clockwork of those that act on connections, what was injected.

Theory of operation. Each playback sends through a `Delivery` of its own, which asks here for an
injector and whether everyone is silent now, and tells when a recorded outage has come. Disconnects
and silences follow wall time, counted from the first client, for all clients together: so does a
live server that restarts or hangs. Their tasks run as long as the fault is active; to set other
faults beside it does not disturb them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, Protocol

from wsrecorder.clock import Clock
from wsrecorder.core.fault import Fault, FaultKind, check_faults
from wsrecorder.core.injector import Injector
from wsrecorder.jobs.outages import Outage
from wsrecorder.jobs.replay_options import FaultReport
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint

__all__ = ["Delivering", "Faults"]

_LOG: Final = logging.getLogger("wsrecorder.replay")


class Delivering(Protocol):
    """A delivery, as far as it concerns the faults."""

    @property
    def injected(self) -> Counter[FaultKind]:
        """What was injected into its frames."""
        ...

    def refit(self) -> None:
        """Other faults are active now."""
        ...


class Faults:
    """The faults of one replay; see the top of the module.

    Attributes:
        seed: Decides which frames are hit.
        outages: What was recorded, by time; empty unless ``recorded`` is active.
        thawed: Set unless everyone is silent now.

    Args:
        faults: Active from the start.
        seed: Decides which frames are hit.
        endpoint: Whose clients suffer.
        clock: Where the time comes from.
        read_outages: Reads the recorded outages; called on a thread.
        check_types: Raises `UsageError` if there is no message of any of these types.
        on_error: Told of an error of a task of its own.

    Raises:
        UsageError: They cannot be active together, or name types of which there is no message.
    """

    def __init__(
        self,
        faults: Sequence[Fault],
        seed: int,
        endpoint: Endpoint,
        clock: Clock,
        *,
        read_outages: Callable[[], list[Outage]],
        check_types: Callable[[frozenset[str] | None], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.seed = seed
        self.outages: Sequence[Outage] = ()
        self.thawed = asyncio.Event()
        self.thawed.set()
        self._endpoint = endpoint
        self._clock = clock
        self._read_outages = read_outages
        self._check_types = check_types
        self._on_error = on_error
        self._active = self._checked(faults)
        self._seen = {fault.kind for fault in faults}
        self._known_outages: list[Outage] | None = None
        self._counts: Counter[FaultKind] = Counter()
        self._deliveries: list[Delivering] = []
        self._clockworks: dict[Fault, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._freezers = 0
        self._is_open = False

    async def prepare(self) -> None:
        """Read what has to be read before anything is played.

        Raises:
            SessionError: The recorded outages cannot be read.
        """
        if self._has(FaultKind.RECORDED):
            await self._learn_outages()

    def begin(self) -> None:
        """Start the clockwork."""
        self._is_open = True
        self._refit()

    async def close(self) -> None:
        """Stop the clockwork, and all that was begun with `start`."""
        self._is_open = False
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def active(self) -> list[Fault]:
        """The faults that are active now."""
        return list(self._active)

    def set(self, faults: Iterable[Fault]) -> None:
        """Let these faults be active, and no others, from the next frame on.

        Raises:
            UsageError: They cannot be active together, or name types of which there is no message.
        """
        self._active = self._checked(tuple(faults))
        self._seen |= {fault.kind for fault in self._active}
        _LOG.info("faults: %s", ", ".join(fault.text for fault in self._active) or "none")
        if self._is_open and self._has(FaultKind.RECORDED) and self._known_outages is None:
            self.start(self._learn_outages_late())
        self._refit()

    @property
    def counts(self) -> dict[str, int]:
        """What was injected so far, by each kind that has ever been active.

        Frames dropped, altered, doubled and delayed; pairs swapped; clients disconnected; silences
        begun; connections refused; recorded outages re-enacted.
        """
        counts = Counter(self._counts)
        for delivery in self._deliveries:
            counts.update(delivery.injected)
        counts[FaultKind.REFUSE] += self._endpoint.admission.refused
        shown = self._seen | {kind for kind, count in counts.items() if count}
        return {kind.value: counts[kind] for kind in FaultKind if kind in shown}

    def report(self) -> FaultReport:
        """Return what there is to report."""
        return FaultReport(self.seed, tuple(fault.text for fault in self._active), self.counts)

    # What deliveries ask and tell.

    def attach(self, delivery: Delivering) -> None:
        """Count what a delivery injects, and tell it of changes."""
        self._deliveries.append(delivery)

    def detach(self, delivery: Delivering) -> None:
        """Forget a delivery, not what it has injected; does nothing the second time."""
        if delivery in self._deliveries:
            self._deliveries.remove(delivery)
            self._counts.update(delivery.injected)

    def injector(self) -> Injector:
        """Return what injects the faults of frames that are active now."""
        return Injector(self._active, self.seed)

    @property
    def is_clear(self) -> bool:
        """Whether no fault is active."""
        return not self._active

    def strike(self, outage: Outage, length_ns: int, to: Sequence[Client] | None) -> None:
        """Re-enact a recorded outage.

        Args:
            outage: What was recorded.
            length_ns: For how long to refuse connections, wall time, ns.
            to: The clients whose playback has come to it: only they are closed, and nobody is refused; None is all.
        """
        self._counts[FaultKind.RECORDED] += 1
        closed = self._endpoint.dismiss(self._endpoint.audience if to is None else to, outage.code, outage.reason)
        if to is None:
            self._endpoint.admission.refuse(length_ns)
        _LOG.info("recorded outage of %.1f s, clients closed (%d): %d", length_ns / 1e9, outage.code, closed)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task that ends with the faults at the latest, and whose error is told."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)
        return task

    # Clockwork.

    def _has(self, kind: FaultKind) -> bool:
        return any(fault.kind is kind for fault in self._active)

    def _checked(self, faults: Sequence[Fault]) -> tuple[Fault, ...]:
        for fault in faults:
            self._check_types(fault.types)
        return check_faults(faults)

    def _refit(self) -> None:
        self.outages = (self._known_outages or ()) if self._has(FaultKind.RECORDED) else ()
        if self._is_open:
            wanted = {fault for fault in self._active if fault.kind in _CLOCKWORKS}
            for fault in self._clockworks.keys() - wanted:
                self._clockworks.pop(fault).cancel()
            for fault in wanted - self._clockworks.keys():
                self._clockworks[fault] = self.start(_CLOCKWORKS[fault.kind](self, fault))
        for delivery in self._deliveries:
            delivery.refit()

    async def _learn_outages(self) -> None:
        self._known_outages = await asyncio.to_thread(self._read_outages)
        if not self._known_outages:
            _LOG.warning("no connection was lost in what was recorded: the fault recorded has nothing to inject")

    async def _learn_outages_late(self) -> None:
        await self._learn_outages()
        self._refit()

    async def _disconnect(self, fault: Fault) -> None:
        due_ns = await self._first_client_ns()
        while True:
            due_ns = await self._next_ns(due_ns, fault)
            closed = self._endpoint.dismiss(self._endpoint.clients, fault.code)
            self._counts[FaultKind.DISCONNECT] += closed
            refuse_ns = max((other.length_ns for other in self._active if other.kind is FaultKind.REFUSE), default=0)
            self._endpoint.admission.refuse(refuse_ns)
            _LOG.info("clients disconnected (%d): %d", fault.code, closed)

    async def _freeze(self, fault: Fault) -> None:
        due_ns = await self._first_client_ns()
        while True:
            due_ns = await self._next_ns(due_ns, fault)
            _LOG.info("silent for %g s", fault.length_ns / 1e9)
            self._counts[FaultKind.FREEZE] += 1
            self._silence(+1)
            try:
                await self._clock.sleep_until(due_ns + fault.length_ns)
            finally:
                self._silence(-1)

    async def _first_client_ns(self) -> int:
        await self._endpoint.wait_for_clients(1)
        return self._clock.now_ns()

    async def _next_ns(self, last_ns: int, fault: Fault) -> int:
        """Wait until it is time again, and return when that was; what the machine has slept through is left out."""
        missed_ns = (self._clock.now_ns() - last_ns) // fault.every_ns * fault.every_ns
        due_ns = last_ns + missed_ns + fault.every_ns
        await self._clock.sleep_until(due_ns)
        return due_ns

    def _silence(self, more: int) -> None:
        self._freezers += more
        self._endpoint.is_silent = self._freezers > 0
        if self._freezers:
            self.thawed.clear()
        else:
            self.thawed.set()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(error)


_CLOCKWORKS: Final[dict[FaultKind, Callable[[Faults, Fault], Coroutine[Any, Any, None]]]] = {
    FaultKind.DISCONNECT: Faults._disconnect,
    FaultKind.FREEZE: Faults._freeze,
}
