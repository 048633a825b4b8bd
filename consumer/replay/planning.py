"""Reads what a plan needs, in its order: events, what stands behind them, results, journals. Decides about no record.

The results topic is read once, from the time of the records on. The journal is asked where a record has no result:
retention may have removed it.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from consumer.core.event import Invalid, Record
from consumer.core.intake.decode import Decoder
from consumer.core.intake.headers import RESEND_ID
from consumer.core.policy import Policies
from consumer.core.terms import Now, Partition
from consumer.replay.conclusion import Conclusion, conclude
from consumer.replay.criteria import hash_of, names_in
from consumer.replay.draft import PlanDraft
from consumer.replay.journals import outcomes_of, skips_of
from consumer.replay.letters import Letter, letter_of, line_of, original_of
from consumer.replay.ranges import (
    Logs,
    NothingToPlanError,
    PlanQuestion,
    Range,
    ReadingProgress,
    ranges_of,
    runs_of,
    within,
)
from consumer.service.ports import TopicGoneError

EARLIER_MS: Final = 600_000
"""Results are looked for so much earlier than the records' own timestamps: clocks of producers differ."""


@dataclass(slots=True, kw_only=True)
class Notes:
    """What was met on the way, in records or offsets, and is worth a warning."""

    lost: int = 0
    """Asked for by offset, and removed by retention."""
    letters: int = 0
    letters_gone: int = 0
    """Dead letters whose record is not in its events topic any more."""
    unknowable: int = 0
    """Without an outcome, and both results and journal that may have told of one are gone."""
    orphans: int = 0
    """Events of which the range holds resends alone, and whose original's result retention may have removed."""
    skipped: int = 0
    """Without an outcome, below what is committed: passed over by a forward move of the group."""
    unreadable_results: int = 0
    idle_exclusions: int = 0
    """Names of excluded events and people that fit none of what was selected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What was found; everything a plan needs but its seal."""

    cluster_id: str
    conclusion: Conclusion
    notes: Notes
    events_ends: dict[str, tuple[int, ...]]
    results_ends: tuple[int, ...]
    lines: list[bytes]
    """Dead letters, to be mended by hand."""
    letters_of: tuple[str, ...]
    """The events topics that these are of."""


@dataclass(slots=True)
class _Times:
    """When the records of a partition were published, some thousand records at a time."""

    first_offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    earliest_ms: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, records: Sequence[Record]) -> None:
        known = [record.timestamp for record in records if record.timestamp >= 0]
        self.first_offsets.append(records[0].offset)
        self.earliest_ms.append(min(known, default=0))

    def since(self, offset: int) -> int:
        """Return the earliest timestamp of the records from an offset on, in milliseconds."""
        pairs = zip(self.first_offsets, (*self.first_offsets[1:], 2**63), self.earliest_ms, strict=True)
        return min(earliest for _, end, earliest in pairs if end > offset)


async def draw_up(
    question: PlanQuestion, logs: Logs, *, policies: Policies, now: Now, progress: ReadingProgress
) -> Drawn:
    """Read, join and conclude.

    Raises:
        NothingToPlanError: a partition that is asked for does not exist.
        TopicGoneError: a topic does not exist.
    """
    cluster_id = await logs.cluster_id()
    work = _Work(question, logs, policies, now, progress)
    work.ranges, events_ends = await ranges_of(question, logs)
    if question.only_skipped:
        await work.find_skips()
    if question.only_dead_letters:
        await work.find_letters()
    await work.read_events()
    results_ends = await work.read_outcomes()
    work.notes.unreadable_results = work.draft.unreadable_results
    met = work.draft.excluded_as
    work.notes.idle_exclusions = sum(met.isdisjoint(names_in(text)) for text in question.exclusions)
    return Drawn(
        cluster_id=cluster_id,
        conclusion=conclude(work.draft, question.criteria),
        notes=work.notes,
        events_ends=events_ends,
        results_ends=results_ends,
        lines=work.lines,
        letters_of=tuple(sorted(work.letters_of)),
    )


class _Work:
    def __init__(
        self, question: PlanQuestion, logs: Logs, policies: Policies, now: Now, progress: ReadingProgress
    ) -> None:
        self.draft = PlanDraft(question.criteria, now=now.wall, extend_expiry_seconds=question.extend_expiry_seconds)
        self.notes = Notes()
        self.lines: list[bytes] = []
        self.letters_of: set[str] = set()
        self.ranges: list[Range] = []
        self._question = question
        self._logs = logs
        self._decoder = Decoder(policies)
        self._now = now
        self._progress = progress
        self._times: dict[Partition, _Times] = {}
        self._cut: dict[int, bool] = {}
        """By results partition: whether retention has removed results of the time in question."""

    # ---------------------------------------------------------------- what to read

    async def find_skips(self) -> None:
        """Narrow the ranges to what a forward move has passed over."""
        bounds = [
            await self._since(one.journal, one.partition, await self._bounds(one.journal, one.partition))
            for one in self.ranges
        ]
        self._progress.stage("journals", sum(end - start for start, end in bounds))
        for one, (start, end) in zip(self.ranges, bounds, strict=True):
            skips: list[tuple[int, int]] = []
            await self._read(one.journal, one.partition, start, end, partial(_extend, skips))
            one.runs = within(skips, one.start, one.stop)

    async def find_letters(self) -> None:
        """Narrow the ranges to the records of dead letters."""
        topic, wanted = self._question.dead_letters, dict[tuple[str, int], set[int]]()
        ranges = {(one.topic, one.partition): one for one in self.ranges}

        def take(records: Sequence[Record]) -> None:
            for record in records:
                letter = letter_of(record.headers)
                one = None if letter is None else ranges.get((letter.topic, letter.partition))
                if letter is not None and one is not None and self._take(letter, record, one):
                    wanted.setdefault((letter.topic, letter.partition), set()).add(letter.offset)

        bounds = [
            await self._since(topic, number, await self._logs.bounds(topic, number))
            for number in range(await self._logs.partitions(topic))
        ]
        self._progress.stage("dead letters", sum(end - start for start, end in bounds))
        for number, (start, end) in enumerate(bounds):
            await self._read(topic, number, start, end, take)
        for place, one in ranges.items():
            one.only = frozenset(wanted.get(place, ()))
            one.runs = within(runs_of(one.only), one.start, one.stop)

    async def _since(self, topic: str, partition: int, bounds: tuple[int, int]) -> tuple[int, int]:
        """Return which part of a log may speak of the records that are asked for: none is older than they are."""
        asked_ms, (start, end) = self._question.since.timestamp_ms, bounds
        if asked_ms is None or start == end:
            return bounds
        found = await self._logs.offset_at(topic, partition, self._earlier(asked_ms))
        return end if found is None else found, end

    def _take(self, letter: Letter, record: Record, one: Range) -> bool:
        """Whether a letter is asked for; one that is still no valid event is to be mended."""
        question = self._question
        before, is_gone = letter.offset < one.start, letter.offset < one.log_start
        if not letter.is_about(question.reason_contains) or letter.offset >= one.stop or (before and not is_gone):
            return False
        original = original_of(letter, record)
        (event,) = self._decoder.batch(Partition(letter.topic, letter.partition), [original], self._now)
        if not question.criteria.select(event, 0 if event.event_id is None else hash_of(event.event_id)):
            return False
        self.notes.letters += 1
        self.notes.letters_gone += is_gone
        if isinstance(event, Invalid):
            self.lines.append(line_of(record))
            self.letters_of.add(letter.topic)
        return not is_gone

    # ---------------------------------------------------------------- events

    async def read_events(self) -> None:
        """Read the ranges, then what may stand behind them of the same events."""
        self.notes.lost = sum(one.lost for one in self.ranges)
        self._progress.stage("events", sum(one.size for one in self.ranges))
        for one in self.ranges:
            partition = Partition(one.topic, one.partition)
            self.draft.begin(*partition)
            self._times[partition] = _Times()
            for start, stop in one.runs:
                await self._read(one.topic, one.partition, start, stop, partial(self._take_events, partition, one.only))
        self.draft.events_are_known()

    def _take_events(self, partition: Partition, only: frozenset[int] | None, records: Sequence[Record]) -> None:
        self._times[partition].add(records)
        decoded = self._decoder.batch(partition, records, self._now)
        self.draft.events(records, decoded, only=only, skipped=self._question.only_skipped)

    async def _read_behind(self, one: Range, start: int) -> None:
        """Read resends of the events that stand behind a range and may have no result yet."""
        partition = Partition(one.topic, one.partition)

        def take(records: Sequence[Record]) -> None:
            resends = [record for record in records if _is_resend(record)]
            if resends:
                self.draft.behind(resends, self._decoder.batch(partition, resends, self._now))

        self._progress.stage("resends", one.log_end - start)
        self.draft.begin(*partition)
        await self._read(one.topic, one.partition, start, one.log_end, take)

    async def _read(
        self, topic: str, partition: int, start: int, stop: int, take: Callable[[Sequence[Record]], None]
    ) -> None:
        reached = start

        async def go_on(records: Sequence[Record]) -> None:
            nonlocal reached
            take(records)
            came = records[-1].offset + 1
            self._progress.advance(came - reached)
            reached = came

        if stop > start:
            await self._logs.each(topic, partition, start, stop, go_on)
            self._progress.advance(stop - reached)

    # ---------------------------------------------------------------- outcomes

    async def read_outcomes(self) -> tuple[int, ...]:
        """Read results, then journals; return where the results topic ended."""
        topic = self._question.results
        bounds = [await self._logs.bounds(topic, number) for number in range(await self._logs.partitions(topic))]
        concerned = [one for one in self.ranges if self.draft.has_rows(one.topic, one.partition)]
        starts = await self._results_starts(bounds, concerned)
        for one in concerned:
            behind = one.stop if self._cut[one.partition % len(bounds)] else max(one.stop, one.committed or one.stop)
            if behind < one.log_end:
                await self._read_behind(one, behind)
        self._progress.stage("results", sum(bounds[number][1] - start for number, start in starts.items()))
        for number, start in starts.items():
            await self._read(topic, number, start, bounds[number][1], self._take_results)
        await self._read_results_before({number: (bounds[number][0], start) for number, start in starts.items()})
        for one in concerned:
            await self._read_journal(one, results_are_cut=self._cut[one.partition % len(bounds)])
        return tuple(end for _, end in bounds)

    async def _read_results_before(self, ranges: Mapping[int, tuple[int, int]]) -> None:
        """Look for what became of originals that stand before the range, where it holds resends of theirs."""
        orphans = self.draft.orphans()
        if not orphans:
            return
        if any(start for start, _ in ranges.values()):
            self.notes.orphans = len(orphans)
        self._progress.stage("older results", sum(stop - start for start, stop in ranges.values()))
        for number, (start, stop) in ranges.items():
            await self._read(self._question.results, number, start, stop, partial(self._take_results_before, orphans))

    def _take_results_before(self, orphans: set[int], records: Sequence[Record]) -> None:
        self.draft.results_before([record.value for record in records], orphans)

    def _take_results(self, records: Sequence[Record]) -> None:
        self.draft.results([record.value for record in records])

    def _take_journal(self, one: Range, records: Sequence[Record]) -> None:
        for offsets, status in outcomes_of(records):
            self.draft.outcomes(one.topic, one.partition, offsets, status)

    async def _results_starts(self, bounds: Sequence[tuple[int, int]], ranges: Sequence[Range]) -> dict[int, int]:
        """Return where to begin in each partition of the results topic, all of them where anything is looked for.

        The topic may have had fewer partitions when a result was published, and records of one event may stand apart.
        """
        if not ranges:
            return {}
        since = min(self._times[Partition(one.topic, one.partition)].since(0) for one in ranges)
        starts: dict[int, int] = {}
        for number, (first, end) in enumerate(bounds):
            found = await self._logs.offset_at(self._question.results, number, self._earlier(since))
            starts[number] = end if found is None else found
            self._cut[number] = 0 < first == starts[number]
        return starts

    def _earlier(self, timestamp_ms: int) -> int:
        return max(0, min(timestamp_ms, round(self._now.wall * 1000)) - EARLIER_MS)

    async def _read_journal(self, one: Range, *, results_are_cut: bool) -> None:
        """Ask the journal what became of records without a result."""
        first = self.draft.lacking(one.topic, one.partition)
        if first is None:
            return
        since = self._earlier(self._times[Partition(one.topic, one.partition)].since(first))
        start, end = await self._bounds(one.journal, one.partition)
        found = await self._logs.offset_at(one.journal, one.partition, since) if end > start else None
        is_cut = start > 0 and found in {None, start}
        begin = end if found is None else found
        self._progress.stage("journal", end - begin)
        await self._read(one.journal, one.partition, begin, end, partial(self._take_journal, one))
        if results_are_cut and is_cut:
            self.notes.unknowable += self.draft.doubt(one.topic, one.partition, below=one.committed or 0)
        else:
            self.notes.skipped += self.draft.lacking_below(one.topic, one.partition, one.committed or 0)

    async def _bounds(self, journal: str, partition: int) -> tuple[int, int]:
        """Return a journal's bounds; one that is yet to be made is empty."""
        with suppress(TopicGoneError):
            return await self._logs.bounds(journal, partition)
        return 0, 0


def _extend(skips: list[tuple[int, int]], records: Sequence[Record]) -> None:
    skips += skips_of(records)


def _is_resend(record: Record) -> bool:
    return any(name.lower() == RESEND_ID for name, _ in record.headers)


__all__ = ["Drawn", "Notes", "NothingToPlanError", "draw_up"]
