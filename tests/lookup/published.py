"""Results as the service publishes them, for tests that look them up. Reads no topic."""

from consumer.core.outcome import Reason, Response, Status, Verdict
from consumer.core.results.result import result_value
from consumer.core.terms import Instant, Partition
from tests.core.makers import EPOCH, at, make_event
from tests.support.records import Written

EVENTS = "contact-events"
PHONE = "+34600111222"


def published(
    offset: int,
    *,
    partition: int = 0,
    topic: str = EVENTS,
    status: Status = Status.ACCEPTED,
    reason: Reason | None = None,
    campaign: int = 421,
    event_id: str | None = None,
    seconds: float = 0.0,
    message: str | None = None,
    key: bytes | None = b"cust-1",
) -> Written:
    """The record that tells the result of the event at an offset; it was published so many seconds into a test."""
    event = make_event(
        offset,
        partition=Partition(topic, partition),
        campaign=campaign,
        event_id=event_id or f"e-{partition}-{offset}",
        now=at(seconds),
    )
    verdict = Verdict(
        status=status,
        reason=reason,
        completed_at=Instant(EPOCH + seconds),
        response=None if message is None else Response(status=422, message=message),
    )
    return Written(
        value=result_value(event, verdict),
        key=key,
        partition=partition,
        timestamp_ms=round((EPOCH + seconds) * 1000),
    )
