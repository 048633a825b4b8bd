"""Tells the log when what troubles the service changes. Looks once a second; a trouble that comes and goes is no change."""

from collections.abc import Callable
from typing import Final

from consumer.core.terms import AT_ONCE, Ticks
from consumer.service.facts import Facts
from consumer.service.ports import Clock
from consumer.service.status_shape import Grade
from consumer.service.verdict import GRADE_RANK, ServiceVerdict, VerdictCause

LASTS_SECONDS: Final = 3.0
"""A cause has to be there, or gone, for so long."""

BETWEEN_SECONDS: Final = 5.0
"""As often at most is anything told."""

TOLD_ELSEWHERE: Final = frozenset({VerdictCause.STARTING, VerdictCause.DRAINING})

Named = tuple[VerdictCause, Grade]


class VerdictWatch:
    """Compares the verdict with what was told last."""

    def __init__(self, verdict: Callable[[], ServiceVerdict], *, clock: Clock, facts: Facts) -> None:
        self._verdict = verdict
        self._clock = clock
        self._facts = facts
        self._told: set[Named] = set()
        self._differs: dict[Named, Ticks] = {}
        """What is there and was not told, or was told and is gone, by since when."""
        self._told_at = AT_ONCE
        self._written: set[Named] = set()
        """What stood in the last line: a line tells all that is there, also what has not lasted yet."""

    def look(self) -> None:
        """Tell of the verdict if its causes have changed for good."""
        now, verdict = self._clock.now().steady, self._verdict()
        different = _named(verdict) ^ self._told
        self._differs = {named: self._differs.get(named, now) for named in different}
        changed = {named for named, since in self._differs.items() if now - since >= LASTS_SECONDS}
        if changed and now - self._told_at >= BETWEEN_SECONDS:
            self._told ^= changed
            if (named := _named(verdict)) != self._written:
                self._told_at, self._written = now, named
                self._facts.verdict_changed(verdict)


def _named(verdict: ServiceVerdict) -> set[Named]:
    worst: dict[VerdictCause, Grade] = {}
    for trouble in verdict.troubles:
        if trouble.cause not in TOLD_ELSEWHERE:
            known = worst.get(trouble.cause, "good")
            worst[trouble.cause] = max(known, trouble.grade, key=GRADE_RANK.__getitem__)
    return set(worst.items())
