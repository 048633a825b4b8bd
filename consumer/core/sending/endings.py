"""Queued events that will not be tried (again): their deadline, their age, or that of their campaign's refusal has come.

Settles them though no turn is near, whatever they wait for. Looks only at those whose time has come, so many at once.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from consumer.core.event import Decoded, Event
from consumer.core.history import UNTRIED
from consumer.core.journal.lane import Lane
from consumer.core.outcome import Reason, Status, Verdict
from consumer.core.platform.access import Access
from consumer.core.policy import Policies
from consumer.core.sending.deadlines import EVENTS_AT_ONCE, STEP_SECONDS, Deadlines
from consumer.core.sending.parts import settle_each
from consumer.core.sending.send import Send, SendStage, earliest_expiry
from consumer.core.sending.send_queue import SendQueue
from consumer.core.sending.settle import closing_verdict, give_up_reasons, stopped, superseded
from consumer.core.sending.waiters import Waiters
from consumer.core.terms import Instant, Now, Partition

LOOK_AGAIN_SECONDS = 30.0
"""Whoever is tried for too long by the calendar alone is looked at again after this."""


class Endings:
    """Watches over the queue, and over what waits behind it for a campaign that is given up."""

    def __init__(
        self, policies: Policies, lanes: dict[Partition, Lane], queue: SendQueue, access: Access, waiters: Waiters
    ) -> None:
        self._policies = policies
        self._lanes = lanes
        self._queue = queue
        self._access = access
        self._holds = access.holds
        self._waiters = waiters
        self._sends: Deadlines[Send] = Deadlines()
        self._campaigns: Deadlines[int] = Deadlines()
        """Refused campaigns with events that wait."""

    # ---------------------------------------------------------------- watching

    def watch(self, send: Send, now: Now) -> None:
        """A send waits in the queue: look at it when something of it is due."""
        dues = [] if send.earliest_expiry is None else [send.earliest_expiry]
        if UNTRIED in send.histories():
            dues += self._too_old_at(send.members, now)
        if send.first_tried_at is not None:
            left = self._policies.of(send.campaign_id).max_age_seconds - self._tried_seconds(send, now)
            dues.append(Instant(now.wall + max(left, LOOK_AGAIN_SECONDS if self._stands_still(send, now) else 0.0)))
        if self._holds.settles_any and any(self._holds.ending(event) for event in send.members):
            dues.append(now.wall)
        if self._waiters.any_newer and any(self._waiters.newer_than(event) for event in send.members):
            dues.append(now.wall)
        due_at = min(dues, default=None)
        if due_at is not None:
            self._sends.put(send, due_at)
        if send.campaign_id in self._access.refused:
            self._watch_campaign(send.campaign_id, now)

    def joined(self, send: Send, members: Collection[Event], now: Now) -> None:
        """More members wait in a send that is watched: it may be due earlier for them."""
        dues = self._too_old_at(members, now)
        expiry = earliest_expiry(members)
        if expiry is not None:
            dues.append(expiry)
        if dues:
            self._sends.put_earlier(send, min(dues))

    def _watch_campaign(self, campaign_id: int, now: Now) -> None:
        refused_seconds = self._access.refused_seconds(campaign_id, now)
        if refused_seconds is not None:
            left = self._policies.of(campaign_id).max_age_seconds - refused_seconds
            self._campaigns.put_earlier(campaign_id, Instant(now.wall + max(0.0, left)))

    def _too_old_at(self, members: Collection[Event], now: Now) -> list[Instant]:
        """Return when the first of those that were never tried is too old for a first request; resends are exempt."""
        longest = self._policies.max_event_age_seconds
        born = [event.occurred for event in members]
        if min(born) + longest <= now.wall:  # hardly ever: a resend, or one that was tried before
            born = [event.occurred for event in members if _may_be_too_old(event)]
        return [Instant(min(born) + longest)] if born else []

    def _tried_seconds(self, send: Send, now: Now) -> float:
        if send.first_tried_at is None:
            return 0.0
        return self._access.tried_seconds(send.campaign_id, send.first_tried_at, now)

    def _stands_still(self, send: Send, now: Now) -> bool:
        """Return whether nobody of this send grows older, as far as its attempts go."""
        return self._access.one_at_a_time or self._access.campaign_at(send.campaign_id) > now.steady

    def let_go(self, send: Send) -> Instant | None:
        """A send waits no more. Return when it was to be looked at, None where it was not."""
        return self._sends.discard(send)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._sends.clear()
        self._campaigns.clear()

    def next_at(self) -> Instant | None:
        """Return when somebody is due, None where nobody is."""
        dues = (self._sends.next_at(), self._campaigns.next_at())
        return min((due for due in dues if due is not None), default=None)

    # ---------------------------------------------------------------- closing

    def close_due(self, now: Now) -> Iterator[Send]:
        """Settle those whose time has come, so many at once; yield the sends that nobody is left in."""
        room = EVENTS_AT_ONCE
        for send in self._sends.take_due(now.wall):
            room -= max(1, len(send.members))
            self._close_ended(send, now)
            if not send.members:
                yield send
            else:
                self._watch_on(send, now)
            if room <= 0:
                return
        for campaign_id in self._campaigns.take_due(now.wall):
            if not self._is_hopeless(campaign_id, now):
                continue
            queued = self._queued_of(campaign_id)
            for send in queued:
                room -= len(send.members)
                self.let_go(send)
                self._fail(send, send.members, Reason.RETRY_AGE, now)
                yield send
                if room <= 0:
                    break
            waiting = self._fail_waiting(campaign_id, max(0, room), now)
            room -= waiting
            if room <= 0:
                self._campaigns.put(campaign_id, Instant(now.wall - STEP_SECONDS))  # at once
                return
            if queued or waiting:  # more of them may wait by then, or come back from their back-off
                self._campaigns.put(campaign_id, now.wall)

    def _watch_on(self, send: Send, now: Now) -> None:
        """Look again at a send that is not over; not at once, where an outage alone has kept it from being over."""
        self.watch(send, now)
        due_at = self._sends.at(send)
        if due_at is not None and due_at <= now.wall:
            self._sends.put(send, Instant(now.wall + LOOK_AGAIN_SECONDS))
            self.joined(send, send.members, now)

    def _is_hopeless(self, campaign_id: int, now: Now) -> bool:
        """Return whether a campaign has been refused for too long.

        While its probe is out, or due, its events wait for what it says; that brings us here again.
        """
        return self._access.is_hopeless(campaign_id, self._policies.of(campaign_id).max_age_seconds, now)

    def _queued_of(self, campaign_id: int) -> Sequence[Send]:
        return list(islice((send for send in self._queue.of_campaign(campaign_id) if send.members), EVENTS_AT_ONCE))

    def _fail_waiting(self, campaign_id: int, most: int, now: Now) -> int:
        """Settle events of such a campaign that wait behind their own person's, so many at once; return how many.

        Each would have its turn in a later sweep than the one before it.
        """
        gone = list(islice(self._waiters.take_of(campaign_id), most))
        failed = Verdict(status=Status.FAILED, reason=Reason.RETRY_AGE, completed_at=now.wall)
        settle_each(self._lanes, [(closing_verdict(event, failed), [event]) for event in gone], None)
        return len(gone)

    def close_before_its_turn(self, send: Send, now: Now) -> None:
        """A send has its turn: settle those of its members for whom it comes too late."""
        due_at = self.let_go(send)
        is_due = due_at is not None and due_at - STEP_SECONDS <= now.wall
        if is_due or send.first_tried_at is not None or self._holds.settles_any or self._waiters.any_newer:
            self._close_ended(send, now)

    def close_expired(self, send: Send, now: Now) -> None:
        """Settle members whose deadline has come."""
        if send.earliest_expiry is not None and send.earliest_expiry <= now.wall:
            late = [event for event in send.members if event.expires_at is not None and event.expires_at <= now.wall]
            self._close(send, late, Verdict(status=Status.EXPIRED, reason=Reason.DEADLINE, completed_at=now.wall))

    def close_stopped(self, send: Send, now: Now) -> None:
        """Settle members that operators have cancelled, or whose campaign they let reject, or whose place a newer one takes."""
        if self._waiters.any_newer:
            self._close_superseded(send, now)
        if not self._holds.settles_any:
            return
        stops = {id(event): ending for event in send.members if (ending := self._holds.ending(event)) is not None}
        for ending in dict.fromkeys(stops.values()):
            self._close(send, [event for event in send.members if stops.get(id(event)) == ending], stopped(ending, now))

    def _close_superseded(self, send: Send, now: Now) -> None:
        for event in tuple(send.members):
            if (newer := self._waiters.newer_than(event)) is not None:
                self._close(send, [event], superseded(newer, Reason.NEWER_EVENT, now))

    def close_dry(self, send: Send, now: Now) -> None:
        """Settle all members, whose request is not made: it is a dry run."""
        self._close(send, send.members, Verdict(status=Status.CANCELLED, reason=Reason.DRY_RUN, completed_at=now.wall))

    def _close_ended(self, send: Send, now: Now) -> None:
        self.close_expired(send, now)
        self.close_stopped(send, now)
        if UNTRIED in send.histories():
            longest = self._policies.max_event_age_seconds
            old = [event for event in send.members if event.occurred + longest <= now.wall and _may_be_too_old(event)]
            if old:
                self._close(send, old, Verdict(status=Status.EXPIRED, reason=Reason.TOO_OLD, completed_at=now.wall))
        self.close_given_up(send, now)

    def close_given_up(self, send: Send, now: Now) -> None:
        """Settle members that have had all their attempts, or were tried for too long; each by its own history."""
        if send.first_tried_at is None:
            return
        reasons = give_up_reasons(send, self._policies.of(send.campaign_id), self._access, now)
        for reason in dict.fromkeys(reasons.values()):
            if reason is not None:
                self._fail(send, [event for event in send.members if reasons[event.history] is reason], reason, now)

    def _fail(self, send: Send, members: Sequence[Event], reason: Reason, now: Now) -> None:
        failed = Verdict(
            status=Status.FAILED, reason=reason, send_id=send.send_id, completed_at=now.wall, response=send.response
        )
        self._close(send, members, failed)

    def _close(self, send: Send, members: Iterable[Event], verdict: Verdict) -> None:
        """Settle members that will not be tried (again)."""
        gone = list(members)
        going = set(map(id, gone))
        if send.stage is SendStage.QUEUED:
            self._queue.waiting_events.remove_members(send.campaign_id, gone)
        send.keep([event for event in send.members if id(event) not in going])
        items: list[tuple[Verdict, list[Decoded]]] = []
        for event in gone:
            event.send_id = None
            items.append((closing_verdict(event, verdict), [event]))
        settle_each(self._lanes, items, send.send_id)


def _may_be_too_old(event: Event) -> bool:
    return event.resend.id is None and event.history is UNTRIED
