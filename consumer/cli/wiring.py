"""Turns settings into the values that core and edge need. Checks nothing: `config` has checked them."""

import ssl
from collections.abc import Mapping
from dataclasses import astuple
from hashlib import pbkdf2_hmac
from urllib.parse import urlsplit

import orjson

from config import Settings
from config.delivery import BreakerSettings, RateLimitSettings
from consumer.core.policy import (
    BreakerPolicy,
    CampaignPolicy,
    Meaning,
    OnUnknown,
    Policies,
    RatePolicy,
    SameContact,
    WireNames,
)
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.topics import Expectations
from consumer.edge.platform.tls import tls_context
from consumer.traffic.connection import connection_of


def policies(settings: Settings) -> Policies:
    """Return the settings that the core needs."""
    return Policies(
        default=_campaign_policy(settings, None),
        campaigns={campaign_id: _campaign_policy(settings, campaign_id) for campaign_id in settings.campaigns},
        field_names=field_names(settings),
        configuration=fingerprint(settings),
        max_concurrency=settings.delivery.max_concurrency,
        min_concurrency=settings.delivery.min_concurrency,
        adaptive_concurrency=settings.delivery.adaptive_concurrency,
        reserved_concurrency=settings.delivery.reserved_concurrency,
        rate=_rates(settings.delivery.rate_limit),
        rates_of_group=settings.delivery.rate_limit.scope == "group",
        breaker=_breaker(settings.delivery.breaker),
        dry_run=settings.delivery.dry_run,
        test_recipients=tuple(one.get_secret_value() for one in settings.delivery.test_recipients or ()),
        urgent_topics=frozenset(settings.kafka.urgent_topics or ()),
        max_event_age_seconds=settings.kafka.max_event_age_seconds,
        max_ahead=settings.kafka.max_ahead,
        read_ahead=settings.kafka.read_ahead,
        buffer_max_events=settings.buffer.max_events,
        buffer_max_bytes=settings.buffer.max_bytes,
        deduplication_ttl_seconds=settings.deduplication.ttl_seconds,
        deduplication_max_entries=settings.deduplication.max_entries,
    )


FINGERPRINT_ROUNDS = 100_000
"""Some 30 ms, once. The hash is in the journal, and its readers must not be able to try keys by the million."""


def fingerprint(settings: Settings) -> str:
    """Return a slow, salted hash of URL, key and field names, which identifies this configuration of the platform.

    It is written to the journal. The key cannot be derived from it. Another group or URL with the same key has another hash.
    """
    names = orjson.dumps(astuple(field_names(settings)))
    salt = orjson.dumps(["campaign-consumer", settings.kafka.group_id, settings.api.url]) + names
    key = settings.api.server_key.get_secret_value().encode()
    return pbkdf2_hmac("sha256", key, salt, FINGERPRINT_ROUNDS, dklen=16).hex()


def field_names(settings: Settings) -> WireNames:
    """Return the platform's wire names."""
    names = settings.api.field_names
    return WireNames(
        campaign_id=names.campaign_id,
        scheduled_at=names.scheduled_at,
        flash=names.flash,
        charset=names.charset,
        send_type_override=names.send_type_override,
        origin_data=names.origin_data,
        contacts=names.contacts,
        external_code=names.external_code,
        phone_number=names.phone_number,
        country_code=names.country_code,
        phone_e164=names.phone_e164,
        custom_fields=names.custom_fields,
        external_reference=names.external_reference,
    )


def kafka_connection(settings: Settings) -> KafkaConnection:
    """Return the brokers' addresses and our credentials."""
    return connection_of(settings.kafka)


def expectations(settings: Settings) -> Expectations:
    """Return the topics that must exist."""
    kafka = settings.kafka
    return Expectations(
        journals={topic: settings.journal_topic(topic) for topic in kafka.all_events_topics},
        urgent=frozenset(kafka.urgent_topics or ()),
        results=kafka.results_topic,
        dead_letter=kafka.dead_letter_topic,
        control=kafka.control_topic_name,
    )


def platform_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return what the platform is spoken to with over TLS; None where its URL is http."""
    api = settings.api
    if urlsplit(api.url).scheme != "https":
        return None
    return tls_context(cafile=api.ssl_cafile, certfile=api.ssl_certfile, keyfile=api.ssl_keyfile)


def _campaign_policy(settings: Settings, campaign_id: int | None) -> CampaignPolicy:
    """Return a campaign's policy; None: that of campaigns without settings of their own."""
    window = settings.window if campaign_id is None else settings.window_of(campaign_id)
    delivery = settings.delivery if campaign_id is None else settings.delivery_of(campaign_id)
    own = None if campaign_id is None else settings.campaigns[campaign_id].delivery.rate_limit
    return CampaignPolicy(
        window_seconds=window.duration_seconds,
        max_contacts=window.max_contacts,
        max_bytes=window.max_bytes,
        expires_after_seconds=delivery.expires_after_seconds,
        on_unknown=OnUnknown(delivery.on_unknown_outcome),
        max_concurrency=delivery.max_concurrency_per_campaign,
        weight=delivery.weight,
        rate=RatePolicy() if own is None else _rates(own),
        same_contact=SameContact(delivery.same_contact),
        check_numbers=delivery.check_numbers,
        max_attempts=delivery.retry.max_attempts,
        max_age_seconds=delivery.retry.max_age_seconds,
        backoff_base_seconds=delivery.retry.base_seconds,
        backoff_max_seconds=delivery.retry.max_seconds,
        lost_answer_repeats=delivery.retry.lost_answer_repeats,
        answers=_answers(delivery.answers),
    )


def _answers(answers: Mapping[int, str]) -> Mapping[int, Meaning]:
    return {status: Meaning(meaning) for status, meaning in answers.items()}


def _rates(limit: RateLimitSettings) -> RatePolicy:
    return RatePolicy(requests_per_second=limit.requests_per_second, contacts_per_second=limit.contacts_per_second)


def _breaker(settings: BreakerSettings) -> BreakerPolicy:
    return BreakerPolicy(
        failure_ratio=settings.failure_ratio,
        min_requests=settings.min_requests,
        window_seconds=settings.window_seconds,
        open_seconds=settings.open_for_seconds,
        max_open_seconds=settings.max_open_for_seconds,
    )
