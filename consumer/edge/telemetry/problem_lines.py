"""Writes our log lines; a problem that lasts is written twice a minute. Chooses no words: the facts do."""

import logging
from collections.abc import Callable, Mapping

import structlog

from consumer.edge.telemetry.log import OURS, RepeatedLines
from consumer.service.ports import Clock

Fields = Mapping[str, object]


class ProblemLines:
    """The logger of our own facts."""

    def __init__(self, clock: Clock) -> None:
        self.log: structlog.stdlib.BoundLogger = structlog.get_logger(OURS)
        self._clock = clock
        self._logger = logging.getLogger(OURS)
        self._repeats = RepeatedLines()

    def are_written(self, level: int) -> bool:
        """Whether lines of this level are written: without asking, one that is not written costs 10 us."""
        return self._logger.isEnabledFor(level)

    def problem(
        self,
        event: str,
        kind: object,
        fields: Fields | Callable[[], Fields],
        *,
        cure: str,
        level: int = logging.WARNING,
        family: object = None,
        among: RepeatedLines | None = None,
    ) -> None:
        """Write a problem, unless one of its kind was written a moment ago; `fields` may be made when they are needed.

        Kinds that are without number, as campaigns are, share a `family`: so many of its lines are written at a time.
        """
        repeats = among or self._repeats
        family = None if family is None else (event, family)
        left_out = repeats.admit((event, kind), self._clock.now().steady, family=family)
        if left_out is not None:
            repeated = {name: count for name, count in left_out._asdict().items() if count}
            self.log.log(level, event, **(fields() if callable(fields) else fields), cure=cure, **repeated)
