"""Events for one person of which one takes the other's place, where their campaign wants that. Starts nothing.

Looks once a turn, before anything is picked, at those that have come to wait behind their person's earlier ones. What
may have gone out is never displaced; what is out is, if it comes back undelivered: `endings.py` sees to that.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from consumer.core.event import Event
from consumer.core.intake.admit import Admission
from consumer.core.journal.lane import Lane
from consumer.core.outcome import Reason, Verdict
from consumer.core.policy import Policies, SameContact
from consumer.core.sending.parts import settle_each
from consumer.core.sending.settle import closing_verdict, superseded
from consumer.core.stops import Places
from consumer.core.terms import Now, Partition


class Rivals:
    """Decides who stays of those for one person, and settles the others."""

    def __init__(
        self, policies: Policies, admission: Admission, places: Places, lanes: Mapping[Partition, Lane]
    ) -> None:
        self._policies = policies
        self._admission = admission
        self._places = places
        self._lanes = lanes

    def displace(self, now: Now) -> None:
        """Settle whoever gives way to another one, by those who have come since the last time."""
        came, self._admission.rivals = self._admission.rivals, []
        together: dict[tuple[Partition, str], int] = {}
        for event in came:
            name = event.partition, event.person
            together[name] = together.get(name, 0) + 1
        lone: list[tuple[Verdict, list[Event]]] = []
        in_sends: list[Event] = []
        for (partition, person), count in together.items():
            lane = self._lanes.get(partition)
            if lane is None or type(queue := lane.persons.get(person)) is not deque:
                continue  # the partition is gone, or one alone is left
            if self._policies.of(queue[0].group.campaign_id).same_contact is SameContact.KEEP_LATEST:
                self._keep_latest(queue, count, lone, in_sends, now)
            else:
                self._keep_first(queue, count, lone, now)
            self._shorten(lane, person, queue)
        settle_each(self._lanes, lone, None)
        if in_sends:
            self._places.delivery.close_stopped(in_sends, now)

    def _keep_latest(
        self,
        queue: Sequence[Event],
        count: int,
        lone: list[tuple[Verdict, list[Event]]],
        in_sends: list[Event],
        now: Now,
    ) -> None:
        """The youngest takes the place of all others: of those that were not settled before, only two may be left."""
        newest, waiters = queue[-1], self._places.waiters
        if not waiters.waits(newest):
            return
        for event in (queue[0], *_before_the_last(queue, count + 1)):
            if event.history.lost:
                continue
            if event.send_id is not None:
                waiters.put_newer(event, newest)
                in_sends.append(event)
            elif self._places.windows.take_out(event) or waiters.settle(event):
                lone.append((closing_verdict(event, superseded(newest, Reason.NEWER_EVENT, now)), [event]))

    def _keep_first(
        self, queue: Sequence[Event], count: int, lone: list[tuple[Verdict, list[Event]]], now: Now
    ) -> None:
        """The first that may still go out stays."""
        first = next((event for event in queue if self._stays(event)), None)
        if first is None:
            return
        verdict = superseded(first, Reason.OLDER_EVENT, now)
        give_way = [event for event in (queue[-1], *_before_the_last(queue, count - 1)) if event is not first]
        lone += [
            (closing_verdict(event, verdict), [event])
            for event in give_way
            if not event.history.lost and self._places.waiters.settle(event)
        ]

    def _shorten(self, lane: Lane, person: str, queue: deque[Event]) -> None:
        """Let those who gave way leave the queue: they are its last ones, the newest apart.

        Else the queue of a person whose request takes long would be gone through, and held, whole.
        """
        forget_settled = self._places.waiters.forget_settled
        newest = queue.pop()
        while queue and forget_settled(queue[-1]):
            queue.pop()
        if not forget_settled(newest):
            queue.append(newest)
        if len(queue) == 1:
            lane.persons[person] = queue[0]
            self._places.waiters.forget_newer(queue[0])

    def _stays(self, event: Event) -> bool:
        """Whether an event waits or is out: one whose outcome is on its way stays no more."""
        places = self._places
        if event.send_id is None:
            return places.waiters.waits(event) or places.windows.find(event) is not None
        return places.queue.find(event) is not None or places.delivery.find(event) is not None


def _before_the_last(queue: Sequence[Event], count: int) -> Iterable[Event]:
    """Yield so many events that stand before the last one, the youngest first."""
    return islice(reversed(queue), 1, 1 + count)
