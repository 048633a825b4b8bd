"""Made-up logs of one events partition, honest as long as nobody forges them. Shares no code with service or audit."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import orjson
import xxhash

from consumer.audit.findings import Findings
from consumer.audit.run import Audit, AuditQuestion, audit

TOPIC, JOURNAL, RESULTS, DEAD_LETTERS, GROUP = "contact-events", "contact-events-journal", "results", "dead", "texters"
CONTROL = "texters-control"
NOW = 1_790_000_000.0
TTL_SECONDS = 3_600
Where = tuple[str, str, int, int]
"""Kind, topic, partition and offset of a violation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rec:
    """A record of any topic."""

    offset: int
    timestamp: int = int(NOW * 1000)
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of some records. Seconds."""

    status: str = "accepted"
    reason: str | None = None
    send: str | None = None
    attempts: int = 1
    marked: bool = False
    related: Mapping[str, Any] | None = None
    detail: str | None = None
    dispatched_at: float | None = NOW + 1.5
    completed_at: float = NOW + 2.25
    received_at: float = NOW + 0.5
    response: Mapping[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class Log:
    """A partition: what retention has left of it."""

    records: list[Rec] = field(default_factory=list)
    start: int = 0
    end: int = 0

    def append(self, **content: Any) -> int:
        offset = self.end
        self.records.append(Rec(offset=offset, **content))
        self.end += 1
        return offset

    def trim(self, start: int) -> None:
        """Retention removes everything below `start`."""
        self.start = start
        self.records = [record for record in self.records if record.offset >= start]

    def change(self, offset: int, **content: Any) -> None:
        self.records = [replace(record, **content) if record.offset == offset else record for record in self.records]

    def remove(self, offset: int) -> None:
        self.records = [record for record in self.records if record.offset != offset]


@dataclass(slots=True, kw_only=True)
class World:
    """One events partition with all that belongs to it, and what its honest owner knows."""

    partition: int = 1
    partitions: int = 3
    results_partitions: int = 2
    logs: dict[tuple[str, int], Log] = field(default_factory=dict)
    committed: int | None = None
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    open: dict[int, list[tuple[str, int]]] = field(default_factory=dict)
    unnamed: set[tuple[str, int]] = field(default_factory=set)
    """Open attempts that can never be returned: checkpoints tell them by record."""
    failed: dict[int, int] = field(default_factory=dict)
    segments: list[list[float]] = field(default_factory=list)

    def log(self, topic: str, partition: int) -> Log:
        return self.logs.setdefault((topic, partition), Log())

    @property
    def events(self) -> Log:
        return self.log(TOPIC, self.partition)

    @property
    def journal(self) -> Log:
        return self.log(JOURNAL, self.partition)

    @property
    def results(self) -> Log:
        return self.log(RESULTS, self.partition % self.results_partitions)

    @property
    def dead_letters(self) -> Log:
        return self.log(DEAD_LETTERS, 0)

    # ---------------------------------------------------------------- events

    def event(self, event_id: str | None = None, *, key: bytes | None = b"customer", **fields: Any) -> int:
        event_id = event_id or f"e-{self.events.end}"
        content = {"eventId": event_id, "eventType": "order.shipped", "campaignId": 7, **fields}
        return self.events.append(key=key, value=orjson.dumps(content))

    def event_id(self, offset: int) -> str | None:
        value = next(record.value for record in self.events.records if record.offset == offset)
        try:
            return str(orjson.loads(value or b"")["eventId"])
        except ValueError:
            return None

    # ---------------------------------------------------------------- the journal

    def entry(self, kind: str, *, at: int | None = None, **fields: Any) -> int:
        offset = self.journal.end if at is None else at
        return self.journal.append(value=orjson.dumps({"at": offset, "kind": kind, **fields}))

    def claim(self, group: str = GROUP) -> int:
        return self.entry("claim", group=group, member="m", process="p", version="1", claimed_at=NOW)

    def intent(self, send: str, attempt: int, *offsets: int) -> int:
        for offset in offsets:
            self.open.setdefault(offset, []).append((send, attempt))
        return self.entry("intent", send=send, attempt=attempt, campaign=7, offsets=steps(offsets), intended_at=NOW)

    def returned(self, send: str, attempt: int, *, started: bool = True) -> int:
        for offset, attempts in self.open.items():
            if (send, attempt) in attempts:
                attempts.remove((send, attempt))
                self.failed[offset] = self.failed.get(offset, 0) + started
        return self.entry("returned", send=send, attempt=attempt, started=started)

    def unknown(self, send: str, attempt: int) -> None:
        """No entry says so: nobody will know what came of this attempt."""
        self.unnamed.add((send, attempt))

    def settle(self, verdict: Verdict, *offsets: int) -> int:
        for offset in offsets:
            self.verdicts[offset] = verdict
            self.open.pop(offset, None)
            self.failed.pop(offset, None)
        return self.entry("outcome", send=verdict.send, settled=[settled(verdict, offsets)])

    def segment(self, *offsets: int) -> int:
        """The IDs of settled events; the next checkpoint names where it stands."""
        above = b"".join((offset - offsets[0]).to_bytes(4, "little") for offset in offsets)
        coded = {"above": above, "fingerprints": bytes(16 * len(offsets))}
        ids: dict[str, Any] = {name: base64.b64encode(value).decode() for name, value in coded.items()}
        stands = self.entry("segment", since=NOW, until=NOW, base=offsets[0], width=4, **ids)
        self.segments.append([stands, len(offsets), NOW, NOW])
        return stands

    def checkpoint(self, **forged: Any) -> int:
        return self.entry("checkpoint", **{**self.snapshot(), **forged})

    def snapshot(self) -> dict[str, Any]:
        """What an honest owner knows now."""
        watermark = self.watermark
        done = sorted(offset for offset in self.verdicts if offset >= watermark)
        by_attempt: dict[tuple[str, int], list[int]] = {}
        unnamed: dict[int, int] = {}
        for offset, attempts in sorted(self.open.items()):
            for attempt in attempts:
                if attempt in self.unnamed:
                    unnamed[offset] = unnamed.get(offset, 0) + 1
                else:
                    by_attempt.setdefault(attempt, []).append(offset)
        return {
            "group": GROUP,
            "watermark": watermark,
            "settled": steps([bound for offset in done for bound in (offset, offset + 1)]),
            "open": [
                {"send": send, "attempt": number, "at": NOW, "offsets": steps(offsets)}
                for (send, number), offsets in by_attempt.items()
            ]
            + [by_record([offset], lost=lost, failed=self.failed.get(offset, 0)) for offset, lost in unnamed.items()],
            "tried": [
                {"attempts": count, "first_at": NOW, "offsets": [offset]}
                for offset, count in self.failed.items()
                if count and offset not in unnamed
            ],
            "memory": {"upto": 0, "forgotten": None, "segments": self.segments},
            "unpublished": None,
            "mark": None,
        }

    @property
    def watermark(self) -> int:
        return next(
            (record.offset for record in self.events.records if record.offset not in self.verdicts), self.events.end
        )

    # ---------------------------------------------------------------- operators

    def ordered(self, kind: str, campaign: int | None, at: float) -> None:
        """An operator holds or releases."""
        value = orjson.dumps({"kind": kind, "campaignId": campaign, "reject": False})
        key = f"hold/{campaign or 'all'}".encode()
        self.log(CONTROL, 0).append(key=key, value=value, timestamp=round(at * 1000))

    # ---------------------------------------------------------------- results and dead letters

    def result(self, offset: int, **forged: Any) -> dict[str, Any]:
        verdict = self.verdicts[offset]
        return {
            "resultId": f"{xxhash.xxh3_64_intdigest(TOPIC.encode()) >> 16:012x}{self.partition:06x}{offset:014x}",
            "eventId": self.event_id(offset),
            "eventType": "order.shipped",
            "campaignId": 7,
            "status": verdict.status,
            "reason": verdict.reason,
            "sendId": verdict.send,
            "attempts": verdict.attempts,
            "externalReference": None,
            "resendId": None,
            "resendReason": None,
            "possibleDuplicate": verdict.marked,
            "related": verdict.related,
            "detail": verdict.detail,
            "occurredAt": None,
            "receivedAt": rfc3339(verdict.received_at),
            "dispatchedAt": None if verdict.dispatched_at is None else rfc3339(verdict.dispatched_at),
            "completedAt": rfc3339(verdict.completed_at),
            "source": {"topic": TOPIC, "partition": self.partition, "offset": offset},
            "response": verdict.response,
            **forged,
        }

    def publish(self, *offsets: int, log: Log | None = None, key: bytes | None = b"", **forged: Any) -> None:
        for offset in offsets:
            own = next(record.key for record in self.events.records if record.offset == offset)
            value = orjson.dumps(self.result(offset, **forged))
            written_ms = round(self.verdicts[offset].completed_at * 1000) + 1
            (log or self.results).append(key=own if key == b"" else key, value=value, timestamp=written_ms)

    def dead_letter(self, offset: int, **forged: Any) -> None:
        record = next(record for record in self.events.records if record.offset == offset)
        headers = {
            "dlq-reason": str(self.verdicts[offset].reason),
            "dlq-detail": "",
            "dlq-topic": TOPIC,
            "dlq-partition": str(self.partition),
            "dlq-offset": str(offset),
            "dlq-timestamp": "0",
        }
        content = {"key": record.key, "value": record.value, **forged}
        own = [(name, value.encode()) for name, value in headers.items()]
        self.dead_letters.append(headers=[*record.headers, *own], **content)

    # ---------------------------------------------------------------- the verdict

    def judged(self, **asked: Any) -> Audit:
        return judged_with(Shelf(self), **asked)

    def found(self, **asked: Any) -> set[Where]:
        return violations(self.judged(**asked))

    def findings(self, **asked: Any) -> Findings:
        return next(one for one in self.judged(**asked).partitions if one.partition == self.partition)


class Shelf:
    """The logs, as an audit asks for them: a few records at a time."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def partitions(self, topic: str) -> int:
        return {RESULTS: self._world.results_partitions, DEAD_LETTERS: 1}.get(topic, self._world.partitions)

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        log = self._world.log(topic, partition)
        return log.start, log.end

    async def committed(self, topic: str, partition: int) -> int | None:
        assert topic == TOPIC
        return self._world.committed if partition == self._world.partition else None

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        records = self._world.log(topic, partition).records
        return next((record.offset for record in records if record.timestamp >= timestamp_ms), None)

    async def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Sequence[Rec]]:
        records = [record for record in self._world.log(topic, partition).records if start <= record.offset < stop]
        for first in range(0, len(records), 3):
            yield records[first : first + 3]


def judged_with(shelf: Shelf, **asked: Any) -> Audit:
    """What an audit says of these logs."""
    return asyncio.run(audit(question(**asked), shelf, on_partition=lambda _findings: None))


def question(**asked: Any) -> AuditQuestion:
    """Everything about the world, unless something else is asked."""
    usual = {"ttl_ms": TTL_SECONDS * 1000, "max_entries": 1_000_000}
    return AuditQuestion(
        group=GROUP,
        journals={TOPIC: JOURNAL},
        results=RESULTS,
        dead_letters=DEAD_LETTERS,
        control=CONTROL,
        **{**usual, **asked},
    )


def violations(audited: Audit) -> set[Where]:
    """Kind and coordinates of all that was found."""
    return {
        (one.kind.value, one.topic, one.partition, one.offset)
        for findings in audited.partitions
        for one in findings.violations
    }


def settled(verdict: Verdict, offsets: Iterable[int]) -> dict[str, Any]:
    """One verdict, as an outcome entry writes it."""
    numbers = list(offsets)
    fields = {
        "offsets": steps(numbers),
        "received": [[verdict.received_at, len(numbers)]],
        "fingerprints": base64.b64encode(bytes(16 * len(numbers))).decode(),
        "status": verdict.status,
        "completed_at": verdict.completed_at,
        "reason": verdict.reason,
        "send": verdict.send,
        "attempts": verdict.attempts or None,
        "dispatched_at": verdict.dispatched_at,
        "possible_duplicate": verdict.marked or None,
        "detail": verdict.detail,
        "response": verdict.response,
    }
    if verdict.related is not None:
        related = verdict.related
        fields["related"] = {
            "event_id": related["eventId"],
            "partition": related["partition"],
            "offset": related["offset"],
        }
    return {name: value for name, value in fields.items() if value is not None}


def by_record(offsets: Sequence[int], *, lost: int, failed: int = 0) -> dict[str, Any]:
    """Open attempts without a name, as a checkpoint writes them."""
    counts = {"attempts": failed + lost, "counted": failed + lost, "lost": lost, "answers_lost": lost}
    return {**counts, "doubt": "owner_lost", "first_at": NOW, "offsets": steps(offsets)}


def steps(offsets: Sequence[int]) -> list[int]:
    """Offsets as a journal writes them."""
    return [*offsets[:1], *(after - before for before, after in pairwise(offsets))]


def rfc3339(instant: float) -> str:
    """An instant as results write it."""
    text = datetime.fromtimestamp(round(instant * 1000) / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
