"""Faults as people write them: ``drop=1%``, ``delay=50ms±20ms@SIGNAL``, ``disconnect=30s:1006``, ``recorded``.

What acts on frames is carried out by `wsrecorder.core.injector`, what acts on connections by the replay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from wsrecorder.core.moment import format_duration, parse_duration
from wsrecorder.errors import UsageError

__all__ = ["CUT", "FRAME_FAULTS", "Fault", "FaultKind", "can_be_sent", "check_faults", "parse_fault", "parse_faults"]

CUT: Final = 1006
"""Stands for a connection that ends without a close frame (RFC 6455, section 7.1.5)."""

_SERVICE_RESTART: Final = 1012
_FREEZE_EVERY_NS: Final = 60_000_000_000
_LEAST_EVERY_NS: Final = (
    100_000_000  # nothing could be seen between two that follow closer, and both would take all time
)
_PERCENT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")
_SYNTAX: Final = (
    "write drop=1%, delay=50ms±20ms, duplicate=1%, reorder=1% or corrupt=0.1%, each also with @TYPE,TYPE; "
    "or disconnect=30s:1006, freeze=10s/60s, refuse=5s, recorded"
)


def can_be_sent(code: int) -> bool:
    """Tell whether a close code may stand in a close frame (RFC 6455, section 7.4; 1012 to 1014 by IANA)."""
    return (1000 <= code <= 1014 and code not in (1004, 1005, CUT)) or 3000 <= code <= 4999


class FaultKind(StrEnum):
    """What goes wrong."""

    DROP = "drop"
    CORRUPT = "corrupt"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    DELAY = "delay"
    DISCONNECT = "disconnect"
    FREEZE = "freeze"
    REFUSE = "refuse"
    RECORDED = "recorded"


FRAME_FAULTS: Final = frozenset(
    {FaultKind.DROP, FaultKind.CORRUPT, FaultKind.DUPLICATE, FaultKind.REORDER, FaultKind.DELAY}
)
"""Kinds that act on single frames; the others act on connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault; those fields that its kind does not know are 0.

    Attributes:
        kind: What goes wrong.
        share: Of drop, corrupt, duplicate, reorder: how many frames, above 0, up to 1.
        length_ns: Of delay: how long, on average; of freeze and refuse: how long; ns.
        jitter_ns: Of delay: how much more or less at most, ns.
        every_ns: Of disconnect and freeze: how often, ns.
        code: Of disconnect: the close code; `CUT` ends connections without a close frame.
        types: Only frames of these types; None is all.
    """

    kind: FaultKind
    share: Decimal = Decimal(0)
    length_ns: int = 0
    jitter_ns: int = 0
    every_ns: int = 0
    code: int = 0
    types: frozenset[str] | None = None

    @property
    def text(self) -> str:
        """As `parse_fault` reads it; the same for faults that are the same."""
        return f"{self.kind}{self._value_text}{self.types_text}"

    @property
    def types_text(self) -> str:
        """Its types as `parse_fault` reads them, in one order."""
        return "" if self.types is None else "@" + ",".join(sorted(self.types))

    @property
    def _value_text(self) -> str:
        match self.kind:
            case FaultKind.RECORDED:
                return ""
            case FaultKind.DELAY:
                jitter = f"±{format_duration(self.jitter_ns)}" if self.jitter_ns else ""
                return f"={format_duration(self.length_ns)}{jitter}"
            case FaultKind.DISCONNECT:
                return f"={format_duration(self.every_ns)}:{self.code}"
            case FaultKind.FREEZE:
                return f"={format_duration(self.length_ns)}/{format_duration(self.every_ns)}"
            case FaultKind.REFUSE:
                return f"={format_duration(self.length_ns)}"
        return f"={(self.share * 100).normalize():f}%"


def parse_fault(text: str) -> Fault:
    """Read one fault.

    Args:
        text: ``drop``, ``corrupt``, ``duplicate`` or ``reorder`` with a percentage, ``delay=50ms`` or
            ``delay=50ms±20ms`` (``+-`` will do), each also with ``@TYPE,TYPE``; ``disconnect=30s`` or
            ``disconnect=30s:CODE``, ``freeze=10s`` or ``freeze=10s/60s``, ``refuse=5s``, ``recorded``.

    Raises:
        UsageError: It is none of these.
    """
    stated, has_types, types_text = text.strip().partition("@")
    word, has_value, value = (part.strip() for part in stated.partition("="))
    try:
        kind = FaultKind(word.lower())
    except ValueError:
        raise UsageError(f'"{text}" is not a fault: there is no kind "{word}"', hint=_SYNTAX) from None
    if has_types and kind not in FRAME_FAULTS:
        raise UsageError(
            f'"{text}" is not a fault: {kind} acts on connections, not on frames of a type',
            hint=f"leave out the types: {stated.strip()}",
        )
    types = frozenset(stripped for name in types_text.split(",") if (stripped := name.strip()))
    if has_types and not types:
        raise UsageError(f'"{text}" is not a fault: no type stands after the @', hint="name types: @SIGNAL,ERROR")
    if bool(has_value) == (kind is FaultKind.RECORDED) or (has_value and not value):
        expected = "no value" if kind is FaultKind.RECORDED else "a value"
        raise UsageError(f'"{text}" is not a fault: {kind} takes {expected}', hint=_SYNTAX)
    return _READERS[kind](kind, value, types if has_types else None)


def parse_faults(texts: Iterable[str]) -> tuple[Fault, ...]:
    """Read several faults that are to be active together.

    Raises:
        UsageError: One of them is none, or they cannot be active together.
    """
    return check_faults([parse_fault(text) for text in texts])


def check_faults(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """Return faults if they can be active together.

    Raises:
        UsageError: One has no effect by itself.
    """
    kinds = {fault.kind for fault in faults}
    if FaultKind.REFUSE in kinds and FaultKind.DISCONNECT not in kinds:
        raise UsageError(
            "refuse comes after a disconnect, and there is none",
            hint="add one, such as disconnect=30s; recorded refuses for as long as the recorded gap",
        )
    return tuple(faults)


_Types = frozenset[str] | None


def _read_share(kind: FaultKind, value: str, types: _Types) -> Fault:
    match = _PERCENT.fullmatch(value)
    if match is None:
        raise UsageError(f'"{value}" is not a percentage', hint=f"write {kind}=1%")
    # Decimal: 0.1% is exactly one in a thousand, and is written back as it was given.
    share = Decimal(match[1]) / 100
    if not 0 < share <= 1:
        raise UsageError(f"{value} of all frames is not possible, it must be above 0% and at most 100%", hint=_SYNTAX)
    return Fault(kind=kind, share=share, types=types)


def _read_delay(kind: FaultKind, value: str, types: _Types) -> Fault:
    length_text, has_jitter, jitter_text = value.replace("+-", "±").replace("+/-", "±").partition("±")
    length_ns = parse_duration(length_text)
    jitter_ns = parse_duration(jitter_text) if has_jitter else 0
    if length_ns == 0:
        raise UsageError("a delay of 0 is none", hint="write delay=50ms, or leave it out")
    if jitter_ns > length_ns:
        raise UsageError(
            f"a delay of {length_text.strip()} cannot vary by {jitter_text.strip()}: some would be below 0",
            hint=f"vary it by {length_text.strip()} at most",
        )
    return Fault(kind=kind, length_ns=length_ns, jitter_ns=jitter_ns, types=types)


def _read_disconnect(kind: FaultKind, value: str, types: _Types) -> Fault:
    every_text, has_code, code_text = (part.strip() for part in value.partition(":"))
    code = _read_code(code_text) if has_code else _SERVICE_RESTART
    return Fault(kind=kind, every_ns=_read_every(every_text, kind), code=code)


def _read_code(text: str) -> int:
    code = int(text) if re.fullmatch(r"[0-9]{4}", text) else 0
    if code == CUT or can_be_sent(code):
        return code
    raise UsageError(
        f'"{text}" is not a close code that can be sent',
        hint="give 1000 to 1003, 1007 to 1014, 3000 to 4999, or 1006 to cut connections without a close frame",
    )


def _read_freeze(kind: FaultKind, value: str, types: _Types) -> Fault:
    length_text, has_every, every_text = (part.strip() for part in value.partition("/"))
    length_ns = parse_duration(length_text)
    every_ns = _read_every(every_text, kind) if has_every else _FREEZE_EVERY_NS
    if not 0 < length_ns < every_ns:
        raise UsageError(
            f"a silence of {length_text} every {format_duration(every_ns)} is not possible: "
            "it must be longer than 0 and shorter than that",
            hint="write freeze=10s for one every minute, or say how often: freeze=90s/5m",
        )
    return Fault(kind=kind, length_ns=length_ns, every_ns=every_ns)


def _read_every(text: str, kind: FaultKind) -> int:
    every_ns = parse_duration(text)
    if every_ns < _LEAST_EVERY_NS:
        raise UsageError(
            f"{kind} every {format_duration(every_ns)} is too often: {format_duration(_LEAST_EVERY_NS)} is the least",
            hint="write disconnect=30s or freeze=10s/60s",
        )
    return every_ns


def _read_refuse(kind: FaultKind, value: str, types: _Types) -> Fault:
    length_ns = parse_duration(value)
    if not length_ns:
        raise UsageError("to refuse connections for 0 s is not to refuse any", hint="write refuse=5s, or leave it out")
    return Fault(kind=kind, length_ns=length_ns)


def _read_recorded(kind: FaultKind, value: str, types: _Types) -> Fault:
    return Fault(kind=kind)


_READERS: Final[dict[FaultKind, Callable[[FaultKind, str, _Types], Fault]]] = {
    FaultKind.DROP: _read_share,
    FaultKind.CORRUPT: _read_share,
    FaultKind.DUPLICATE: _read_share,
    FaultKind.REORDER: _read_share,
    FaultKind.DELAY: _read_delay,
    FaultKind.DISCONNECT: _read_disconnect,
    FaultKind.FREEZE: _read_freeze,
    FaultKind.REFUSE: _read_refuse,
    FaultKind.RECORDED: _read_recorded,
}
