"""Admission: what a decoded record becomes first. Settles what needs no request; never decodes, never sends.

In this order: its own offset has an outcome already; it is invalid; it cannot go out any more (too old, expired,
in doubt, cancelled, rejected by a hold); its ID has an outcome or is in hand; else it takes its place in its person's queue.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import cast

from msgspec.structs import replace

from consumer.core.event import Decoded, Event, Invalid
from consumer.core.history import UNTRIED
from consumer.core.journal.lane import FirstRecord, Lane, Settlement
from consumer.core.journal.settling import settle
from consumer.core.memory.deduplication import Deduplication
from consumer.core.outcome import Reason, Related, Status, Verdict, ending_of
from consumer.core.platform.holds import Holds
from consumer.core.platform.retry import may_repeat
from consumer.core.policy import Policies, SameContact
from consumer.core.sending.send_queue import SendQueue
from consumer.core.sending.settle import closing_verdict
from consumer.core.sending.waiters import Waiters
from consumer.core.sending.window import Windows
from consumer.core.terms import Now, Offset, Partition, SendId

Items = list[tuple[Verdict, list[Decoded]]]

TOO_OLD = (Status.EXPIRED, Reason.TOO_OLD)


class Admission:
    """Admits the records of fetched batches."""

    def __init__(
        self, policies: Policies, deduplication: Deduplication, windows: Windows, queue: SendQueue, holds: Holds
    ) -> None:
        self._policies = policies
        self._holds = holds
        self._deduplication = deduplication
        self._windows = windows
        self._queue = queue
        self.waiters = Waiters(policies, queue.waiting_events)
        self.rivals: list[Event] = []
        """Those that have come to wait behind their person's earlier ones, where one shall take the other's place."""

    def admit(self, lane: Lane, decoded: Sequence[Decoded], now: Now) -> tuple[list[Settlement], Sequence[Decoded]]:
        """Take a batch in; return what has its outcome in the journal already and only needs its result, and the rest."""
        told: list[Settlement] = []
        undecided = decoded
        if lane.known or lane.published or lane.trials:
            decoded, heard = self._recall(lane, decoded, told, now)
            undecided = [*decoded, *heard]
        closed: dict[tuple[Status, Reason], list[Decoded]] = {}
        single: Items = []
        events, invalid = _valid(decoded, now)
        fingerprints = [event.fingerprint for event in events]
        known = self._deduplication.known(lane.partition, fingerprints, now.wall)  # hardly ever any: one look for all
        in_hand, persons = lane.in_hand, lane.persons
        ready: list[Event] = []
        oldest = now.wall - self._policies.max_event_age_seconds
        some_stopped = self._holds.settles_any
        if self._holds.any:
            self._hold_back(lane, events)
        for event in events:
            ending = None
            if (
                event.occurred < oldest
                or some_stopped
                or event.expires_at is not None
                or event.unsendable is not None
                or event.history is not UNTRIED
            ):
                ending = self._ending(event, oldest, now)
            fingerprint = event.fingerprint
            if ending is not None and event.history is not UNTRIED:
                in_hand.setdefault(fingerprint, event)  # repeats wait for its proof
                single.append((closing_verdict(event, _verdict(ending, now)), [event]))
            elif (
                ending is not None and in_hand.setdefault(fingerprint, event) is event
            ):  # else it repeats one that may go out
                closed.setdefault(ending, []).append(event)
            elif known and (first := known.get(fingerprint)) is not None:
                single.append((repeated(event, first, now), [event]))
            elif in_hand.setdefault(fingerprint, event) is not event:
                lane.repeats.setdefault(fingerprint, []).append(event)
                self._queue.waiting_events.add(event.partition, event.group.campaign_id)
            elif persons.setdefault(event.person, event) is event:
                ready.append(event)
            else:
                self._wait(lane, event)
        self._windows.add_all(ready, now)
        items: Items = [(_verdict(ending, now), records) for ending, records in closed.items()]
        settle(lane, invalid + items + single, None)
        return told, undecided

    def _recall(
        self, lane: Lane, decoded: Sequence[Decoded], told: list[Settlement], now: Now
    ) -> tuple[list[Decoded], list[Decoded]]:
        """Look up what the journal, and an answer in hand, say of these offsets; return who needs an outcome, and who was heard of."""
        fresh: list[Decoded] = []
        heard: dict[SendId | None, Items] = {}
        for record in decoded:
            known = lane.known.pop(record.offset, None)
            if known is not None:
                record.received_at = known.received_at
                settlement = Settlement(
                    lane=lane,
                    items=[(known.verdict, [record])],
                    offsets=[record.offset],
                    size_bytes=record.size_bytes,
                    first=FirstRecord(record.offset, record.timestamp_ms, now.wall),
                    journal_offset=known.journal_offset,
                )
                lane.begin_settling(settlement)
                told.append(settlement)
            elif record.offset in lane.published:
                lane.held_events -= 1
                lane.held_bytes -= record.size_bytes
                lane.watermark.done([record.offset])
            else:
                trials = lane.trials.pop(record.offset, None)
                if trials is not None and type(record) is Event:
                    record.history = trials
                    if (verdict := lane.unrecorded_acceptances.pop(record.offset, None)) is not None:
                        heard.setdefault(verdict.send_id, []).append((_confirmed(verdict, record), [record]))
                        lane.in_hand.setdefault(record.fingerprint, record)  # repeats wait for its proof
                        continue
                fresh.append(record)
        for send_id, items in heard.items():
            settle(lane, items, send_id)
        lane.forget_read()
        return fresh, [record for items in heard.values() for _, records in items for record in records]

    def _ending(self, event: Event, oldest: float, now: Now) -> tuple[Status, Reason] | None:
        """Return why this event never becomes a request, None where it may."""
        if not may_repeat(event.history, self._policies.of(event.group.campaign_id)):
            return (Status.IN_DOUBT, Reason.OWNER_LOST)
        if event.occurred < oldest and event.resend.id is None:
            return TOO_OLD
        if event.expires_at is not None and event.expires_at <= now.wall:
            return (Status.EXPIRED, Reason.DEADLINE)
        if event.unsendable is not None:
            return ending_of(event.unsendable)
        return self._holds.ending(event) if self._holds.settles_any else None

    def _hold_back(self, lane: Lane, events: Iterable[Event]) -> None:
        """Take note of events whose campaigns are held: they may take half of the buffer."""
        holds_by_itself = self._holds.holds_by_itself
        for event in events:
            if holds_by_itself(event.group.campaign_id):
                lane.held_back.add(event)

    def _wait(self, lane: Lane, event: Event) -> None:
        """Queue an event behind the same person's earlier ones; an immediate one makes those due."""
        queue = lane.persons[event.person]
        if type(queue) is not deque:
            queue = lane.persons[event.person] = deque((cast("Event", queue),))
        queue.append(event)
        self.waiters.wait(event)
        if self._policies.of(event.group.campaign_id).same_contact is not SameContact.SEPARATE:
            self.rivals.append(event)
        if event.immediate and not queue[-2].immediate:
            for predecessor in islice(reversed(queue), 1, None):
                if predecessor.immediate:
                    return  # and with it all who are before it
                predecessor.immediate = True
            self._windows.hurry(queue[0])
            self._queue.promote(queue[0])

    def next_of_person(self, lane: Lane, event: Event, now: Now) -> None:
        """An outcome is proven: the person's next event takes its turn; those past their time settle."""
        self.waiters.forget_newer(event)
        following = lane.take_out(event)
        if following is None:
            return
        oldest = now.wall - self._policies.max_event_age_seconds
        ended: Items = []
        verdicts: dict[tuple[Status, Reason], Verdict] = {}
        while following is not None:
            if not self.waiters.has_its_turn(following):
                following = lane.take_out(following)
                continue
            ending = self._ending(following, oldest, now)
            if ending is None:
                self._windows.add_all([following], now)
                break
            verdict = verdicts.setdefault(ending, _verdict(ending, now))
            ended.append((closing_verdict(following, verdict), [following]))
            following = lane.take_out(following)
        if ended:
            settle(lane, ended, None)

    def close_due(self, lanes: Mapping[Partition, Lane], now: Now) -> None:
        """Settle events whose time has come while they wait behind their person's earlier ones."""
        oldest = now.wall - self._policies.max_event_age_seconds
        for event in self.waiters.take_due(now.wall):
            ending = self._ending(event, oldest, now) or TOO_OLD  # to the instant, it is not older yet
            settle(lanes[event.partition], [(closing_verdict(event, _verdict(ending, now)), [event])], None)


def _valid(decoded: Sequence[Decoded], now: Now) -> tuple[Sequence[Event], Items]:
    """Return the events of a batch, and its invalid records with what is wrong with them."""
    if Invalid not in set(map(type, decoded)):  # hardly ever: one look for all
        return cast("Sequence[Event]", decoded), []
    wrong: dict[tuple[Reason, str], list[Decoded]] = {}
    for record in decoded:
        if type(record) is Invalid:
            wrong.setdefault((record.reason, record.detail), []).append(record)
    verdicts = (
        (replace(_verdict((Status.INVALID, reason), now), detail=detail), records)
        for (reason, detail), records in wrong.items()
    )
    return [record for record in decoded if type(record) is Event], list(verdicts)


def repeated(event: Event, first: Offset, now: Now) -> Verdict:
    """Return the verdict of an event whose ID has been seen at offset `first`."""
    return closing_verdict(event, repeat_of(event, first, now))


def repeat_of(event: Event, first: Offset, now: Now) -> Verdict:
    """Return the verdict of whatever repeats this event, first seen at offset `first`, and was never tried itself."""
    related = Related(event_id=event.event_id, partition=event.partition.number, offset=first)
    return Verdict(status=Status.DUPLICATE, reason=Reason.REPEATED, related=related, completed_at=now.wall)


def _confirmed(heard: Verdict, event: Event) -> Verdict:
    """Return what was heard of an event whose partition was lost meanwhile; another open attempt makes it a maybe."""
    return replace(
        heard,
        attempts=max(heard.attempts, event.history.attempts),
        possible_duplicate=heard.possible_duplicate or event.history.lost > 1,
    )


def _verdict(ending: tuple[Status, Reason], now: Now) -> Verdict:
    return Verdict(status=ending[0], reason=ending[1], completed_at=now.wall)
