"""Events, sends and entries as the core's tests need them, made without decoding. Knows no rule of the core."""

from dataclasses import dataclass, field
from typing import Final

from consumer.core.event import NO_RESEND, Event, GroupKey, Identity
from consumer.core.journal.entries import Claim
from consumer.core.platform.holds import Holds
from consumer.core.policy import BreakerPolicy
from consumer.core.sending.delivery import RandomSource
from consumer.core.sending.send import Send, oldest_arrival
from consumer.core.terms import AT_ONCE, NEVER, Instant, Now, Offset, Partition, SendId, Ticks

EPOCH: Final = 1_795_534_800.0
P0: Final = Partition("contact-events", 0)
P1: Final = Partition("contact-events", 1)
URGENT: Final = Partition("otp", 7)


def at(seconds: float) -> Now:
    """Both clocks, so many seconds into a test."""
    return Now(Instant(EPOCH + seconds), Ticks(seconds))


def make_event(
    offset: int = 0,
    *,
    partition: Partition = P0,
    campaign: int = 1,
    options: bytes = b"",
    person: str = "ann",
    event_id: str | None = None,
    now: Now | None = None,
    expires_in: float | None = None,
    immediate: bool = False,
    contact: bytes = b'{"phoneE164":"+34600111222"}',
) -> Event:
    """An event that arrived `now`; `expires_in` counts seconds from then."""
    now = now or at(0)
    name = event_id or f"{partition.number}-{offset}"
    return Event(
        partition=partition,
        offset=Offset(offset),
        key=None,
        event_id=name,
        event_type="order.shipped",
        occurred_at="2026-11-24T15:40:00Z",
        occurred=now.wall,
        external_reference=name,
        resend=NO_RESEND,
        fingerprint=name.encode()[-16:].rjust(16, b"\0"),
        group=GroupKey(campaign, options, Identity.E164),
        person=person,
        contact=contact,
        expires_at=None if expires_in is None else Instant(now.wall + expires_in),
        immediate=immediate,
        unsendable=None,
        size_bytes=400,
        timestamp_ms=int(now.wall * 1000),
        received_at=now.wall,
        arrived=now.steady,
    )


NEVER_OPEN = BreakerPolicy(min_requests=1_000_000_000)
"""A breaker that the number of failures does not open."""


def make_send(send_id: str, *members: Event, immediate: bool = False, ready_at: float | None = None) -> Send:
    """A queued send."""
    events = list(members) or [make_event()]
    for event in events:
        event.send_id = SendId(send_id)
    return Send(
        send_id=SendId(send_id),
        group=events[0].group,
        members=events,
        immediate=immediate,
        ready_at=AT_ONCE if ready_at is None else Ticks(ready_at),
        earliest_expiry=None,
        oldest_at=oldest_arrival(events),
    )


def make_claim(process: str = "me", group: str = "g") -> Claim:
    """A claim of a process."""
    return Claim(group=group, member=f"member-{process}", process=process, version="1", claimed_at=Instant(EPOCH))


@dataclass
class Names:
    """Names that nothing else has, and dice that always fall alike."""

    jitter: float = 1.0
    given: int = field(default=0)

    def send_id(self) -> SendId:
        """The next name."""
        self.given += 1
        return SendId(f"send-{self.given}")

    def random_source(self) -> RandomSource:
        """What the pipeline asks for."""
        return RandomSource(jitter=lambda: self.jitter, send_id=self.send_id)


def nothing_held() -> Holds:
    """What operators say: nothing, now and for ever."""
    holds = Holds(86_400.0)
    holds.heard([], NEVER, at(0))
    return holds
