"""Where a resend stands: its records, and what has become of each. Reads events and results, commits nothing.

Thirteen bytes a record: an offset, a campaign, a status.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from consumer.core.event import Event, Record
from consumer.core.intake.decode import Decoder
from consumer.core.intake.headers import Marks
from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now, Partition, Ticks
from consumer.replay.book import NUMBER_OF, STATUSES
from consumer.replay.outcomes import outcome_of
from consumer.replay.ranges import Logs
from consumer.replay.rows import resend_of

PENDING: Final = 0
EARLIER_MS: Final = 3_600_000
"""Clocks of producers and brokers differ; a result is looked for from so long before its record's time on."""

Key = tuple[str, int]
"""Topic and partition."""

_NO_TIME: Final = Now(wall=Instant(0.0), steady=Ticks(0.0))
_NOWHERE: Final = Partition("", 0)


class _OfCampaign(msgspec.Struct, gc=False, rename="camel"):
    campaign_id: int


_event_of: Final = msgspec.json.Decoder(_OfCampaign).decode


class _Resent:
    """The records of a resend in one partition."""

    def __init__(self) -> None:
        self.offsets = array("Q")
        self.campaigns = array("I")
        self.statuses = bytearray()

    def add(self, offset: int, campaign: int) -> None:
        """Add a record; offsets rise."""
        self.offsets.append(offset)
        self.campaigns.append(campaign)
        self.statuses.append(PENDING)

    def row_of(self, offset: int) -> int | None:
        """Return a record's place."""
        row = bisect_left(self.offsets, offset)
        return row if row < len(self.offsets) and self.offsets[row] == offset else None


class ResendStanding:
    """What is known of a resend. Events and results are read on with each look."""

    def __init__(
        self, *, resend_id: str, results: str, starts: Mapping[Key, int], results_starts: Mapping[int, int]
    ) -> None:
        """Prepare. The starts say from where on events, and results, are read; without results' they are found."""
        self.resend_id = resend_id
        self._mark = resend_id.encode()
        self._results = results
        self._starts = dict(starts)
        self._results_starts = dict(results_starts)
        self._resent = {key: _Resent() for key in starts}
        self._campaigns: list[int | None] = []
        self._places: dict[int | None, int] = {}
        self._early: dict[tuple[str, int, int], int] = {}
        """Statuses of records that are not read yet: they were published after we looked."""
        self._counts: Counter[tuple[int | None, str]] = Counter()
        self._decoder = Decoder(Policies())
        self.oldest_ms: int | None = None

    @property
    def partitions(self) -> frozenset[Key]:
        """The topics and partitions that are looked at."""
        return frozenset(self._starts)

    @property
    def records(self) -> int:
        """How many records of the resend stand in the topics."""
        return sum(len(one.offsets) for one in self._resent.values())

    @property
    def pending(self) -> int:
        """How many of them have no outcome yet."""
        return sum(one.statuses.count(PENDING) for one in self._resent.values())

    @property
    def results(self) -> dict[str, int]:
        """How many have each outcome."""
        found = Counter[str]()
        for (_, status), count in self._counts.items():
            found[status] += count
        return {status: found[status] for status in STATUSES[1:] if found[status]}

    def by_campaign(self) -> dict[int | None, dict[str, int]]:
        """The same of each campaign, `""` being those without an outcome; of None the campaign cannot be read."""
        found: dict[int | None, dict[str, int]] = {}
        for (campaign, status), count in self._counts.items():
            if count:
                found.setdefault(campaign, {})[status] = count
        return {campaign: found[campaign] for campaign in sorted(found, key=lambda one: (one is None, one))}

    def report(self) -> dict[str, object]:
        """Return what a script is told."""
        return {
            "resendId": self.resend_id,
            "records": self.records,
            "pending": self.pending,
            "results": self.results,
        }

    async def look(self, logs: Logs) -> None:
        """Read on. Records come first: a result that is known then has its record."""
        await self._read_events(logs)
        if self.records and not self._results_starts:
            self._results_starts = await self._found_starts(logs)
        for number, start in self._results_starts.items():
            _, end = await logs.bounds(self._results, number)
            await logs.each(self._results, number, start, end, self._take)
            self._results_starts[number] = max(start, end)

    async def _read_events(self, logs: Logs) -> None:
        for key, start in self._starts.items():
            _, end = await logs.bounds(*key)
            await logs.each(*key, start, end, partial(self._add, key))
            self._starts[key] = max(start, end)

    async def _found_starts(self, logs: Logs) -> dict[int, int]:
        assert self.oldest_ms is not None
        starts: dict[int, int] = {}
        for number in range(await logs.partitions(self._results)):
            found = await logs.offset_at(self._results, number, max(0, self.oldest_ms - EARLIER_MS))
            starts[number] = (await logs.bounds(self._results, number))[1] if found is None else found
        return starts

    async def _add(self, key: Key, records: Sequence[Any]) -> None:
        resent = self._resent[key]
        for record in records:
            if not record.headers or resend_of(record.headers) != self._mark:
                continue
            if self.oldest_ms is None or record.timestamp < self.oldest_ms:
                self.oldest_ms = record.timestamp
            campaign = self._campaign_of(record)
            resent.add(record.offset, self._place(campaign))
            self._counts[campaign, STATUSES[PENDING]] += 1
            early = self._early.pop((*key, record.offset), PENDING)
            if early:
                self._settle(resent, len(resent.offsets) - 1, early)

    async def _take(self, records: Sequence[Any]) -> None:
        for record in records:
            result = outcome_of(record.value)
            if result is None or result.resend_id != self.resend_id or result.status not in NUMBER_OF:
                continue
            source, number = result.source, NUMBER_OF[result.status]
            resent = self._resent.get((source.topic, source.partition))
            row = None if resent is None else resent.row_of(source.offset)
            if resent is None or row is None:
                self._early[source.topic, source.partition, source.offset] = number
            elif resent.statuses[row] == PENDING:
                self._settle(resent, row, number)

    def _settle(self, resent: _Resent, row: int, number: int) -> None:
        resent.statuses[row] = number
        campaign = self._campaigns[resent.campaigns[row]]
        self._counts[campaign, STATUSES[PENDING]] -= 1
        self._counts[campaign, STATUSES[number]] += 1

    def _place(self, campaign_id: int | None) -> int:
        place = self._places.get(campaign_id)
        if place is None:
            place = self._places[campaign_id] = len(self._campaigns)
            self._campaigns.append(campaign_id)
        return place

    def _campaign_of(self, record: Record) -> int | None:
        value = record.value
        if value and value[:1] == b"{" and not Marks(record.headers).is_enveloped:
            try:
                return _event_of(value).campaign_id
            except (msgspec.MsgspecError, UnicodeError):
                return None
        [decoded] = self._decoder.batch(_NOWHERE, [record], _NO_TIME)
        return decoded.group.campaign_id if isinstance(decoded, Event) else decoded.campaign_id
