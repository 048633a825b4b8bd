"""Which send a window that closes may still join: one of its group that has had no turn yet. Queues nothing, decides no turn."""

from collections.abc import Mapping

from consumer.core.event import Event, GroupKey
from consumer.core.history import earliest_try
from consumer.core.policy import Policies
from consumer.core.sending.send import Send, carry, earliest_expiry
from consumer.core.sending.window import Window
from consumer.core.terms import Now, SendId

RANKS = ((True, True), (True, False), (False, False))
"""Whether a send is immediate, and urgent."""


class Joining:
    """The youngest send of each group that has not had its turn yet, and the window that it was."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._waiting: dict[tuple[GroupKey, bool, bool], tuple[Send, Window]] = {}

    def begin(self, window: Window, send_id: SendId, now: Now) -> Send:
        """Return a new send of a window's members, who know it from here on; others of its group may join it until its turn."""
        members = list(window.by_person.values())
        send = Send(
            send_id=send_id,
            group=window.key,
            members=members,
            immediate=window.immediate,
            urgent=self._is_urgent(window),
            ready_at=now.steady,
            closed_at=now.steady,
            earliest_expiry=earliest_expiry(members),
            oldest_at=window.oldest_at,
        )
        send.first_tried_at = earliest_try(send.histories())
        carry(send_id, members)
        self._waiting[send.group, send.immediate, send.urgent] = (send, window)
        return send

    def join(self, window: Window) -> Send | None:
        """Let urgent events that come one by one share a request while no slot is free; return it, None where there is none."""
        found = self._waiting.get((window.key, window.immediate, self._is_urgent(window)))
        if found is None:
            return None
        send, first = found
        policy = self._policies.of(send.campaign_id)
        if (
            len(send.members) + len(window.by_person) > policy.max_contacts
            or first.size_bytes + window.size_bytes > policy.max_bytes
            or not _are_strangers(first.by_person, window.by_person)
        ):
            return None
        first.size_bytes += window.size_bytes
        first.by_person |= window.by_person
        send.join(list(window.by_person.values()), window.oldest_at)
        return send

    def leave(self, send: Send) -> None:
        """A send has its turn, or is over: nobody joins it any more."""
        for immediate, urgent in RANKS:  # it may have become immediate after it was queued
            found = self._waiting.get((send.group, immediate, urgent))
            if found is not None and found[0] is send:
                del self._waiting[send.group, immediate, urgent]

    def _is_urgent(self, window: Window) -> bool:
        return window.immediate and self._policies.are_urgent(window.by_person.values())

    def clear(self) -> None:
        """Forget every send."""
        self._waiting = {}


def _are_strangers(some: Mapping[str, Event], others: Mapping[str, Event]) -> bool:
    return some.keys().isdisjoint(others)
