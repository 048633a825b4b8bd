"""Joins the stages: facts go in, what is to be done comes out. Alone knows their order; never does any of it itself.

The shell tells it facts (a batch was fetched, an append landed, a request was answered, results are acknowledged),
then asks with `turn` what to append, read, post and publish next, and when to come back.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import cast

from consumer.core.commands import Commands, Fetched, ReadAgain
from consumer.core.event import Event, Record
from consumer.core.intake.admit import Admission, repeat_of
from consumer.core.intake.decode import Decoder
from consumer.core.intake.glance import Glances
from consumer.core.journal.entries import Checkpoint, Claim, Intent, Mark, Outcome, Placed, Returned
from consumer.core.journal.lane import Lane, Settlement, TakenOver, leading
from consumer.core.journal.ledger import Draft, Fit, Ledger, OwnershipState
from consumer.core.journal.parked import Parked
from consumer.core.journal.settling import settle
from consumer.core.memory.deduplication import Deduplication
from consumer.core.memory.pieces import Piece
from consumer.core.memory.segments import Segment
from consumer.core.outcome import Status, Verdict
from consumer.core.platform.access import Access
from consumer.core.platform.answer import Exchange, Withholding
from consumer.core.platform.holds import Holds
from consumer.core.platform.lately import Lately
from consumer.core.platform.post import overhead_bytes
from consumer.core.policy import Policies
from consumer.core.reading.buffer import EventBuffer
from consumer.core.reading.parking_again import ParkingAgain
from consumer.core.reading.read_ahead import ReadAhead, range_records_of
from consumer.core.reading.room import Room
from consumer.core.sending.delivery import Delivery, RandomSource
from consumer.core.sending.send import Send
from consumer.core.sending.send_queue import SendQueue
from consumer.core.sending.settle import Decision, Finished, closing_verdict
from consumer.core.sending.window import Windows
from consumer.core.stops import Places, Stops
from consumer.core.sweep import Sweep
from consumer.core.terms import JournalOffset, Now, Offset, Partition, SendId, Ticks

_VALUE = attrgetter("value")

PACK_AGAIN_SECONDS = 0.02
"""Until the next turn at most while event IDs are to be packed: who is busy takes turns anyway, and needs no more of them."""


class Pipeline:
    """The whole way of an event, without its edges."""

    def __init__(self, policies: Policies, *, group: str, random_source: RandomSource) -> None:
        self.policies = policies
        self._group = group
        self._decoder = Decoder(policies)
        self.deduplication = Deduplication.by(policies)
        holds = Holds(policies.max_event_age_seconds)
        self.access = Access(random_source.jitter, holds, policies)
        self.lately = Lately()
        self.queue = SendQueue(policies, self.access)
        self.windows = Windows(policies, lambda group: overhead_bytes(group, policies.field_names))
        self.lanes: dict[Partition, Lane] = {}
        self._outlasting: dict[Partition, tuple[dict[Offset, Verdict], dict[tuple[SendId, int], Returned]]] = {}
        """What lanes that were lost have heard, and what they could not write down, until the partition is ours again or given back."""
        self._admission = Admission(policies, self.deduplication, self.windows, self.queue, holds)
        self.waiters = self._admission.waiters
        self.delivery = Delivery(policies, self.lanes, self.queue, self.access, self.waiters, random_source)
        waiting = Places(self.windows, self.queue, self.delivery, self.waiters)
        self.stops = Stops(policies, holds, self.lanes, waiting)
        self._sweep = Sweep(policies, self._admission, waiting, self.stops, self.lanes)
        self.room = Room(policies, self.access)
        self._reading = ReadAhead(policies, self.lanes, self.room, Glances(policies, self._decoder))
        self.buffer = EventBuffer(
            policies,
            self.lanes,
            room=self.room,
            read_ahead=self._reading,
            stops=self.stops,
            windows=self.windows,
            queue=self.queue,
        )
        self._room_maker = ParkingAgain(self.lanes, self.room, self._reading, self.buffer, waiting, self.stops)
        self._new_parked = partial(Parked, range_records_of(policies))
        self._publications: list[Settlement] = []
        self._dropped: list[Lane] = []
        self._checkpoint_seconds: list[float] = []
        self.flush_windows = False
        """Whether windows wait for nothing any more: the service is stopping."""

    # ---------------------------------------------------------------- partitions

    def assigned(self, partition: Partition, claim: Callable[[], Claim], process: str) -> Lane:
        """The group gave us a partition: look at its journal first, then claim it."""
        assert partition not in self.lanes, partition
        heard, returned = self._outlasting.pop(partition, ({}, {}))
        ledger = Ledger(claim, process)
        lane = self.lanes[partition] = Lane(
            partition, self._group, ledger, self._new_parked(), unrecorded_acceptances=heard, returned=returned
        )
        return lane

    def taken_over(self, lane: Lane, taken: TakenOver, now: Now) -> None:
        """The journal is read: reading may begin at `taken.start`. The first entry is a checkpoint that says so."""
        if lane.dropped:
            return
        lane.take_over(taken)
        self.access.remember(taken.platform, now)
        lane.platform = self.access.memory(now)
        lane.want_checkpoint(now)
        self.deduplication.begin(lane.partition, taken.recalled)

    def leave(self, partitions: Iterable[Partition]) -> None:
        """Start nothing more for these: they are given back soon."""
        for partition in partitions:
            if partition in self.lanes:
                self.lanes[partition].leaving = True

    def lose(self, partition: Partition) -> None:
        """Another member has claimed a partition: drop its lane.

        Acceptances that are not in the journal, and attempts that never began, are kept for the partition's next lane.
        Both lanes share the table, so an answer that is yet to come reaches the next one.
        """
        lane = self.lanes[partition]
        for draft in lane.ledger.drafts():
            if isinstance(draft.entry, Returned) and not draft.entry.started:
                lane.returned[draft.entry.send_id, draft.entry.attempt] = draft.entry
            if isinstance(draft.token, Settlement):
                for verdict, records in draft.token.items:
                    if verdict.status is Status.ACCEPTED:
                        lane.unrecorded_acceptances.update({record.offset: verdict for record in records})
        self.drop(partition)
        self._outlasting[partition] = (lane.unrecorded_acceptances, lane.returned)

    def drop(self, partition: Partition) -> None:
        """A partition is no longer ours: forget its events wherever they are."""
        self.drop_all([partition])

    def drop_all(self, partitions: Iterable[Partition]) -> None:
        """Forget the events of many partitions in one go: sends that hold events of several are gone through once.

        A rebalance takes back everything that we have: then nothing has to be picked out at all.
        """
        lanes: dict[Partition, Lane] = {}
        for partition in partitions:
            self._outlasting.pop(partition, None)
            self.deduplication.forget(partition)
            self.queue.waiting_events.forget(partition)
            lane = self.lanes.pop(partition, None)
            if lane is not None:
                lane.dropped = True
                lanes[partition] = lane
        self._dropped += [lane for lane in lanes.values() if lane.publishing]
        self.buffer.dropped(lanes.values())
        if not self.lanes:
            self.windows.clear()
            self.delivery.clear()
            self.waiters.clear()
            return
        for lane in lanes.values():
            self.waiters.forget(lane.waiting())
        events = [event for lane in lanes.values() for event in lane.in_hand.values()]
        self.windows.drop([event for event in events if event.send_id is None])
        self.delivery.drop(lanes.keys(), [event for event in events if event.send_id is not None])

    def empty(self, partition: Partition) -> Lane:
        """A partition can go on only by a person's word: it stays in hand, and holds nothing that others need room for.

        Whoever lets it start has its records read anew.
        """
        ledger = self.lanes[partition].ledger
        self.drop(partition)
        ledger.abandon()
        lane = self.lanes[partition] = Lane(partition, self._group, ledger, self._new_parked())
        return lane

    # ---------------------------------------------------------------- facts

    def fetched(self, lane: Lane, records: Sequence[Record], now: Now) -> Fetched:
        """A batch was fetched for this lane. Return it decoded, for whoever tells of it.

        Empty where the lane was dropped meanwhile: a lane that has taken its place starts elsewhere, and a batch
        that does not follow on what was read would leave a hole.
        """
        if lane.dropped or not records or not lane.started:
            return Fetched((), 0, 0, {})
        self.buffer.measure()
        taken = self._reading.take(lane, records, now)
        last = records[-1]
        lane.marks.append(
            Mark(
                offset=Offset(last.offset),
                timestamp_ms=last.timestamp,
                key_bytes=len(last.key or b""),
                value_bytes=len(last.value or b""),
            )
        )
        return self._admit(lane, taken, now)

    def read_again(self, lane: Lane, records: Sequence[Record], reached: Offset, now: Now) -> Fetched:
        """Parked records of this lane were read again: all that can be read up to `reached`. Return what was taken of them."""
        if lane.dropped:
            return Fetched((), 0, 0, {})
        self.buffer.measure()
        return self._admit(lane, self._reading.take_again(lane, records, reached, now), now)

    def _admit(self, lane: Lane, records: Sequence[Record], now: Now) -> Fetched:
        decoded = self._decoder.batch(lane.partition, records, now)
        size_bytes = sum([record.size_bytes for record in decoded])
        lane.hold(decoded, size_bytes)
        lane.moved = True
        told, fresh = self._admission.admit(lane, decoded, now)
        self.room.came(lane, fresh, now)
        for settlement in told:
            self._publish(settlement)
        value_bytes = sum(map(len, filter(None, map(_VALUE, records))))
        return Fetched(decoded, size_bytes, value_bytes, self._decoder.lookalikes())

    def passed(self, lane: Lane, position: Offset) -> None:
        """Reading has come to `position`: behind the records fetched, nothing below it may be read by anybody.

        Markers of transactions and what those aborted end there. They count for the commit as what is done does.
        """
        if not lane.dropped and lane.started:
            lane.watermark.passed(position)
            lane.moved = True

    def appended(self, lane: Lane, base: JournalOffset, now: Now) -> None:
        """An append of this lane landed at `base`."""
        self._proven(lane, lane.ledger.acknowledged(base), now)
        if lane.overdue and lane.ledger.standing is OwnershipState.OWNED:
            self._ownership_confirmed(lane, now)

    def append_failed(self, lane: Lane) -> None:
        """An append of this lane is of unknown fate."""
        lane.ledger.failed()

    def append_too_large(self, lane: Lane) -> bool:
        """The journal takes no append of this lane that is so large; return whether only a person can change that."""
        found = Fit.SMALLER if lane.dropped else lane.ledger.too_large()  # a dropped lane's concerns nobody any more
        if found is Fit.ANEW:
            lane.moved = True
            if not any(isinstance(draft.entry, Segment) for draft in lane.ledger.drafts()):
                self.deduplication.write_anew(lane.partition)
        return found is Fit.NEVER

    def gap_read(self, lane: Lane, entries: Sequence[Placed], now: Now) -> None:
        """The gap that the ledger asked for was read."""
        self._proven(lane, lane.ledger.gap_read(entries), now)
        self._ownership_confirmed(lane, now)

    def _ownership_confirmed(self, lane: Lane, now: Now) -> None:
        lane.overdue = False
        if lane.may_send:
            self.delivery.resume(now)

    def _proven(self, lane: Lane, drafts: Sequence[Draft], now: Now) -> None:
        if lane.dropped:
            return
        for draft in drafts:
            if isinstance(draft.entry, Checkpoint):  # it says nothing new, and less than was heard while it was out
                if (seconds := lane.checkpoint_proven(now)) is not None:
                    self._checkpoint_seconds.append(seconds)
                continue
            lane.attempts.apply(draft.entry)
            match draft.entry, draft.token:
                case Intent(attempt=attempt), Send() as send:
                    self.delivery.intent_proven(lane, send, attempt, now)
                case Outcome(), Settlement() as settlement:
                    self._outcome_proven(lane, settlement, draft, now)
                case Segment(), Piece() as piece:
                    self.deduplication.written(lane.partition, piece, draft.landed_at)
                    lane.checkpoint_wanted = True  # names it, and the tail before it need not be read any more
                case _:
                    pass
            lane.moved = True

    def _outcome_proven(self, lane: Lane, settlement: Settlement, draft: Draft, now: Now) -> None:
        settlement.journal_offset = draft.landed_at
        assert draft.landed_at is not None
        in_hand, repeats, persons = lane.in_hand, lane.repeats, lane.persons
        events: list[Event] = []
        for verdict, records in settlement.items:
            if lane.held_back:
                lane.held_back.gone(records)
            if verdict.status not in (Status.DUPLICATE, Status.INVALID):
                events += cast("list[Event]", records)
        fingerprints = [event.fingerprint for event in events]
        offsets = settlement.offsets if len(events) == len(settlement.offsets) else [event.offset for event in events]
        self.deduplication.settled(lane.partition, fingerprints, offsets, now.wall, stands=draft.landed_at)
        for event, fingerprint in zip(events, fingerprints, strict=True):
            if (first := in_hand.pop(fingerprint, None)) is not event:
                if first is not None:
                    in_hand[fingerprint] = first
                continue
            if persons.get(event.person) is event:
                del persons[event.person]
            else:
                self._admission.next_of_person(lane, event, now)
            if repeats and fingerprint in repeats:
                self._settle_repeats(lane, event, now)
        self.room.decided(lane, settlement)
        lane.unpublished[draft.landed_at] = len(settlement.offsets)
        self._publish(settlement)

    def _settle_repeats(self, lane: Lane, first: Event, now: Now) -> None:
        repeats = lane.repeats.pop(first.fingerprint)
        self.queue.waiting_events.remove_each(repeats)
        verdict = repeat_of(first, first.offset, now)
        settle(lane, [(closing_verdict(event, verdict), [event]) for event in repeats], None)

    def _publish(self, settlement: Settlement) -> None:
        settlement.lane.publish(settlement)
        self._publications.append(settlement)

    def published(self, settlements: Iterable[Settlement]) -> None:
        """Results of these are acknowledged; or their lanes were dropped, and the next owner publishes them."""
        for lane, done in groupby(settlements, attrgetter("lane")):
            lane.publish_done(list(done))
        self.buffer.published()

    def answered(self, send: Send, exchange: Exchange, now: Now) -> Decision:
        """A request came to its end, or never began."""
        was_contacted = self.access.is_contacted
        decision = self.delivery.answered(send, exchange, now)
        settled = sum(len(events) for _, events in decision.items) if isinstance(decision, Finished) else 0
        self.lately.ended(send.campaign_id, exchange.answer, decision.ruling, now, settled=settled)
        if self.access.is_contacted and not was_contacted:
            self.renew_checkpoints(now)  # no partition's journal tells of a 2xx before it tells of the first contact
        return decision

    def misread(self) -> list[Exception]:
        """Return the errors that answers' bodies have caused since the last call: their heads decided alone."""
        misread, self.delivery.misread = self.delivery.misread, []
        return misread

    def last_look(self, send: Send, now: Now) -> Withholding | None:
        """Say whether this request may start now, right before its first byte."""
        return self.delivery.last_look(send, now)

    # ---------------------------------------------------------------- turn

    def turn(self, now: Now) -> Commands:
        """Return what is to be done now."""
        if self.flush_windows:
            self.windows.close_all()
        else:
            self.windows.close_due(now)
        closed, self.windows.closed = self.windows.closed, []
        for window in closed:
            self.delivery.queue_window(window, now)
        self.delivery.call_off_unproven(now)
        self._sweep.close_due(now)
        self.delivery.pick(now)
        commands = Commands(closed=closed, reads=self._read_parked(now))
        for lane in self.lanes.values():
            if values := lane.ledger.next_append(partial(leading, lane, self.deduplication)):
                commands.appends.append((lane, values))
            if lane.ledger.gap is not None:
                commands.gaps.append((lane, lane.ledger.gap))
                lane.ledger.gap = None
        commands.posts, self.delivery.to_post = self.delivery.to_post, []
        commands.publications, self._publications = self._publications, []
        commands.dropped, self._dropped = self._dropped, []
        commands.checkpoint_seconds, self._checkpoint_seconds = self._checkpoint_seconds, []
        commands.wake_at = self._wake_at(now, packing=self.deduplication.pack_some())
        return commands

    def _read_parked(self, now: Now) -> Sequence[ReadAgain]:
        if self.flush_windows:
            return ()
        self._room_maker.make_room(now)
        if not self._reading.is_due(now):
            return ()
        self.buffer.measure()
        return self._reading.next_reads(now)

    def _wake_at(self, now: Now, *, packing: bool) -> Ticks | None:
        windows, queue, proofs = self.windows.next_wake_at(), self.queue.next_wake_at(now), self.delivery.next_wake_at()
        reads, room = (None, None) if self.flush_windows else (self._reading.wake_at(), self._room_maker.wake_at(now))
        packs = Ticks(now.steady + PACK_AGAIN_SECONDS) if packing else None
        wakes = (windows, queue, proofs, self._sweep.wake_at(now), reads, room, packs)
        return min((wake for wake in wakes if wake is not None), default=None)

    def want_checkpoints(self, now: Now, *, of: Iterable[Lane] | None = None) -> None:
        """Let the next append of each partition, or of these, begin with a checkpoint, where something moved."""
        platform = self.access.memory(now)
        for lane in self.lanes.values() if of is None else of:
            lane.platform = platform
            lane.want_checkpoint(now)

    def renew_checkpoints(self, now: Now) -> None:
        """Write checkpoints although nothing has moved, before the journal's retention reaches the last ones."""
        for lane in self.lanes.values():
            lane.moved = True
        self.want_checkpoints(now)
