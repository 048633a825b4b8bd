"""The last sends, failures and outcomes, in bounded rings: for `/sends` and `/status`. Never holds a phone.

Fed per request and per batch of outcomes. Of an outcome it keeps what finds it again: of each event's ID 16 bytes, and
its offset.
"""

from array import array
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

import msgspec
from xxhash import xxh3_128_digest

from consumer.core.event import Decoded, Event
from consumer.core.journal.lane import Settlement
from consumer.core.outcome import Reason, Status, Verdict
from consumer.core.platform.answer import Answer, Answered, Exchange, Lost, NoConnectionYet, Unreachable, Withheld
from consumer.core.platform.answer_body import read_refused
from consumer.core.platform.masking import masked
from consumer.core.sending.send import Send, SendStage
from consumer.core.sending.settle import Decision, Finished
from consumer.core.terms import Instant, Partition, SendId
from consumer.service.engine_telemetry import CLASS_OF
from consumer.service.facts import AnswerClass

SENDS_KEPT: Final = 1_000
FAILURES_KEPT: Final = 20
OUTCOMES_KEPT: Final = 100_000
"""Events whose outcomes are kept: some 3 MB. Fewer, where few have one in common, which counts as so many more:"""

CHARGE_OF_A_BATCH: Final = 12

ID_BYTES: Final = 16
NO_CAMPAIGN: Final = 0


class RecentSend(msgspec.Struct, kw_only=True):
    """One send as it was last seen: at its last request's start, or at that one's end."""

    send_id: SendId
    campaign_id: int
    immediate: bool
    contacts: int
    attempt: int
    is_over: bool = False
    """Whether its last answer settled or halved it. What was put back to the queue may have ended there since."""
    started_at: Instant
    """When its last request started."""
    ended_at: Instant | None = None
    answer: AnswerClass | None = None
    status: int | None = None
    message: str | None = None
    """The platform's words, masked; or why there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentFailure:
    """One attempt that ended otherwise than accepted."""

    at: Instant
    send_id: SendId
    campaign_id: int
    contacts: int
    answer: AnswerClass
    status: int | None
    message: str | None


class Ending(NamedTuple):
    """What is kept of a verdict: the platform's words may be long."""

    status: Status
    reason: Reason | None
    send_id: SendId | None
    attempts: int


class RecentOutcome(NamedTuple):
    """What became of one record."""

    campaign_id: int | None
    partition: Partition
    offset: int
    ending: Ending


class _Outcomes(NamedTuple):
    """The records of one partition that had one verdict at once."""

    partition: Partition
    ending: Ending
    ids: bytes
    offsets: "array[int]"
    campaigns: "array[int]"
    """Of each; only one where all are of that one."""

    @property
    def charge(self) -> int:
        return len(self.offsets) + CHARGE_OF_A_BATCH


class RecentSends:
    """Keeps the last 1,000 sends, the last 20 failures and the outcomes of the last 100,000 events."""

    def __init__(self) -> None:
        self._sends: OrderedDict[SendId, RecentSend] = OrderedDict()
        self._failures: deque[RecentFailure] = deque(maxlen=FAILURES_KEPT)
        self._outcomes: deque[_Outcomes] = deque()
        self._charged = 0

    # ---------------------------------------------------------------- facts

    def posted(self, send: Send, at: Instant) -> None:
        """A request's first byte is written next."""
        self._sends.pop(send.send_id, None)
        self._sends[send.send_id] = RecentSend(
            send_id=send.send_id,
            campaign_id=send.campaign_id,
            immediate=send.immediate,
            contacts=len(send.members),
            attempt=send.attempt,
            started_at=at,
        )
        if len(self._sends) > SENDS_KEPT:
            self._sends.popitem(last=False)

    def answered(self, send: Send, exchange: Exchange, decision: Decision, contacts: int) -> None:
        """An attempt of so many contacts ended."""
        answer, at, how = exchange.answer, exchange.finished_at, CLASS_OF[decision.ruling]
        status = answer.status if isinstance(answer, Answered) else None
        message = _message(answer, decision)
        if how is not AnswerClass.ACCEPTED:
            self._failures.append(
                RecentFailure(
                    at=at,
                    send_id=send.send_id,
                    campaign_id=send.campaign_id,
                    contacts=contacts,
                    answer=how,
                    status=status,
                    message=message,
                )
            )
        kept = self._sends.get(send.send_id)
        if kept is not None:
            kept.is_over = send.stage is SendStage.OVER
            kept.ended_at, kept.answer, kept.status, kept.message = at, how, status, message

    def settled(self, settlements: Sequence[Settlement]) -> None:
        """Outcomes are proven."""
        for settlement in settlements:
            known = settlement.fingerprints
            for index, (verdict, records) in enumerate(settlement.items):
                outcomes = _outcomes(settlement, verdict, records, known[index] if known else b"")
                self._outcomes.append(outcomes)
                self._charged += outcomes.charge
        while self._charged > OUTCOMES_KEPT and len(self._outcomes) > 1:
            self._charged -= self._outcomes.popleft().charge

    # ---------------------------------------------------------------- questions

    def find(self, send_id: SendId) -> RecentSend | None:
        """Return a send, None where it is not among those kept."""
        return self._sends.get(send_id)

    def newest(self, count: int) -> Sequence[RecentSend]:
        """Return the sends whose requests started last, the newest first."""
        newest_first = reversed(self._sends.values())
        return [send for send, _ in zip(newest_first, range(count), strict=False)]

    def failures(self) -> Sequence[RecentFailure]:
        """Return the last failures, the newest first."""
        return list(reversed(self._failures))

    def outcomes_of(self, event_id: str) -> Iterator[RecentOutcome]:
        """Yield what became of the records with this event ID, the newest first."""
        wanted = _id_of(event_id)
        for outcomes in reversed(self._outcomes):
            at = outcomes.ids.find(wanted)
            while at >= 0:
                if at % ID_BYTES == 0:
                    yield _outcome(outcomes, at // ID_BYTES)
                at = outcomes.ids.find(wanted, at + 1)


def _outcome(outcomes: _Outcomes, index: int) -> RecentOutcome:
    campaigns = outcomes.campaigns
    campaign_id = campaigns[0 if len(campaigns) == 1 else index] or None
    return RecentOutcome(campaign_id, outcomes.partition, outcomes.offsets[index], outcomes.ending)


def _outcomes(settlement: Settlement, verdict: Verdict, records: Sequence[Decoded], known: bytes) -> _Outcomes:
    """Keep records of one verdict; `known` are their IDs, where the settlement tells them: no event is looked at."""
    partition = settlement.lane.partition
    ending = Ending(verdict.status, verdict.reason, verdict.send_id, verdict.attempts)
    is_all = len(records) == len(settlement.offsets)
    offsets = array("q", settlement.offsets if is_all else [record.offset for record in records])
    if verdict.status is Status.INVALID:
        invalid = [(_id_of(record.event_id or ""), _campaign_id(record)) for record in records]
        ids, campaigns = b"".join([found for found, _ in invalid]), array("q", [found for _, found in invalid])
        return _Outcomes(partition, ending, ids, offsets, campaigns)
    events = cast("Sequence[Event]", records)
    of_one = settlement.campaign_id
    campaigns = array("q", [event.group.campaign_id for event in events] if of_one is None else (of_one,))
    return _Outcomes(partition, ending, known or _ids(events), offsets, campaigns)


def _ids(events: Sequence[Event]) -> bytes:
    return b"".join([event.fingerprint if event.resend.id is None else _id_of(event.event_id) for event in events])


def _id_of(event_id: str) -> bytes:
    """Return what an event's fingerprint is without a resend ID: one search finds the event and its resends."""
    return xxh3_128_digest(event_id.encode(errors="replace"))


def _campaign_id(record: Decoded) -> int:
    if isinstance(record, Event):
        return record.group.campaign_id
    campaign_id = record.campaign_id or NO_CAMPAIGN
    return campaign_id if 0 <= campaign_id < 1 << 63 else NO_CAMPAIGN


def _message(answer: Answer, decision: Decision) -> str | None:
    match answer:
        case Answered():
            if isinstance(decision, Finished) and decision.items:
                response = decision.items[0][0].response
            else:
                response = read_refused(answer.body, answer.status)
            return None if response is None else response.message
        case Unreachable(detail=detail) | Lost(detail=detail):
            return masked(detail)
        case NoConnectionYet():
            return "a member's deadline came before there was a connection"
        case Withheld(why=why):
            return f"held back before its first byte: {why.name.lower().replace('_', ' ')}"
