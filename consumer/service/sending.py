"""What keeps us from sending, as far as the platform and operators go, in sentences with their cures. Changes nothing.

A partition that stalls for such a reason is not stuck in a task of ours, so `/healthz` does not fail for it, and
`/readyz` has to name it.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from consumer.core.pipeline import Pipeline
from consumer.core.platform.access import AccessState
from consumer.core.platform.answer import UNAVAILABLE
from consumer.core.platform.breaker import BreakerTrouble
from consumer.core.platform.holds import NOBODY, Holds
from consumer.core.platform.lately import Spell
from consumer.core.platform.post import BY_STATUS, Ruling
from consumer.core.terms import NEVER, Instant, Now, Ticks
from consumer.service.verdict import Trouble, VerdictCause, clock_of, passing_or_lasting

PATIENCE_SECONDS = 10.0
"""A platform that is away, fails or asks for a pause for less is worth knowing of, and no reason to be called."""

FRESH_SECONDS = 30.0
"""A failure is no older where events end badly one after the other, and at this moment none of them waits."""

FAILURES = 3
"""So many attempts that failed, and none accepted in between: the platform fails."""

SLOW_SECONDS = 30.0
"""A platform that answers 429 alone for less only asks campaigns to slow down."""

LIMITED_SECONDS = 5.0
"""Sends that wait for a limit for less are not worth a word."""

BLIND_SECONDS = 1.0
"""Shorter failures to read the control topic are not reported."""

CURES = {
    401: "check CAMPAIGN_API__SERVER_KEY, and that CAMPAIGN_API__URL is of the key's region",
    402: "the account's credit is used up",
    403: "check what the key's role may do, and from which addresses it may be used",
    407: "check user and password in CAMPAIGN_API__PROXY, or HTTPS_PROXY",
}
"""What to look at, by the status that lets nobody in; others are redirects: the URL leads elsewhere."""

NAMED_CAMPAIGNS = 5


def why_not_sending(pipeline: Pipeline, now: Now, *, control_trouble: str | None = None) -> Iterator[Trouble]:
    """Yield each reason why the platform, operators, or a control topic that is not read keep us from sending."""
    yield from _control_troubles(pipeline.access.holds, now, control_trouble)
    yield from _platform_troubles(pipeline, now)
    yield from _campaign_troubles(pipeline, now)
    yield from _limit_troubles(pipeline, now)
    yield from _holds(pipeline)


def waiting_events(pipeline: Pipeline) -> int:
    """Return how many events, in hand or parked, wait for a request that brings their outcome; held campaigns apart."""
    if pipeline.access.holds.of_everybody is not None:
        return 0
    lanes = pipeline.lanes.values()
    return max(0, sum(len(lane.in_hand) + lane.parked.count for lane in lanes) - held_events(pipeline))


def held_events(pipeline: Pipeline) -> int:
    """Return how many events, in hand or parked, operators hold."""
    holds = pipeline.access.holds
    held, everybody = holds.held_campaigns(), holds.of_everybody is not None
    count = 0
    for lane in pipeline.lanes.values():
        count += pipeline.stops.held_back(lane)[0]
        parked = lane.parked
        count += parked.count if everybody else sum([parked.campaigns[one] for one in parked.campaigns.keys() & held])
    return count


# ------------------------------------------------------------------------------------------------- operators


def _control_troubles(holds: Holds, now: Now, trouble: str | None) -> Iterator[Trouble]:
    """Yield why operators' holds are unknown."""
    blind = partial(
        Trouble,
        cause=VerdictCause.CONTROL_TOPIC,
        grade="bad",
        headline="the control topic cannot be read",
        unready=True,
    )
    since = holds.blind_since
    if trouble is not None:
        yield blind(since=since, sentence=f"no request starts, since the control topic cannot be read: {trouble}")
    elif not holds.was_heard:
        yield blind(
            grade="warn",
            headline="the control topic is being read",
            sentence="no request starts before the control topic is read",
        )
    elif since is not None and now.wall - since >= BLIND_SECONDS:
        yield blind(
            since=since,
            sentence=f"no request starts, since the control topic cannot be read since {clock_of(since, now)}: see the log",
        )
    unreadable = [hold for hold in holds.holds() if hold.operator == NOBODY]
    if unreadable:
        yield blind(
            headline="a record of the control topic cannot be read",
            since=unreadable[0].since,
            sentence=f"{unreadable[0].reason}; what it may hold is held: campaign-consumer campaigns list shows what",
        )


def _holds(pipeline: Pipeline) -> Iterator[Trouble]:
    """Yield what operators hold. That is their will: no probe fails for it."""
    holds = [hold for hold in pipeline.access.holds.holds() if hold.operator != NOBODY]
    if not holds:
        return
    campaigns = [hold.campaign_id for hold in holds if hold.campaign_id is not None]
    everything = len(campaigns) < len(holds)
    whose = "everything is" if everything else f"{campaigns_of(campaigns)} {'is' if len(campaigns) == 1 else 'are'}"
    why = "; ".join(dict.fromkeys(hold.reason for hold in holds[:NAMED_CAMPAIGNS]))
    yield Trouble(
        cause=VerdictCause.HOLDS,
        grade="warn",
        headline=f"{whose} held by operators",
        sentence=f"{whose} held by operators ({why}); campaign-consumer campaigns release lets them go on",
        since=holds[0].since,
        events=held_events(pipeline),
    )


# -------------------------------------------------------------------------------------------------- platform


def _platform_troubles(pipeline: Pipeline, now: Now) -> Iterator[Trouble]:
    """Yield what the platform says to everybody, the gravest first."""
    access, waiting, try_at = pipeline.access, waiting_events(pipeline), wall_of(next_try_at(pipeline, now), now)
    away = access.state(now) is AccessState.UNREACHABLE
    refuses = partial(Trouble, grade="bad", since=access.since, events=waiting, next_try_at=try_at, unready=True)
    status = pipeline.lately.refused_status
    if access.is_stopped:
        yield refuses(
            cause=VerdictCause.PLATFORM_REFUSES,
            headline=f"held back by the platform: it refuses us ({_answer(status)})",
            sentence=f"the platform refuses us ({_answer(status)}){since_of(access.since, now)}: {_cure(status)}",
        )
    elif access.turns_us_away:
        yield refuses(
            cause=VerdictCause.PLATFORM_REFUSES if _is_denial(status) else VerdictCause.FIRST_CONTACT,
            headline=f"held back by the platform: it has refused every request ({_answer(status)})",
            sentence=f"the platform has refused every request with this configuration ({_answer(status)}): check "
            "CAMPAIGN_API__URL, CAMPAIGN_API__SERVER_KEY and CAMPAIGN_API__FIELD_NAMES__*",
        )
    if away:
        yield from _unreachable(pipeline, waiting, now)
    failing = list(_failing(pipeline, waiting, now))
    yield from failing
    if access.breaker.trouble is BreakerTrouble.FAILING and not failing:
        yield _rested(pipeline, waiting, now)
    is_first = access.state(now) is AccessState.FIRST_CONTACT and not (failing or access.turns_us_away)
    if is_first and not pipeline.policies.dry_run and (pipeline.queue.queued or pipeline.queue.in_flight):
        yield Trouble(
            cause=VerdictCause.FIRST_CONTACT,
            grade="warn",
            headline="waiting for the first 2xx",
            sentence="this URL, key and field names have had no 2xx yet: one request at a time until then",
            since=access.since,
            events=waiting,
        )


def _unreachable(pipeline: Pipeline, waiting: int, now: Now) -> Iterator[Trouble]:
    access = pipeline.access
    since = access.since_at(now)
    assert since is not None
    lasts = now.wall - since >= PATIENCE_SECONDS
    yield passing_or_lasting(
        cause=VerdictCause.PLATFORM_UNREACHABLE,
        headline="held back by the platform: it cannot be reached",
        sentence=f"the platform cannot be reached since {clock_of(since, now)}: check CAMPAIGN_API__URL, DNS, TLS and "
        "the network; sending goes on by itself",
        since=since,
        events=waiting,
        next_try_at=wall_of(next_try_at(pipeline, now), now),
        lasts=lasts,
    )


def _rested(pipeline: Pipeline, waiting: int, now: Now) -> Trouble:
    """Return that most requests fail, though some are accepted."""
    breaker = pipeline.access.breaker
    policy = breaker.policy
    lasts = now.wall - breaker.since >= PATIENCE_SECONDS
    return passing_or_lasting(
        cause=VerdictCause.BREAKER,
        headline="held back by the platform: most requests fail, the breaker is open",
        sentence=f"{policy.failure_ratio:.0%} of the requests or more have failed (5xx, lost answers, no connection) within "
        f"{policy.window_seconds:.0f} s: ask who runs the platform; one real send at a time tries whether it is over",
        since=breaker.since,
        events=waiting,
        next_try_at=wall_of(next_try_at(pipeline, now), now),
        lasts=lasts,
    )


def _limit_troubles(pipeline: Pipeline, now: Now) -> Iterator[Trouble]:
    """Yield which limits let sends wait for longer than a moment."""
    queue, limits = pipeline.queue, pipeline.access.limits
    since = queue.rate_limited_since
    if since is not None and now.wall - since >= LIMITED_SECONDS:
        rates = (limits.requests_per_second, "requests"), (limits.contacts_per_second, "contacts")
        rate = " and ".join(f"{per_second:g} {what} a second" for per_second, what in rates if per_second is not None)
        yield Trouble(
            cause=VerdictCause.RATE_LIMIT,
            grade="warn",
            headline=f"held back by the limit of {rate}",
            sentence=f"sends wait for the limit of {rate} (CAMPAIGN_DELIVERY__RATE_LIMIT__*, this instance's share)",
            since=since,
            events=waiting_events(pipeline),
        )
    lately = pipeline.lately
    since = queue.squeezed_since if lately.failing(now) is None and lately.slowed(now) is None else None  # it follows
    if since is not None and now.wall - since >= LIMITED_SECONDS:
        current, maximum = limits.concurrency.current, limits.concurrency.maximum
        yield Trouble(
            cause=VerdictCause.CONCURRENCY,
            grade="warn",
            headline=f"held back by the platform: it takes {current} of {maximum} requests at once",
            sentence=f"the platform takes {current} request{'s' if current > 1 else ''} at once where {maximum} may be in "
            "flight (429, 503, or latency that grows): the limit rises again by itself as it recovers",
            since=since,
            events=waiting_events(pipeline),
        )


def _failing(pipeline: Pipeline, waiting: int, now: Now) -> Iterator[Trouble]:
    """Yield that the platform asked everybody for a pause, or answers and accepts nothing."""
    span, spell = pipeline.access.pauses.everybodys_span(now), pipeline.lately.failing(now)
    since = min([each.since for each in (span, spell) if each is not None], default=now.wall)
    lasts = now.wall - since >= PATIENCE_SECONDS
    if span is not None:
        lasts = lasts or span.until - now.wall >= PATIENCE_SECONDS
        yield passing_or_lasting(
            cause=VerdictCause.PLATFORM_PAUSES,
            headline=f"held back by the platform: {UNAVAILABLE}",
            sentence=f"the platform asked for a pause until {clock_of(span.until, now)} ({UNAVAILABLE}, Retry-After): "
            "sending goes on by itself",
            since=since,
            events=waiting,
            next_try_at=span.until,
            lasts=lasts,
        )
    elif spell is not None and (waiting or now.wall - spell.last_at <= FRESH_SECONDS):
        lasts = lasts and spell.attempts >= FAILURES
        pauses = spell.statuses == {UNAVAILABLE}
        yield passing_or_lasting(
            cause=VerdictCause.PLATFORM_PAUSES if pauses else VerdictCause.PLATFORM_FAILS,
            headline=f"held back by the platform: {_answer(spell.status)}",
            sentence=f"the platform accepts nothing since {clock_of(since, now)}: {_answers(spell)}; "
            "ask who runs it; sending goes on by itself",
            since=since,
            events=waiting,
            next_try_at=wall_of(next_try_at(pipeline, now), now),
            lasts=lasts,
        )


def _answers(spell: Spell) -> str:
    known = ", ".join(str(status) for status in sorted(filter(None, spell.statuses)))
    requests = "one request" if spell.attempts == 1 else f"{spell.attempts} requests in a row"
    if not known:
        return f"the answer{'s' if spell.attempts > 1 else ''} to {requests} got lost"
    return f"answers {known}{' or nothing' if None in spell.statuses else ''} to {requests}"


def since_of(since: Instant | None, now: Now) -> str:
    """Return since when, to be put behind what it is said of."""
    return "" if since is None else f" since {clock_of(since, now)}"


def _cure(status: int | None) -> str:
    """Return what to look at when the platform lets nobody in with this status."""
    return CURES.get(status or 0, "check CAMPAIGN_API__URL and CAMPAIGN_API__SERVER_KEY")


def _answer(status: int | None) -> str:
    return "no answer" if status is None else str(status)


def _is_denial(status: int | None) -> bool:
    if status is None:
        return False
    row = BY_STATUS.get(status)
    return status // 100 == 3 or (row is not None and row.alone is Ruling.ACCESS_REFUSED)  # noqa: PLR2004 - a redirect


def next_try_at(pipeline: Pipeline, now: Now) -> Ticks | None:
    """Return when the next request may start at the earliest, None where one is out or where time alone brings none.

    That the platform may be asked again is not enough: each send also waits for its own repeat.
    """
    return None if pipeline.queue.in_flight else pipeline.queue.next_wake_at(now)


def wall_of(at: Ticks | None, now: Now) -> Instant | None:
    """Return a tick as an instant of the wall clock, as both stand now; None for one that is unknown, or never comes."""
    return None if at is None or at == NEVER else Instant(now.wall + at - now.steady)


# ------------------------------------------------------------------------------------------------- campaigns


def _campaign_troubles(pipeline: Pipeline, now: Now) -> Iterator[Trouble]:
    """Yield what the platform says to single campaigns, though others get through."""
    yield from _throttled(pipeline, now)
    refused = [campaign_id for campaign_id in pipeline.access.refused if pipeline.queue.holds(campaign_id)]
    if refused:
        yield Trouble(
            cause=VerdictCause.CAMPAIGNS_REFUSED,
            grade="bad",
            headline=f"the platform refuses {campaigns_of(refused)}",
            sentence=f"the platform refuses {campaigns_of(refused)}, though others get through: check what the key's "
            "role may send; their events wait, and fail (retry_age) after CAMPAIGN_DELIVERY__RETRY__MAX_AGE",
            since=min(pipeline.access.refused[campaign_id].first_at for campaign_id in refused),
            events=_queued_events(pipeline, refused),
            next_try_at=wall_of(pipeline.access.next_probe_at(now), now),
            unready=True,
        )
    rejected = pipeline.lately.rejected(now)
    if rejected:
        statuses = sorted({spell.status for spell in rejected.values() if spell.status is not None})
        yield Trouble(
            cause=VerdictCause.CAMPAIGNS_REFUSED,
            grade="bad",
            headline=f"the platform rejects {campaigns_of(list(rejected))} ({', '.join(map(str, statuses))})",
            sentence=f"the platform rejects {campaigns_of(list(rejected))} ({', '.join(map(str, statuses))}), and every "
            "event of theirs with it: is each there on the platform, and enabled? Then replay",
            since=min(spell.since for spell in rejected.values()),
            events=sum(spell.settled for spell in rejected.values()),
            are_lost=True,
        )


def _throttled(pipeline: Pipeline, now: Now) -> Iterator[Trouble]:
    queue = pipeline.queue
    pauses, spells = pipeline.access.pauses.by_campaign(now), pipeline.lately.throttled(now)
    spans = {campaign_id: span for campaign_id, span in pauses.items() if queue.holds(campaign_id)}
    spells = {campaign_id: spell for campaign_id, spell in spells.items() if queue.holds(campaign_id)}
    if not spans and not spells:
        return
    campaigns = campaigns_of([*spans, *(campaign_id for campaign_id in spells if campaign_id not in spans)])
    asked = [span.until for span in spans.values() if span.until - now.wall >= PATIENCE_SECONDS]
    slowed = pipeline.lately.slowed(now)
    lasts = slowed is not None and slowed.attempts >= FAILURES and now.wall - slowed.since >= SLOW_SECONDS
    if slowed is not None and lasts and not asked:
        yield _slowed(pipeline, slowed, now)
        return
    said = f"for a pause of {campaigns} until {clock_of(max(asked), now)}" if asked else f"{campaigns} to slow down"
    yield Trouble(
        cause=VerdictCause.CAMPAIGNS_THROTTLED,
        grade="warn",
        headline=f"the platform slows down {campaigns} (429)",
        sentence=f"the platform asked {said} (429): lasting, lower CAMPAIGN_CAMPAIGNS__<id>__DELIVERY__MAX_CONCURRENCY_PER_CAMPAIGN",
        since=min([span.since for span in spans.values()] + [spell.since for spell in spells.values()]),
        events=_queued_events(pipeline, {*spans, *spells}),
        next_try_at=min([span.until for span in spans.values()], default=None),
    )


def _slowed(pipeline: Pipeline, spell: Spell, now: Now) -> Trouble:
    """Return that the platform asks everybody to slow down for so long that nothing goes out any more."""
    return Trouble(
        cause=VerdictCause.PLATFORM_PAUSES,
        grade="bad",
        headline=f"held back by the platform: {_answer(spell.status)}",
        sentence=f"the platform accepts nothing since {clock_of(spell.since, now)}: {_answers(spell)}; ask who runs it "
        "how much it takes; sending goes on by itself",
        since=spell.since,
        events=waiting_events(pipeline),
        next_try_at=wall_of(next_try_at(pipeline, now), now),
        unready=True,
    )


def _queued_events(pipeline: Pipeline, campaigns: Iterable[int]) -> int:
    """Return how many events of these campaigns wait for their turn."""
    wanted, waiting = frozenset(campaigns), pipeline.queue.waiting_events
    return sum(
        count
        for partition in pipeline.lanes
        for campaign_id, count in waiting.of(partition).items()
        if campaign_id in wanted
    )


def campaigns_of(campaigns: Sequence[int]) -> str:
    """Return campaigns in words; a crowd is counted."""
    named = ", ".join(str(campaign) for campaign in campaigns[:NAMED_CAMPAIGNS])
    more = len(campaigns) - NAMED_CAMPAIGNS
    return f"campaign{'s' if len(campaigns) > 1 else ''} {named}" + (f" and {more} more" if more > 0 else "")
