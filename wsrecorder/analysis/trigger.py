"""``--trigger``: an SQL condition on events as they are recorded."""

from __future__ import annotations

from wsrecorder.analysis.where import Where
from wsrecorder.errors import UsageError
from wsrecorder.store.schema import RecordBatch

__all__ = ["TriggerCondition"]


class TriggerCondition:
    """A condition on events, checked and ready; what fails on an event, such as a cast, does not hold of it.

    Attributes:
        expression: The SQL expression.

    Args:
        expression: Over the columns of the view ``events``, as `Where` takes it.

    Raises:
        UsageError: It is no such expression, as DuckDB says, or gives neither true nor false.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        given = Where(expression).result_type  # by itself first: within brackets it could close one of ours
        if given != "BOOLEAN":
            raise UsageError(
                f"--trigger {expression} gives a value of type {given}, expected a condition that is true or false",
                hint="compare it, as in \"type = 'KILL_SWITCH'\" or \"payload->>'$.data.is_halted' = 'true'\"",
            )
        self._where = Where(f"try(CAST((\n{expression}\n) AS BOOLEAN))")

    def moments(self, batch: RecordBatch, session: str) -> list[int]:
        """Return when the events came for which it is true, ns since the recording began, in order.

        Args:
            batch: Of all columns.
            session: Id of the recording, for the column ``session``.
        """
        seen = batch.select(list(self._where.columns_read(("elapsed_ns",))))  # payloads that match need not be copied
        return [
            moment
            for kept in self._where.apply([seen], ("elapsed_ns",), session)
            if kept is not None
            for moment in kept.column("elapsed_ns").to_pylist()
        ]
