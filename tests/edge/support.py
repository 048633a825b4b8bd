"""What the tests of `edge` share: a clock that is set by hand, a status. Owns no assertion."""

import json
from io import StringIO

from consumer.core.event import Event
from consumer.core.outcome import Reason, Status
from consumer.core.terms import Instant, Now, Offset, Partition, SendId, Ticks
from consumer.edge.telemetry import log
from consumer.edge.telemetry.campaign_labels import CampaignLabels
from consumer.edge.telemetry.send_telemetry import SendLines
from consumer.edge.telemetry.telemetry import Telemetry
from consumer.service.facts import Priority, RequestAttempt
from consumer.service.status_shape import (
    AcceptanceStatus,
    AccessStatus,
    BufferStatus,
    FailureStatus,
    HoldStatus,
    LagParts,
    LimitsStatus,
    PartitionStatus,
    ServiceStatus,
    VerdictStatus,
)
from tests.core.makers import make_event

P3 = Partition("contact-events", 3)
FAILURE: FailureStatus = {
    "at": "2026-11-24T15:40:20.125+00:00",
    "send_id": "0198f7c06b7e7cc29d3d2f2f9a7c1234",
    "campaign": "421",
    "contacts": 12,
    "answer": "not_delivered",
    "status": 503,
    "message": "try later",
}
AMONG = (Offset(100), Offset(599))
"""The first and the last record of a fetched batch."""


class HandClock:
    """A clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> Now:
        return Now(Instant(1_790_000_000 + self.seconds), Ticks(self.seconds))


class Lines:
    """Log lines as they reach a file, in JSON unless another format is asked for."""

    def __init__(self, level: str = "INFO", *, format_: log.Format = "json") -> None:
        self.stream = StringIO()
        log.configure(format_, level, stream=self.stream)

    def text(self) -> str:
        """Return what was written since the last call."""
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        return text

    def taken(self) -> list[dict[str, object]]:
        """Return the lines since the last call."""
        return [json.loads(line) for line in self.text().splitlines()]


def telemetry(
    clock: HandClock | None = None,
    *,
    campaigns: tuple[int, ...] = (),
    places: int = 1,
    sends: SendLines = SendLines.AT_DEBUG,
) -> Telemetry:
    labels = CampaignLabels(places=places, own=campaigns)
    return Telemetry(clock=clock or HandClock(), version="1.2.3", campaigns=labels, sends=sends)


def events(count: int, *, campaign: int = 421) -> list[Event]:
    """Events of one partition, from offset 100 on."""
    return [make_event(100 + number, partition=P3, campaign=campaign) for number in range(count)]


def request(
    campaign: int = 421, *, contacts: int = 1, priority: Priority = Priority.NORMAL, members: list[Event] | None = None
) -> RequestAttempt:
    """The second attempt of a send."""
    members = events(contacts, campaign=campaign) if members is None else members
    return RequestAttempt(send_id=SendId("5e9d"), campaign_id=campaign, attempt=2, priority=priority, members=members)


def settle(
    told: Telemetry, status: Status, reason: Reason | None = None, *, count: int = 1, campaign: int = 421
) -> None:
    """Tell of so many outcomes."""
    told.results_settled(
        status=status,
        reason=reason,
        campaign_id=campaign,
        send_id=SendId("5e9d"),
        records=events(count, campaign=campaign),
    )


def accept(told: Telemetry, sent: RequestAttempt, *delays_seconds: float) -> None:
    """Tell of an accepted request; its events occurred a second before they arrived."""
    told.accepted(
        sent,
        accepted_at=HandClock().now().wall,
        delays_seconds=delays_seconds,
        event_delays_seconds=[delay + 1 for delay in delays_seconds],
    )


def doubled(told: Telemetry, *, count: int = 1, campaign: int = 421) -> None:
    """Tell of so many texts that may have gone out twice."""
    told.possible_duplicates(campaign_id=campaign, send_id=SendId("5e9d"), records=events(count, campaign=campaign))


def lag_parts(lag: int, *, times: int = 1) -> LagParts:
    return {
        "backlog": times * (lag - 3),
        "parked": 0,
        "in_window": 0,
        "queued": times,
        "in_flight": times,
        "blocked": 0,
        "settling": times,
    }


def partition_status(number: int, *, lag: int | None = 5) -> PartitionStatus:
    return {
        "topic": "contact-events",
        "partition": number,
        "urgent": False,
        "state": "owned",
        "committed": 10,
        "watermark": 12,
        "position": 15,
        "log_end": 17,
        "lag": lag,
        "lag_parts": None if lag is None else lag_parts(lag),
        "lag_seconds": None if lag is None else 4.5,
        "held": 3,
        "paused": number == 1,
        "why": None,
    }


VERDICT: VerdictStatus = {
    "grade": "warn",
    "sentence": "sending; campaign 421 is held by operators since 15:40:19, 3 events wait",
    "causes": [
        {
            "cause": "holds",
            "grade": "warn",
            "sentence": "campaign 421 is held by operators (wrong template)",
            "since": "2026-11-24T15:40:19.000Z",
            "events": 3,
            "next_try_at": None,
            "runbook": "CampaignHoldOld",
        }
    ],
}


HOLD: HoldStatus = {
    "campaignId": 421,
    "reject": False,
    "reason": "wrong template",
    "operator": "anna",
    "since": "2026-11-24T15:40:19.000Z",
}
ACCESS: AccessStatus = {
    "state": "open",
    "since": "2026-11-24T15:40:19Z",
    "why": None,
    "refused_campaigns": ["421"],
    "refused_count": 1,
    "refused_seconds": {"421": 61.5},
    "next_probe_in_seconds": None,
}
ACCEPTANCE: AcceptanceStatus = {"bounds": [0.5, 5.0], "normal": [3, 2, 1], "immediate": [1, 0, 0]}
BUFFER: BufferStatus = {
    "events": 6,
    "bytes": 2048,
    "max_events": 100_000,
    "max_bytes": 268_435_456,
    "parked": 40_000,
    "parked_ranges": 3,
    "reads_past": True,
    "bounded_partitions": 2,
}
LIMITS: LimitsStatus = {
    "concurrency": 24,
    "requests_per_second": 12.5,
    "contacts_per_second": None,
    "max_concurrency": 32,
    "max_concurrency_per_campaign": 8,
}


def status(partitions: int = 2) -> ServiceStatus:
    return {
        "version": "1.2.3",
        "group": "campaign-consumer",
        "member": "aiokafka-0.14.0-f3a1",
        "uptime_seconds": 61.5,
        "state": "running",
        "verdict": VERDICT,
        "lag": 5 * partitions,
        "lag_parts": lag_parts(5, times=partitions),
        "lag_seconds": 4.5,
        "urgent_late_seconds": 1.5,
        "oldest": {"in_window": None, "queued": 2.5, "in_flight": 0.1, "blocked": None, "settling": 0.2},
        "waiting": [
            {
                "campaign": "421",
                "events": 2,
                "parked": 900,
                "oldest_seconds": 2.5,
                "why": "slot",
                "next_try_in_seconds": None,
            }
        ],
        "windows": [],
        "requests": [],
        "partitions": [partition_status(number) for number in range(partitions)],
        "windows_open": 4,
        "sends": {"queued": 2, "in_flight": 7, "in_flight_by_campaign": {str(2**63 - 1): 7}},
        "holds": {"holds": [HOLD], "cancellations": []},
        "access": ACCESS,
        "buffer": BUFFER,
        "breaker": {"state": "closed", "until": None},
        "limits": LIMITS,
        "modes": {"dry_run": True, "test_recipients": 3},
        "results": {"accepted": 100},
        "deduplication": {"entries": 106, "effective_window_seconds": 3600.0},
        "ages": {"commit": 0.4, "checkpoint": 4.2, "hold": 86_400.5, "parked": 75.25},
        "failures": [FAILURE],
        "acceptance": ACCEPTANCE,
        "totals": {"records_read": 110, "requests": 9, "contacts_accepted": 100, "results": 106},
        "retention_seconds": {"contact-events": 604_800.0},
    }
