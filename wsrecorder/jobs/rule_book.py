"""What decides about a client's frames, ready to be asked: matchings and rules."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wsrecorder.core.ruled_dialogue import Rule
from wsrecorder.core.rules import RuleText
from wsrecorder.core.saying import Matching, Said, matching_named
from wsrecorder.errors import UsageError

if TYPE_CHECKING:
    from wsrecorder.analysis.frame_where import FrameWhere
    from wsrecorder.analysis.where import Where

__all__ = ["compiled_rules", "matching_of"]


def matching_of(match: str) -> Matching:
    """Return a matching: ``exact``, ``json``, ``type``, or an SQL expression.

    Raises:
        UsageError: It is none of these.
    """
    known = matching_named(match)
    if known is not None:
        return known
    from wsrecorder.analysis.frame_where import FrameWhere  # DuckDB: a tenth of a second that only its users should pay

    return FrameWhere(match)


def compiled_rules(texts: tuple[RuleText, ...]) -> tuple[list[Rule], list[Where | None]]:
    """Return rules ready to be asked, and what each of them plays.

    Raises:
        UsageError: An SQL expression of one of them is none.
    """
    if not texts:
        return [], []
    from wsrecorder.analysis.frame_where import FrameWhere
    from wsrecorder.analysis.where import Where

    rules: list[Rule] = []
    plays: list[Where | None] = []
    for text in texts:
        try:
            condition = None if text.match_where is None else FrameWhere(text.match_where)
            plays.append(None if text.where is None else Where(text.where))
        except UsageError as exc:
            raise UsageError(f"rule {text.name!r}: {exc.message}", hint=exc.hint) from exc
        rules.append(Rule(text.name, partial(_holds, text, condition), text.where is not None, text.stops))
    return rules, plays


def _holds(text: RuleText, condition: FrameWhere | None, said: Said) -> bool:
    return all(each.holds(said.payload) for each in text.conditions) and (condition is None or condition.holds(said))
