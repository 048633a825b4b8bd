"""From the options of `replay plan` to what is planned: points in time, criteria, limits. Reads files, no topic."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

import click

from config import Settings
from consumer.cli.main import MISUSED, Failure
from consumer.cli.points import point_of
from consumer.cli.wiring import field_names
from consumer.core.people import People
from consumer.core.terms import Now
from consumer.lookup.points import LogPoint
from consumer.replay.criteria import DEFAULT_STATUSES, Criteria, hash_of
from consumer.replay.document import Selection
from consumer.replay.ranges import PlanQuestion
from consumer.replay.sealing import Frame, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options, as they were given."""

    since: str | None
    until: str | None
    topics: tuple[str, ...]
    partitions: tuple[int, ...]
    campaigns: tuple[int, ...]
    event_types: tuple[str, ...]
    events: tuple[str, ...]
    event_files: tuple[TextIO, ...]
    contacts: tuple[str, ...]
    exclude_files: tuple[TextIO, ...]
    statuses: tuple[str, ...]
    include_accepted: bool
    only_skipped: bool
    only_dead_letters: bool
    reason_contains: str | None
    extend_expiry: float | None


def question_of(settings: Settings, asked: Asked, now: Now) -> tuple[PlanQuestion, Selection]:
    """Return what is to be planned, and the same as the plan says it.

    Raises:
        Failure: a topic is not one of the service's.
        click.UsageError: it contradicts itself.
    """
    kafka, topics = settings.kafka, tuple(dict.fromkeys(asked.topics))
    unknown = sorted(set(topics) - set(kafka.all_events_topics))
    if unknown:
        message = (
            f"--topic {unknown[0]}: CAMPAIGN_KAFKA__EVENTS_TOPICS and CAMPAIGN_KAFKA__URGENT_TOPICS have no such topic "
            f"({', '.join(kafka.all_events_topics)})"
        )
        raise Failure(message, MISUSED)
    topics = topics or tuple(kafka.all_events_topics)
    since, until = (_point(text, now) for text in (asked.since, asked.until))
    by_offset = since.offset is not None or until.offset is not None
    if by_offset and (len(topics), len(set(asked.partitions))) != (1, 1):
        raise click.UsageError("an offset says something in one partition alone: name it with --topic and --partition")
    in_files, excluded = _lines(asked.event_files, "--events"), _lines(asked.exclude_files, "--exclude")
    _check_text((*asked.events, *asked.contacts))
    criteria = Criteria(
        campaigns=frozenset(asked.campaigns),
        event_types=frozenset(asked.event_types),
        events=frozenset(map(hash_of, (*asked.events, *in_files))),
        contacts=People(asked.contacts),
        excluded_events=frozenset(map(hash_of, excluded)),
        excluded_people=People(excluded),
        statuses=frozenset(asked.statuses or DEFAULT_STATUSES),
        invalid=asked.only_dead_letters,
        field_names=field_names(settings),
    )
    question = PlanQuestion(
        journals={topic: settings.journal_topic(topic) for topic in topics},
        results=kafka.results_topic,
        dead_letters=kafka.dead_letter_topic,
        partitions=frozenset(asked.partitions),
        since=since,
        until=until,
        criteria=criteria,
        only_skipped=asked.only_skipped,
        only_dead_letters=asked.only_dead_letters,
        reason_contains=asked.reason_contains or "",
        extend_expiry_seconds=asked.extend_expiry,
        exclusions=excluded,
    )
    return question, _selection(asked, topics, events_in_files=len(in_files), excluded=len(excluded))


def _selection(asked: Asked, topics: tuple[str, ...], *, events_in_files: int, excluded: int) -> Selection:
    return Selection(
        since=asked.since,
        until=asked.until,
        topics=topics,
        partitions=asked.partitions,
        campaigns=asked.campaigns,
        event_types=asked.event_types,
        events=asked.events,
        events_in_files=events_in_files,
        contacts=len(asked.contacts),
        excluded=excluded,
        statuses=asked.statuses or DEFAULT_STATUSES,
        include_accepted=asked.include_accepted,
        skipped=asked.only_skipped,
        dead_letters=asked.only_dead_letters,
        reason_contains=asked.reason_contains,
        extend_expiry_seconds=asked.extend_expiry,
    )


def _point(text: str | None, now: Now) -> LogPoint:
    return (None if text is None else point_of(text, now=now.wall)) or LogPoint()


def _check_text(values: Iterable[str]) -> None:
    """Refuse what a shell has handed on without being text: it would match nothing."""
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        raise click.UsageError("--event and --contact: not UTF-8") from None


def _lines(files: tuple[TextIO, ...], option: str) -> list[str]:
    """Return the lines of files that are not blank."""
    try:
        lines = [line.strip() for file in files for line in file]
    except UnicodeDecodeError:
        raise click.UsageError(f"{option}: not UTF-8") from None
    found = [line for line in lines if line]
    if files and not found:
        raise click.UsageError(f"{option}: there is nothing in it")
    return found


def frame_of(settings: Settings, selection: Selection, now: Now, rate: float | None) -> Frame:
    """Return what a plan says beside what was found."""
    return Frame(
        group=settings.kafka.group_id,
        results_topic=settings.kafka.results_topic,
        selection=selection,
        made_at=now.wall,
        rate=rate,
        limits=_limits(settings, None),
        limits_of=lambda campaign_id: _limits(settings, campaign_id),
    )


def _limits(settings: Settings, campaign_id: int | None) -> Limits:
    """Return what bounds a campaign, or all of them together."""
    window = settings.window if campaign_id is None else settings.window_of(campaign_id)
    limit = (settings.delivery if campaign_id is None else settings.delivery_of(campaign_id)).rate_limit
    return Limits(
        requests_per_second=_number(limit.requests_per_second),
        contacts_per_second=_number(limit.contacts_per_second),
        max_contacts=window.max_contacts,
    )


def _number(limit: object) -> float | None:
    """A limit, where there is one in this version."""
    return float(limit) if isinstance(limit, (int, float)) else None
