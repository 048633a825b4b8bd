"""What became of the records that were published, by the results that name them. Reads no topic itself."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from consumer.lookup.results import PublishedResult, SeenRecords, read_result
from consumer.traffic.published import PublishedPlaces

SHOWN_AT_MOST: Final = 20
"""So many results are kept to be shown, and so many places without one."""


class AwaitedResults:
    """The results of what was published, each counted once."""

    def __init__(self, places: PublishedPlaces) -> None:
        self._places = places
        self._seen = SeenRecords()
        self.counts: Counter[tuple[str, str | None]] = Counter()
        """By status and reason."""
        self.shown: list[PublishedResult] = []
        """All of a few; of many, those that are not accepted."""

    @property
    def pending(self) -> int:
        """How many records have none yet."""
        return self._places.count - self.counts.total()

    def keep(self, record: Any) -> PublishedResult | None:
        """Return the result of one of our records; None for others, and for one that is known."""
        found = read_result(record)
        if found is None:
            return None
        source = found.result.source
        is_ours = source.topic == self._places.topic and self._places.has(source.partition, source.offset)
        return found if is_ours and self._seen.is_new(source) else None

    def take(self, found: PublishedResult) -> None:
        """Count a result of ours."""
        status = found.result.status
        self.counts[status, found.result.reason] += 1
        is_wanted = status != "accepted" or self._places.count <= SHOWN_AT_MOST
        if is_wanted and len(self.shown) < SHOWN_AT_MOST:
            self.shown.append(found)

    def missing(self) -> Iterator[str]:
        """Yield the first places without a result."""
        topic = self._places.topic
        without = (place for place in self._places.each() if not self._seen.has(topic, *place))
        yield from (f"{topic}:{partition}:{offset}" for partition, offset in islice(without, SHOWN_AT_MOST))
