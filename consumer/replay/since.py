"""What has become of a plan's events since it was made: reached by others, or on their way. Reads no topic.

Another resend, or a publication long after deduplication forgot the first, may have brought an event to its person
while the plan lay about. What that plan itself has sent before is known from the topic, not from here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from consumer.core.event import Record
from consumer.replay.criteria import hash_of
from consumer.replay.event_ids import EventIds, EventSieve
from consumer.replay.outcomes import outcome_of

REACHED: Final = frozenset({"accepted", "in_doubt"})
"""Whoever may have got the text is not texted again by mistake."""

Place = tuple[str, int, int]
"""Topic, partition, offset."""


class Since:
    """Takes what was published and what became of it, in any order that has records before their results."""

    def __init__(
        self, *, resend_id: str, statuses: Sequence[str], ends: Mapping[tuple[str, int], int], among: EventSieve
    ) -> None:
        """Prepare. `ends` say where partitions ended when the plan was made, `statuses` what it resends on purpose."""
        self._resend_id = resend_id
        self._statuses = frozenset(statuses)
        self._ends = ends
        self._among = among
        self._event_ids = EventIds()
        self._reached: set[int] = set()
        self._pending: dict[Place, int] = {}

    def published(self, topic: str, partition: int, records: Iterable[Record]) -> None:
        """Take records without an outcome that stand behind the plan's end and are not of this resend."""
        for record in records:
            event = self._event_ids.of(record)
            if event and self._among.may_hold(event):
                self._pending[topic, partition, record.offset] = event

    def results(self, values: Iterable[bytes | None]) -> None:
        """Take results that came since the plan was made."""
        for value in values:
            result = outcome_of(value)
            if result is None or result.resend_id == self._resend_id:
                continue
            source = result.source
            place = (source.topic, source.partition, source.offset)
            self._pending.pop(place, None)
            if result.event_id is None or result.status not in REACHED:
                continue
            # a result may be published a second time; the plan knew it, and meant to resend all the same
            was_known = source.offset < self._ends.get(place[:2], 0) and result.status in self._statuses
            event = hash_of(result.event_id)
            if not was_known and self._among.may_hold(event):
                self._reached.add(event)

    @property
    def reached(self) -> frozenset[int]:
        """Events that have reached their person meanwhile, or may have."""
        return frozenset(self._reached)

    @property
    def pending(self) -> frozenset[int]:
        """Events that are on their way without an outcome."""
        return frozenset(self._pending.values())
