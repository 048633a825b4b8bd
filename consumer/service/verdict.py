"""How the service stands, in one sentence and one grade, from what troubles it. Pure: reads no clock and no state.

Everybody who tells people how it goes speaks from this: `/status`, `/readyz`, `/healthz`, the page, `top`, the log and
the gauges behind the alerts. `service/troubles.py` finds the troubles.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from consumer.core.terms import Instant, Now
from consumer.service.status_shape import CauseStatus, Grade, VerdictStatus
from schemas.instants import text_of


class VerdictCause(StrEnum):
    """What may be wrong. Of causes with one grade, the one that stands further up is named first."""

    STUCK = "stuck"
    """A task of ours makes no progress: what `/healthz` fails for."""
    BROKERS = "brokers"
    """No broker answers, or no leader."""
    NOT_A_MEMBER = "not_a_member"
    """The group has no place for us."""
    CONTROL_TOPIC = "control_topic"
    """Nobody knows what operators hold."""
    DRY_RUN = "dry_run"
    """`DELIVERY__DRY_RUN`: no request is made."""
    PLATFORM_UNREACHABLE = "platform_unreachable"
    """No connection, several times in a row."""
    PLATFORM_REFUSES = "platform_refuses"
    """401, 402, 403, 407 or 3xx: key, role, credit, proxy or address."""
    PLATFORM_FAILS = "platform_fails"
    """It answers 5xx or loses answers, and nothing was accepted lately."""
    BREAKER = "breaker"
    """Most of what the platform is asked fails, though some is accepted: it is given a rest."""
    PLATFORM_PAUSES = "platform_pauses"
    """503, or a `Retry-After` for everybody."""
    FIRST_CONTACT = "first_contact"
    """This configuration has had no 2xx yet."""
    PARTITIONS_STOPPED = "partitions_stopped"
    """A person must decide."""
    JOURNAL_UNSURE = "journal_unsure"
    """An append to a journal was not acknowledged."""
    RESULTS_UNACKNOWLEDGED = "results_unacknowledged"
    TEST_RECIPIENTS = "test_recipients"
    """`DELIVERY__TEST_RECIPIENTS`: nobody else is sent to."""
    STALLED = "stalled"
    """A partition makes no progress, for a reason outside of this process."""
    CAMPAIGNS_REFUSED = "campaigns_refused"
    """403 of single campaigns, or 404 and the like lately."""
    CAMPAIGNS_THROTTLED = "campaigns_throttled"
    """429 of single campaigns."""
    RATE_LIMIT = "rate_limit"
    """As much as may start in a second has started: our own limit."""
    CONCURRENCY = "concurrency"
    """The platform takes fewer requests at once than we may make."""
    URGENT_BEHIND = "urgent_behind"
    """Records of an urgent topic wait longer than immediate events may."""
    BEHIND = "behind"
    HOLDS = "holds"
    BUFFER_FULL = "buffer_full"
    DRAINING = "draining"
    STARTING = "starting"


_RANK: Mapping[VerdictCause, int] = {cause: rank for rank, cause in enumerate(VerdictCause)}

GRADE_RANK: Mapping[Grade, int] = {"good": 0, "warn": 1, "bad": 2}
"""The value of `campaign_verdict_grade`."""

RUNBOOK: Mapping[VerdictCause, str] = {
    VerdictCause.STUCK: "CampaignInstanceStuck",
    VerdictCause.BROKERS: "CampaignBrokersUnreachable",
    VerdictCause.NOT_A_MEMBER: "CampaignBrokersUnreachable",
    VerdictCause.CONTROL_TOPIC: "CampaignNotSending",
    VerdictCause.DRY_RUN: "CampaignDryRunInForce",
    VerdictCause.PLATFORM_UNREACHABLE: "CampaignPlatformUnreachable",
    VerdictCause.PLATFORM_REFUSES: "CampaignPlatformRefusesUs",
    VerdictCause.PLATFORM_FAILS: "CampaignPlatformFailing",
    VerdictCause.BREAKER: "CampaignPlatformFailing",
    VerdictCause.PLATFORM_PAUSES: "CampaignPlatformFailing",
    VerdictCause.FIRST_CONTACT: "CampaignPlatformRefusesUs",
    VerdictCause.PARTITIONS_STOPPED: "CampaignPartitionStopped",
    VerdictCause.JOURNAL_UNSURE: "CampaignJournalUnsure",
    VerdictCause.RESULTS_UNACKNOWLEDGED: "CampaignResultsNotAcknowledged",
    VerdictCause.TEST_RECIPIENTS: "CampaignDryRunInForce",
    VerdictCause.STALLED: "CampaignNotSending",
    VerdictCause.CAMPAIGNS_REFUSED: "CampaignCampaignRefused",
    VerdictCause.URGENT_BEHIND: "CampaignImmediateEventsLate",
    VerdictCause.BEHIND: "CampaignNormalEventsLate",
    VerdictCause.HOLDS: "CampaignHoldOld",
    VerdictCause.BUFFER_FULL: "CampaignBufferFull",
}
"""Headings of `deploy/RUNBOOK.md`. Nobody is paged for the other causes."""

_WHOLE = frozenset(VerdictCause) - {
    VerdictCause.TEST_RECIPIENTS,
    VerdictCause.STALLED,
    VerdictCause.CAMPAIGNS_REFUSED,
    VerdictCause.CAMPAIGNS_THROTTLED,
    VerdictCause.RATE_LIMIT,
    VerdictCause.CONCURRENCY,
    VerdictCause.URGENT_BEHIND,
    VerdictCause.BEHIND,
    VerdictCause.HOLDS,
    VerdictCause.BUFFER_FULL,
}
"""Causes that say how the service stands by themselves; beside the others, it sends."""

BARELY_SECONDS = 1.0
"""Less lateness than this is not told."""

LATE_SECONDS = 30.0
"""Normal events are to be accepted within their window and 30 s."""

VERY_LATE_SECONDS = 300.0

URGENT_LATE_SECONDS = 5.0
"""Immediate events are to be accepted within 5 s."""

URGENT_VERY_LATE_SECONDS = 30.0

EXACT_UP_TO = 120
"""Of seconds, and of minutes: what is longer is told in the next larger unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that is wrong. `headline` is for people who look, `sentence` for the one who is paged: it has the cure.

    `headline` holds words of ours alone: no error's text, because the log does not mask it.
    """

    cause: VerdictCause
    grade: Literal["warn", "bad"]
    headline: str
    sentence: str
    since: Instant | None = None
    events: int | None = None
    """Events that wait because of it, or were lost to it."""
    next_try_at: Instant | None = None
    are_lost: bool = False
    """Whether those events were rejected; else they wait."""
    unready: bool = False
    """Whether `/readyz` fails for it."""


def passing_or_lasting(
    *,
    cause: VerdictCause,
    headline: str,
    sentence: str,
    since: Instant | None,
    events: int,
    next_try_at: Instant | None = None,
    lasts: bool,
) -> Trouble:
    """Return a trouble that is worth knowing of at first, and is bad and fails `/readyz` once it lasts."""
    return Trouble(
        cause=cause,
        grade="bad" if lasts else "warn",
        headline=headline,
        sentence=sentence,
        since=since,
        events=events,
        next_try_at=next_try_at,
        unready=lasts,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the service has to do, troubles apart."""

    waiting: int
    """Events in hand without an outcome, those that operators hold apart, and records that are not read yet."""
    late_seconds: float
    """By how much the oldest of them is later than its window explains."""
    urgent_late_seconds: float | None = None
    """The same of urgent topics alone; None where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceVerdict:
    """How the service stands. `troubles` are ordered, the worst first."""

    grade: Grade
    sentence: str
    troubles: tuple[Trouble, ...] = ()

    def reasons_unready(self) -> tuple[str, ...]:
        """Return what `/readyz` fails for."""
        return tuple(trouble.sentence for trouble in self.troubles if trouble.unready)

    def reasons_stuck(self) -> tuple[str, ...]:
        """Return what `/healthz` fails for: a restart is the cure."""
        return tuple(trouble.sentence for trouble in self.troubles if trouble.cause is VerdictCause.STUCK)

    def status(self) -> VerdictStatus:
        """Return its form in `/status`: each cause once, with its worst trouble's words."""
        return {
            "grade": self.grade,
            "sentence": self.sentence,
            "causes": [_cause_status(together) for together in _by_cause(self.troubles)],
        }


def verdict_of(standing: Standing, troubles: Iterable[Trouble], now: Now) -> ServiceVerdict:
    """Return how the service stands."""
    found = [*troubles, *_lateness(standing, now)]
    ordered = tuple(sorted(found, key=lambda one: (-GRADE_RANK[one.grade], _RANK[one.cause])))
    return ServiceVerdict(
        grade=ordered[0].grade if ordered else "good",
        sentence=_sentence(standing, ordered, now),
        troubles=ordered,
    )


def _lateness(standing: Standing, now: Now) -> Iterator[Trouble]:
    urgent_late = standing.urgent_late_seconds or 0.0
    if urgent_late >= URGENT_LATE_SECONDS:
        yield Trouble(
            cause=VerdictCause.URGENT_BEHIND,
            grade="bad" if urgent_late >= URGENT_VERY_LATE_SECONDS else "warn",
            headline=f"urgent topics {span_of(urgent_late)} behind",
            sentence=f"the oldest event of the urgent topics is {span_of(urgent_late)} late: see what else is named here; "
            "where nothing is, too many events are published there for the slots, limits and instances that they have",
            since=Instant(now.wall - urgent_late),
        )
    late = standing.late_seconds
    if late < LATE_SECONDS:
        return
    yield Trouble(
        cause=VerdictCause.BEHIND,
        grade="bad" if late >= VERY_LATE_SECONDS else "warn",
        headline=f"{span_of(late)} behind",
        sentence=f"the oldest event is {span_of(late)} late, its window not counted: see what else is named here; where "
        "nothing is, look at CPU and limits, or run more instances",
        since=Instant(now.wall - late),
        events=standing.waiting,
    )


def _sentence(standing: Standing, troubles: Sequence[Trouble], now: Now) -> str:
    whole = next((trouble for trouble in troubles if trouble.cause in _WHOLE), None)
    if whole is not None:
        return _told(whole, now)
    late = standing.late_seconds
    at_work = "idle" if not standing.waiting else "sending"
    if standing.waiting and late >= BARELY_SECONDS:
        at_work = f"sending; {span_of(late)} behind"
    others = (trouble for trouble in troubles if trouble.cause is not VerdictCause.BEHIND)
    return "; ".join([at_work, *(_told(trouble, now) for trouble in others)][:2])


def _told(trouble: Trouble, now: Now) -> str:
    parts = [trouble.headline if trouble.since is None else f"{trouble.headline} since {clock_of(trouble.since, now)}"]
    if trouble.events:
        one = trouble.events == 1
        fate = "rejected" if trouble.are_lost else ("waits" if one else "wait")
        parts.append(f"{trouble.events:,} event{'' if one else 's'} {fate}")
    if trouble.next_try_at is not None:
        parts.append(f"next try in {span_of(max(0.0, trouble.next_try_at - now.wall))}")
    return ", ".join(parts)


def _by_cause(troubles: Iterable[Trouble]) -> list[list[Trouble]]:
    together: dict[VerdictCause, list[Trouble]] = {}
    for trouble in troubles:
        together.setdefault(trouble.cause, []).append(trouble)
    return list(together.values())


def _cause_status(troubles: Sequence[Trouble]) -> CauseStatus:
    first, others = troubles[0], len(troubles) - 1
    sinces = [one.since for one in troubles if one.since is not None]
    tries = [one.next_try_at for one in troubles if one.next_try_at is not None]
    counts = [one.events for one in troubles if one.events is not None]
    return {
        "cause": first.cause.value,
        "grade": first.grade,
        "sentence": first.sentence + (f" (and {others} more)" if others else ""),
        "since": text_of(min(sinces)) if sinces else None,
        "events": sum(counts) if counts else None,
        "next_try_at": text_of(min(tries)) if tries else None,
        "runbook": RUNBOOK.get(first.cause),
    }


def clock_of(at: Instant, now: Now) -> str:
    """Return an instant as people read it: the time of the day, with the date where that was not today. UTC."""
    told = datetime.fromtimestamp(at, UTC)
    is_today = told.date() == datetime.fromtimestamp(now.wall, UTC).date()
    return told.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")


def span_of(seconds: float) -> str:
    """Return seconds as people say them."""
    minutes, hours = seconds / 60.0, seconds / 3_600.0
    if seconds < EXACT_UP_TO:
        return f"{seconds:.0f} s"
    if minutes < EXACT_UP_TO:
        return f"{minutes:.0f} min"
    return f"{hours:.0f} h"
