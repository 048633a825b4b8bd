"""Settings that contradict each other, and settings that deserve a note. Changes none."""

import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final
from urllib.parse import urlsplit

from config.catalogue import Path, setting_name
from config.durations import spell_duration, spell_size
from config.kinds import KAFKA_NAME, on_this_machine
from config.membership import REVOKE_DRAIN_SECONDS
from config.settings import SETTLING_SECONDS, Settings

TLS_FILES: Final = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
CONTACT_NAMES: Final = (
    "external_code",
    "phone_number",
    "country_code",
    "phone_e164",
    "custom_fields",
    "external_reference",
)
SEND_NAMES: Final = (
    "campaign_id",
    "scheduled_at",
    "flash",
    "charset",
    "send_type_override",
    "origin_data",
    "contacts",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A problem of the setting at `path`, because of those at `others`."""

    path: Path
    others: tuple[Path, ...]
    problem: str


def contradictions(settings: Settings) -> Iterator[Contradiction]:
    """Yield every contradiction between settings that are valid one by one."""
    yield from _times(settings)
    yield from _limits(settings)
    yield from _field_names(settings)
    yield from _topics(settings)
    yield from _control_topic(settings)
    yield from _security(settings)
    yield from _platform_security(settings)


def notes(settings: Settings) -> Iterator[str]:
    """Yield a note for each setting that is allowed but may do harm, the most harmful first."""
    yield from _modes(settings)
    if urlsplit(settings.api.url).scheme == "http" and not on_this_machine(urlsplit(settings.api.url).hostname or ""):
        yield "CAMPAIGN_API__URL is http, not https: the server key and the phones travel in the clear."
    brokers = [server.rpartition(":")[0].strip("[]") for server in settings.kafka.bootstrap_servers]
    if settings.kafka.security_protocol.endswith("PLAINTEXT") and not all(map(on_this_machine, brokers)):
        yield (
            f"CAMPAIGN_KAFKA__SECURITY_PROTOCOL is {settings.kafka.security_protocol}: "
            "phones travel in the clear and no broker's identity is checked."
        )
    if settings.api.field_names.scheduled_at is None:
        yield (
            "CAMPAIGN_API__FIELD_NAMES__SCHEDULED_AT is not set: events with send.scheduledAt are rejected "
            "(schedule_not_configured)."
        )
    timeout, grace = settings.api.timeout_seconds, settings.shutdown.grace_seconds
    if timeout <= grace < timeout + SETTLING_SECONDS:
        yield (
            f"CAMPAIGN_SHUTDOWN__GRACE is {spell_duration(grace)}, less than CAMPAIGN_API__TIMEOUT "
            f"({spell_duration(timeout)}) and {spell_duration(SETTLING_SECONDS)} to settle: "
            "a shutdown may give up a slow request, whose outcome is then unknown."
        )
    if timeout > REVOKE_DRAIN_SECONDS:
        yield (
            f"CAMPAIGN_API__TIMEOUT is {spell_duration(timeout)}, longer than the {spell_duration(REVOKE_DRAIN_SECONDS)} "
            "that a rebalance waits for requests in flight: a slower one's outcome is then unknown."
        )
    yield from _notes_on_room(settings)
    if settings.kafka.create_topics:
        yield "CAMPAIGN_KAFKA__CREATE_TOPICS is true: fit for a try-out; elsewhere create topics with `campaign-consumer topics`."
    if settings.kafka.group_instance_id is not None:
        yield (
            f"CAMPAIGN_KAFKA__GROUP_INSTANCE_ID is {settings.kafka.group_instance_id}: "
            "no other instance may have the same one."
        )


def _notes_on_room(settings: Settings) -> Iterator[str]:
    """Yield a note for each window without room, and for slots that leave none to most events."""
    if settings.window.max_contacts > settings.buffer.max_events:
        yield (
            f"CAMPAIGN_WINDOW__MAX_CONTACTS is {settings.window.max_contacts}, more than CAMPAIGN_BUFFER__MAX_EVENTS "
            f"({settings.buffer.max_events}): no send can become full."
        )
    if settings.window.max_bytes > settings.buffer.max_bytes:
        yield (
            f"CAMPAIGN_WINDOW__MAX_BYTES is {spell_size(settings.window.max_bytes)}, more than "
            f"CAMPAIGN_BUFFER__MAX_BYTES ({spell_size(settings.buffer.max_bytes)}): no send can become full."
        )
    delivery = settings.delivery
    if settings.kafka.urgent_topics and not delivery.reserved_concurrency:
        yield (
            "CAMPAIGN_KAFKA__URGENT_TOPICS is set and CAMPAIGN_DELIVERY__RESERVED_CONCURRENCY is 0: "
            "urgent events wait for a slot while others have them all."
        )
    if delivery.reserved_concurrency >= delivery.max_concurrency:
        yield (
            f"CAMPAIGN_DELIVERY__RESERVED_CONCURRENCY is {delivery.reserved_concurrency}, all of "
            f"CAMPAIGN_DELIVERY__MAX_CONCURRENCY ({delivery.max_concurrency}): events that are not immediate have one slot."
        )


def _modes(settings: Settings) -> Iterator[str]:
    """Yield a note for each setting under which people are left out whom events name."""
    if settings.delivery.dry_run:
        yield "CAMPAIGN_DELIVERY__DRY_RUN is true: no request is made, nobody is texted, and events settle cancelled (dry_run)."
    if settings.delivery.test_recipients:
        yield (
            f"CAMPAIGN_DELIVERY__TEST_RECIPIENTS names {len(settings.delivery.test_recipients)}: nobody else is texted, and "
            "events for others settle cancelled (not_a_test_recipient)."
        )


def _times(settings: Settings) -> Iterator[Contradiction]:
    timeout = settings.api.timeout_seconds
    if settings.shutdown.grace_seconds < timeout:
        path = ("api", "timeout")
        yield Contradiction(
            path=("shutdown", "grace"),
            others=(path,),
            problem=f"must be at least {setting_name(path)} ({spell_duration(timeout)})",
        )
    retry = settings.delivery.retry
    longest, first = ("delivery", "retry", "max"), ("delivery", "retry", "base")
    if retry.max_seconds < retry.base_seconds:
        yield _too_short(longest, first, retry.base_seconds)
    for campaign_id, campaign in settings.campaigns.items():
        effective = settings.delivery_of(campaign_id).retry
        own = campaign.delivery.retry.model_fields_set
        above = ("campaigns", str(campaign_id))
        if effective.max_seconds >= effective.base_seconds or own.isdisjoint({"base_seconds", "max_seconds"}):
            continue
        if "max_seconds" in own:
            yield _too_short(
                (*above, *longest), (*above, *first) if "base_seconds" in own else first, effective.base_seconds
            )
        else:
            problem = f"must be at most {setting_name(longest)} ({spell_duration(effective.max_seconds)})"
            yield Contradiction(path=(*above, *first), others=(longest,), problem=problem)


def _limits(settings: Settings) -> Iterator[Contradiction]:
    delivery, breaker = settings.delivery, settings.delivery.breaker
    least, most = ("delivery", "min_concurrency"), ("delivery", "max_concurrency")
    if delivery.min_concurrency > delivery.max_concurrency:
        problem = f"must be at most {setting_name(most)} ({delivery.max_concurrency})"
        yield Contradiction(path=least, others=(most,), problem=problem)
    if breaker.max_open_for_seconds < breaker.open_for_seconds:
        yield _too_short(
            ("delivery", "breaker", "max_open_for"), ("delivery", "breaker", "open_for"), breaker.open_for_seconds
        )


def _too_short(longest: Path, first: Path, first_seconds: float) -> Contradiction:
    problem = f"must be at least {setting_name(first)} ({spell_duration(first_seconds)})"
    return Contradiction(path=longest, others=(first,), problem=problem)


def _field_names(settings: Settings) -> Iterator[Contradiction]:
    names = settings.api.field_names
    for level in (SEND_NAMES, CONTACT_NAMES):
        taken: dict[str, Path] = {}
        for field in level:
            wire_name: str | None = getattr(names, field)
            if wire_name is None:
                continue
            path = ("api", "field_names", field)
            first = taken.setdefault(wire_name, path)
            if first != path:
                yield Contradiction(
                    path=path, others=(first,), problem=f"must differ from {setting_name(first)}, in the same object"
                )


def _topics(settings: Settings) -> Iterator[Contradiction]:
    kafka = settings.kafka
    events, results = ("kafka", "events_topics"), ("kafka", "results_topic")
    urgent, urgent_topics = ("kafka", "urgent_topics"), kafka.urgent_topics or ()
    dead_letters, journal = ("kafka", "dead_letter_topic"), ("kafka", "journal_topic")
    if kafka.dead_letter_topic == kafka.results_topic:
        yield Contradiction(path=dead_letters, others=(results,), problem=f"must differ from {setting_name(results)}")
    for path, name in ((results, kafka.results_topic), (dead_letters, kafka.dead_letter_topic)):
        for listed, names in ((events, kafka.events_topics), (urgent, urgent_topics)):
            if name in names:
                yield Contradiction(path=path, others=(listed,), problem=f"must not be one of {setting_name(listed)}")
    if both := set(kafka.events_topics) & set(urgent_topics):
        problem = f"must not name a topic of {setting_name(events)}: {min(both)} is in both"
        yield Contradiction(path=urgent, others=(events,), problem=problem)
    journals = Counter(settings.journal_topic(topic) for topic in dict.fromkeys(kafka.all_events_topics))
    if max(journals.values()) > 1:
        yield Contradiction(
            path=journal, others=(events,), problem="must hold {topic}: each of several events topics has its own"
        )
    for path, names in (
        (events, kafka.events_topics),
        (urgent, urgent_topics),
        (results, (kafka.results_topic,)),
        (dead_letters, (kafka.dead_letter_topic,)),
    ):
        if clash := journals.keys() & set(names):
            yield Contradiction(
                path=journal,
                others=(path, events),
                problem=f"must not give the name of another topic: {min(clash)} is in {setting_name(path)}",
            )


def _control_topic(settings: Settings) -> Iterator[Contradiction]:
    """Check that the control topic has a valid name (a group's name may not be one), and is no other topic."""
    kafka, control, group = settings.kafka, ("kafka", "control_topic"), ("kafka", "group_id")
    name = kafka.control_topic_name
    if not KAFKA_NAME.fullmatch(name):
        yield Contradiction(
            path=group,
            others=(control,),
            problem="must name the control topic with 1 to 249 of the characters A-Z a-z 0-9 . _ -: "
            f"change it, or set {setting_name(control)} without {{group}}",
        )
    taken = dict.fromkeys(kafka.urgent_topics or (), ("kafka", "urgent_topics"))
    taken |= dict.fromkeys(kafka.events_topics, ("kafka", "events_topics"))
    taken |= {settings.journal_topic(topic): ("kafka", "journal_topic") for topic in kafka.all_events_topics}
    taken |= {kafka.results_topic: ("kafka", "results_topic"), kafka.dead_letter_topic: ("kafka", "dead_letter_topic")}
    if name in taken:
        problem = f"must not give the name of another topic: {name} is in {setting_name(taken[name])}"
        yield Contradiction(path=control, others=(taken[name], group), problem=problem)


def _security(settings: Settings) -> Iterator[Contradiction]:
    kafka, protocol = settings.kafka, ("kafka", "security_protocol")
    for field in ("sasl_mechanism", "sasl_username", "sasl_password"):
        path = ("kafka", field)
        if kafka.security_protocol.startswith("SASL_"):
            if getattr(kafka, field) is None:
                yield Contradiction(
                    path=path,
                    others=(protocol,),
                    problem=f"must be set, because {setting_name(protocol)} is {kafka.security_protocol}",
                )
        elif getattr(kafka, field) is not None:
            yield _useless(path, protocol, f"{kafka.security_protocol}; set SASL_SSL or leave this out")
    if not kafka.security_protocol.endswith("SSL"):
        for field in TLS_FILES:
            if getattr(kafka, field) is not None:
                yield _useless(("kafka", field), protocol, f"{kafka.security_protocol}; set SSL or SASL_SSL")
    else:
        yield from _client_certificate("kafka", kafka.ssl_certfile, kafka.ssl_keyfile)


def _platform_security(settings: Settings) -> Iterator[Contradiction]:
    api, url = settings.api, ("api", "url")
    if urlsplit(api.url).scheme == "https":
        yield from _client_certificate("api", api.ssl_certfile, api.ssl_keyfile)
        return
    for field in TLS_FILES:
        if getattr(api, field) is not None:
            yield _useless(("api", field), url, "http; make it https or leave this out")


def _client_certificate(table: str, certfile: FilePath | None, keyfile: FilePath | None) -> Iterator[Contradiction]:
    certificate, key = (table, "ssl_certfile"), (table, "ssl_keyfile")
    if keyfile is not None and certfile is None:
        yield Contradiction(path=key, others=(certificate,), problem=f"needs {setting_name(certificate)} beside it")
    elif certfile is not None and not _is_pair(certfile, keyfile):
        problem = f"must hold a certificate in PEM, and its key, without a password, here or in {setting_name(key)}"
        yield Contradiction(path=certificate, others=(key,), problem=problem)


def _is_pair(certificate: FilePath, key: FilePath | None) -> bool:
    """Return whether certificate and key fit together; with an empty password OpenSSL does not prompt for one."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except ssl.SSLError:
        return False
    return True


def _useless(path: Path, protocol: Path, cure: str) -> Contradiction:
    return Contradiction(path=path, others=(protocol,), problem=f"has no use while {setting_name(protocol)} is {cure}")
