"""Says of lines what the service would find wrong with them. Publishes nothing, and names no value of a line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from consumer.core.event import Invalid
from consumer.core.intake.decode import Decoder
from consumer.core.outcome import ending_of
from consumer.core.policy import Policies
from consumer.core.terms import Now, Partition
from consumer.traffic.lines import BadLine, Line
from consumer.traffic.record import Headers

_NOWHERE = Partition("", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _LineAsRecord:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLine:
    """A line, what makes it no valid event, and what its author may not have meant."""

    number: int
    mistake: str | None
    remarks: Sequence[str]


class LineChecker:
    """Reads lines as the service does that has these policies."""

    def __init__(self, policies: Policies, now: Now) -> None:
        """Prepare; `now` is when they would arrive."""
        self._decoder = Decoder(policies)
        self._max_age_seconds = policies.max_event_age_seconds
        self._now = now

    def check(self, line: Line | BadLine) -> CheckedLine:
        """Check one."""
        if isinstance(line, BadLine):
            return CheckedLine(number=line.number, mistake=line.why, remarks=())
        record = _LineAsRecord(
            offset=line.number,
            timestamp=round(self._now.wall * 1000),
            key=line.key,
            value=line.value,
            headers=line.headers,
        )
        [decoded] = self._decoder.batch(_NOWHERE, [record], self._now)
        remarks = [f"{one.name} is not read; {one.meant} may be meant" for one in self._decoder.lookalikes()]
        if isinstance(decoded, Invalid):
            mistake = f"{decoded.reason.value}: {decoded.detail}"
            return CheckedLine(number=line.number, mistake=mistake, remarks=remarks)
        unsendable = decoded.unsendable
        if unsendable is None:
            remarks.extend(self._late(decoded.expires_at, decoded.occurred, is_resend=decoded.resend.id is not None))
        return CheckedLine(
            number=line.number,
            mistake=None if unsendable is None else f"it would be {ending_of(unsendable)[0].value}: {unsendable.value}",
            remarks=remarks,
        )

    def _late(self, expires_at: float | None, occurred: float, *, is_resend: bool) -> Iterator[str]:
        if expires_at is not None and expires_at <= self._now.wall:
            yield "it would expire: its deadline has passed"
        elif not is_resend and occurred < self._now.wall - self._max_age_seconds:
            yield "it would expire: its occurredAt is older than KAFKA__MAX_EVENT_AGE"
