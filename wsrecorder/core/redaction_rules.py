"""Redaction while recording: what must not reach the disk is replaced before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from wsrecorder.core.event import Batch
from wsrecorder.core.redaction import Redactor
from wsrecorder.core.stand_ins import StandIns

__all__ = ["NOT_JSON", "BatchRedactor", "RedactionRules"]

NOT_JSON: Final = "(no JSON)"
"""Stands for a path where payloads were replaced as a whole."""


@dataclass(frozen=True, slots=True)
class RedactionRules:
    """What is replaced, and by what.

    Attributes:
        paths: Where values stand in payloads, as `Redactor` takes them.
        stand_ins: What takes their place.
    """

    paths: tuple[str, ...]
    stand_ins: StandIns = field(repr=False)


class BatchRedactor:
    """Replaces values in batches.

    A payload that mentions a name of a path and is no JSON is replaced as a whole: nobody can tell where the value
    stands in it, and it must not be kept.

    Attributes:
        counts: How many values were replaced, by path; payloads as a whole under `NOT_JSON`. The keys never change, so
            another thread may read it at any time.

    Args:
        rules: What is replaced, and by what.

    Raises:
        UsageError: A path is none.
    """

    def __init__(self, rules: RedactionRules) -> None:
        self.counts: dict[str, int] = {**dict.fromkeys(rules.paths, 0), NOT_JSON: 0}
        self._paths = rules.paths
        self._stand_ins = rules.stand_ins
        self._redactor = Redactor(rules.paths, rules.stand_ins)

    def redact(self, batch: Batch) -> None:
        """Replace values in the payloads of a batch, where they stand; marks are left alone."""
        redactor, payloads = self._redactor, batch.payloads
        for index, opcode in enumerate(batch.opcodes):
            if opcode:
                unparsed = redactor.unparsed
                found = redactor.redact(payloads[index])
                if redactor.unparsed != unparsed:
                    found = self._stand_ins.of(found.decode(errors="surrogateescape")).encode(errors="surrogateescape")
                payloads[index] = found
        for path in self._paths:
            self.counts[path] = redactor.hits[path]
        self.counts[NOT_JSON] = redactor.unparsed
