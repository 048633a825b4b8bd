"""From a closed window to its outcome: pick, intent, proof, request, answer. Never posts: it says what to post.

A send holds a slot from its pick to its answer. It is posted only when its intent is proven in the journal
partition of every member; what cannot be proven in time goes back, and its intents are returned.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from consumer.core.event import Event
from consumer.core.history import Fate
from consumer.core.journal.entries import Intent, Returned
from consumer.core.journal.lane import Lane
from consumer.core.journal.settling import settle
from consumer.core.platform.access import Access
from consumer.core.platform.answer import Exchange, Withholding
from consumer.core.policy import Policies
from consumer.core.sending.deadlines import EVENTS_AT_ONCE
from consumer.core.sending.endings import Endings
from consumer.core.sending.joining import Joining
from consumer.core.sending.parts import Parts, dropped, keep_acceptances, keep_ours, settle_each
from consumer.core.sending.proofs import Proofs
from consumer.core.sending.send import QueueEnd, Send, SendStage
from consumer.core.sending.send_queue import SendQueue
from consumer.core.sending.settle import CalledOff, Decision, Finished, Halve, RetryLater, decide_whatever_it_says
from consumer.core.sending.waiters import Waiters
from consumer.core.sending.window import Window
from consumer.core.terms import Instant, Now, Partition, SendId, Ticks

PROOF_LASTS_SECONDS = 1.0
"""A request that starts later than this after the proof needs a new one: whoever was frozen must look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSource:
    """What comes from outside: dice and names."""

    jitter: Callable[[], float]
    send_id: Callable[[], SendId]


class Delivery:
    """Owns the sends: queued, and on their way."""

    def __init__(
        self,
        policies: Policies,
        lanes: dict[Partition, Lane],
        queue: SendQueue,
        access: Access,
        waiters: Waiters,
        random_source: RandomSource,
    ) -> None:
        self._policies = policies
        self._lanes = lanes
        self._queue = queue
        self._access = access
        self._random = random_source
        self._out: dict[SendId, tuple[Send, Parts]] = {}
        self._joining = Joining(policies)
        self._endings = Endings(policies, lanes, queue, access, waiters)
        self._stalled: dict[SendId, Send] = {}
        """Sends whose members all wait for a partition that is unsure of its owner, in the order of their turns."""
        self._proofs = Proofs()
        self._names = policies.field_names
        self.misread: list[Exception] = []  # by answers' bodies: to be told, and forgotten
        self.to_post: list[Send] = []
        """Sends whose proof is complete: the shell takes them and posts them."""
        self.starting = True
        """Whether sends are picked; a service that stops sets it to False."""

    def queue_window(self, window: Window, now: Now) -> None:
        """A window closed: its members are a send from here on, or join one of their group that has no slot yet."""
        self._queue.waiting_events.add_members(window.key.campaign_id, window.by_person.values())
        joined = self._joining.join(window)
        if joined is not None:
            self._queue.first_arrivals.came(joined.campaign_id, joined.oldest_at)
            self._endings.joined(joined, window.by_person.values(), now)
            return
        self._put(self._joining.begin(window, self._random.send_id(), now), now, QueueEnd.BACK)

    def _put(self, send: Send, now: Now, end: QueueEnd) -> None:
        self._queue.put(send, now, end)
        self._endings.watch(send, now)

    # ---------------------------------------------------------------- picking

    def pick(self, now: Now) -> None:
        """Start as many sends as the limits allow, as far as their intents.

        A dry run ends here, before the intent: in the journal, one that no answer follows is an attempt that may have
        texted people, and whoever takes over for real would have to believe it.
        """
        room = EVENTS_AT_ONCE  # of a dry run; the outcomes' proofs bring the next turn
        while room > 0 and self.starting and (send := self._queue.pick(now)) is not None:
            self._joining.leave(send)
            self._endings.close_before_its_turn(send, now)
            send.stops_known = self._access.holds.version
            parts = self._set_aside_unsure(send)
            if self._policies.dry_run:
                room -= len(send.members)
                self._endings.close_dry(send, now)
            if not send.members:
                self._queue.attempt_ended(send)
                send.move(SendStage.OVER)
                continue
            self._intend(send, parts, now)

    def _intend(self, send: Send, parts: Parts, now: Now) -> None:
        send.move(SendStage.PROVING)
        send.attempt += 1
        send.picked_at = now.steady
        self._proofs.wait(send, now)
        for lane, members in parts.values():
            intent = Intent(
                send_id=send.send_id,
                attempt=send.attempt,
                campaign_id=send.campaign_id,
                offsets=tuple([event.offset for event in members]),
                intended_at=now.wall,
            )
            lane.ledger.add(intent, send)
            self._queue.waiting_events.remove(lane.partition, send.campaign_id, len(members))
        send.unproven = set(parts)
        self._out[send.send_id] = (send, parts)

    def _set_aside_unsure(self, send: Send) -> Parts:
        """Take out members of partitions that are unsure of their owner, who wait until it is known; return the others."""
        parts: Parts = {}
        unsure: list[Event] = []
        for partition, members in send.by_partition().items():
            lane = self._lanes[partition]
            if lane.may_send:
                parts[partition] = (lane, members)
            else:
                unsure += members
        if unsure:
            aside = send.part(self._random.send_id(), unsure)
            self._stalled[aside.send_id] = aside
            send.keep([event for event in send.members if event.partition in parts])
        return parts

    def resume(self, now: Now) -> None:
        """A partition is sure again: queue what waited; what still has to wait is set aside anew when picked."""
        stalled, self._stalled = self._stalled, {}
        for send in reversed(stalled.values()):
            self._put_back(send, now, QueueEnd.FRONT)

    # ---------------------------------------------------------------- proving

    def intent_proven(self, lane: Lane, send: Send, attempt: int, now: Now) -> None:
        """An intent stands where it was expected."""
        if send.stage is not SendStage.PROVING or send.attempt != attempt:
            lane.ledger.add(Returned(send_id=send.send_id, attempt=attempt, started=False), None)
            return
        send.unproven.discard(lane.partition)
        if send.prove_by <= now.steady:  # seen late, it may be old: we may have been frozen
            self._call_off(send, self._out[send.send_id][1], now)
        elif not send.unproven:
            send.proven_at = now.steady
            send.move(SendStage.POSTING)
            self.to_post.append(send)

    def call_off_unproven(self, now: Now) -> None:
        """Give up on proofs that take too long or cannot come; what is proven already is returned."""
        for send in self._proofs.in_vain(now):
            _, parts = self._out[send.send_id]
            if send.prove_by <= now.steady:
                for partition in send.unproven:
                    parts[partition][0].overdue = True
            self._call_off(send, parts, now)

    def _call_off(self, send: Send, parts: Parts, now: Now) -> None:
        self._return(send, parts, fate=None)
        self._requeue(send, parts, now)

    def _requeue(self, send: Send, parts: Parts, now: Now, end: QueueEnd = QueueEnd.FRONT) -> None:
        del self._out[send.send_id]
        self._queue.attempt_ended(send)
        keep_ours(send, parts)
        if not send.members:
            send.move(SendStage.OVER)
            return
        send.move(SendStage.QUEUED)
        self._queue.waiting_events.add_members(send.campaign_id, send.members)
        self._put_back(send, now, end)

    def _put_back(self, send: Send, now: Now, end: QueueEnd) -> None:
        """Queue a send that was picked before; a member may have become urgent meanwhile."""
        if send.immediate or any(event.immediate for event in send.members):
            self._queue.hasten(send)
        self._put(send, now, end)

    def next_wake_at(self) -> Ticks | None:
        """Return when the first proof is overdue, None where none is out."""
        return self._proofs.next_due_at()

    def last_look(self, send: Send, now: Now) -> Withholding | None:
        """Say whether the request may start, with the connection in hand and right before the first byte."""
        _, parts = self._out[send.send_id]
        if any(lane.dropped for lane, _ in parts.values()):
            return Withholding.NOT_OURS
        if send.earliest_expiry is not None and send.earliest_expiry <= now.wall:
            return Withholding.EXPIRED
        if now.steady - send.proven_at > PROOF_LASTS_SECONDS:
            return Withholding.STALE_PROOF
        return Withholding.STOPPED if self._is_stopped(send, now) else None

    def _is_stopped(self, send: Send, now: Now) -> bool:
        """Return whether an operator has held or cancelled something of a send since it was picked."""
        if not self._access.may_start(send.campaign_id, now):
            return True
        holds = self._access.holds
        if send.stops_known == holds.version or not holds.settles_any:
            return False
        return any(holds.ending(event) for event in send.members)

    # ---------------------------------------------------------------- answers

    def answered(self, send: Send, exchange: Exchange, now: Now) -> Decision:
        """An attempt is over: settle, split, or queue again. Return what was decided, for whoever tells of it."""
        _, parts = self._out[send.send_id]
        policy = self._policies.of(send.campaign_id)
        self._queue.judge(send, exchange, now)
        decision = decide_whatever_it_says(send, exchange, policy, self._names, self._access, now, self.misread)
        keep_ours(send, parts)  # only now: an answer speaks of everybody whom its request carried
        match decision:
            case Finished():
                self._finish(send, parts, decision)
            case Halve():
                self._return(send, parts, fate=Fate.EXCUSED)
                self._halve(send, now, decision.queue_end)
            case RetryLater():
                self._close_attempt(send, parts, exchange, decision.fate)
                self._again(send, parts, decision, now)
            case CalledOff():
                self._return(send, parts, fate=None)
                self._endings.close_expired(send, now)
                self._requeue(send, parts, now, decision.queue_end)
        return decision

    def _finish(self, send: Send, parts: Parts, decision: Finished) -> None:
        del self._out[send.send_id]
        self._queue.attempt_ended(send)
        send.move(SendStage.OVER)
        keep_acceptances(parts, decision.items)
        if len(decision.items) == 1:
            verdict = decision.items[0][0]
            for lane, members in parts.values():
                if not lane.dropped:
                    settle(lane, [(verdict, list(members))], send.send_id)
            return
        gone = dropped(parts)
        settle_each(
            self._lanes,
            (
                (verdict, [event for event in members if event.partition not in gone])
                for verdict, members in decision.items
            ),
            send.send_id,
        )

    def _close_attempt(self, send: Send, parts: Parts, exchange: Exchange, fate: Fate) -> None:
        """Journal `returned` for an attempt that surely delivered nothing; mark one of unknown fate as never to be returned."""
        if not fate.is_unknown:
            self._return(send, parts, fate=None if exchange.started_at is None else fate)
            return
        for lane, _ in parts.values():
            lane.attempts.unknown(send.send_id, send.attempt, fate)
            lane.moved = True

    def _return(self, send: Send, parts: Parts, *, fate: Fate | None) -> None:
        """Write down that an attempt delivered nothing; `fate` None: no byte of it went out."""
        returned = Returned(send_id=send.send_id, attempt=send.attempt, started=fate is not None, fate=fate)
        for lane, _ in parts.values():
            if not lane.dropped and lane.partition not in send.unproven:  # else it is returned when it is proven
                lane.ledger.add(returned, None)

    def _halve(self, send: Send, now: Now, end: QueueEnd) -> None:
        del self._out[send.send_id]
        self._queue.attempt_ended(send)
        send.move(SendStage.OVER)
        self._queue.waiting_events.add_members(send.campaign_id, send.members)
        middle = (len(send.members) + 1) // 2
        for members in (send.members[middle:], send.members[:middle]):
            if members:
                self._put_back(send.part(self._random.send_id(), members), now, end)

    def _again(self, send: Send, parts: Parts, decision: RetryLater, now: Now) -> None:
        if decision.fate is Fate.EXCUSED:
            send.ready_at = now.steady  # access says when its next turn is, and puts everybody's off alike
        else:
            send.setbacks += 1
            policy = self._policies.of(send.campaign_id)
            send.ready_at = Ticks(now.steady + decision.wait_seconds(send.setbacks, policy, self._random.jitter()))
        self._endings.close_given_up(send, now)
        self._requeue(send, parts, now, decision.queue_end)

    # ---------------------------------------------------------------- endings

    def close_due(self, now: Now) -> None:
        """Settle queued members whose time has come, though no turn is near."""
        self.forget_empty(self._endings.close_due(now))

    def next_ending_at(self) -> Instant | None:
        """Return when somebody's time comes, by the wall clock."""
        return self._endings.next_at()

    def clear(self) -> None:
        """No partition is ours any more: forget every send that is not out yet."""
        self._queue.clear()
        self._joining.clear()
        self._endings.clear()
        self._stalled = {}
        self._proofs.tear(send for send, _ in self._out.values())

    def drop(self, partitions: Collection[Partition], events: Iterable[Event]) -> None:
        """Partitions are no longer ours: their members, all among `events`, leave every send that is not out yet.

        What waits for a proof of theirs, which will not come, is called off in the next turn.
        """
        queued, stalled = self._among(events)
        for send in (*queued, *stalled):
            left = [event for event in send.members if event.partition not in partitions]
            if left:
                send.keep(left)
            else:
                send.members = left
        self.forget_empty(queued)
        for send in stalled:
            if not send.members:
                del self._stalled[send.send_id]
                send.move(SendStage.OVER)
        self._proofs.tear(send for send, parts in self._out.values() if dropped(parts))

    def close_stopped(self, events: Iterable[Event], now: Now) -> None:
        """Settle those of `events` that operators have stopped, where they are queued.

        Those that are set aside have their turn when their partition is sure of its owner, and are closed then.
        """
        queued, _ = self._among(events)
        for send in queued:
            self._endings.close_stopped(send, now)
        self.forget_empty(queued)

    def _among(self, events: Iterable[Event]) -> tuple[list[Send], list[Send]]:
        """Return the sends that hold these: those that are queued, and those that are set aside."""
        queued: dict[SendId, Send] = {}
        stalled: dict[SendId, Send] = {}
        for event in events:
            name = event.send_id
            if name is None or name in queued or name in stalled:
                continue
            if (send := self._queue.find(event)) is not None:
                queued[name] = send
            elif name in self._stalled:
                stalled[name] = self._stalled[name]
        return list(queued.values()), list(stalled.values())

    def forget_empty(self, sends: Iterable[Send]) -> None:
        """Take out of the queue those of `sends` that nobody is left in."""
        empty = {send.send_id: send for send in sends if not send.members}
        self._queue.remove(empty.values())
        for send in empty.values():
            self._joining.leave(send)
            self._endings.let_go(send)
            send.move(SendStage.OVER)

    def out_with(self, partitions: Iterable[Partition]) -> bool:
        """Return whether a send that carries members of these is being proven or posted."""
        wanted = set(partitions)
        return any(wanted & parts.keys() for _, parts in self._out.values())

    def find(self, event: Event) -> Send | None:
        """Return the send that holds this event and is out, or set aside for a partition that is unsure of its owner."""
        return None if event.send_id is None else self.named(event.send_id)

    def named(self, send_id: SendId) -> Send | None:
        """Return the send of this name that is out, or set aside."""
        out = self._out.get(send_id)
        return out[0] if out is not None else self._stalled.get(send_id)

    def out(self) -> Iterable[tuple[Send, Parts]]:
        """Return the sends with a slot, with their members by partition; lanes among those may be dropped."""
        return self._out.values()

    def set_aside(self) -> Iterable[Send]:
        """Return the sends that wait for a partition that is unsure of its owner."""
        return self._stalled.values()

    @property
    def idle(self) -> bool:
        """Whether no send is out nor set aside."""
        return not (self._out or self._stalled)

    @property
    def any_out(self) -> bool:
        """Whether any send is being proven or posted."""
        return bool(self._out)
