"""A mistake is one line: which setting, which value, where it comes from, what to do. Secrets are never in it."""

import json
import traceback
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from config import ConfigurationError, Settings, load
from config.catalogue import leaves, setting_name
from config.contradictions import CONTACT_NAMES, SEND_NAMES, notes
from config.membership import REVOKE_BOUND_SECONDS, REVOKE_DRAIN_SECONDS, Membership
from config.settings import FieldNameSettings

REQUIRED = {"CAMPAIGN_API__URL": "https://eu.example.com/v2/sms/send/list", "CAMPAIGN_API__SERVER_KEY": "k-1"}
SECRET = "hush-4711"


def loaded(**more: str) -> Settings:
    return load(None, REQUIRED | {f"CAMPAIGN_{name}": value for name, value in more.items()})


def mistakes(**more: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        loaded(**more)
    return [str(mistake) for mistake in raised.value.mistakes]


def toml(value: object) -> str:
    """Return a value as TOML writes it; what it cannot write becomes a mistake of its own."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case float():
            return repr(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize(
    "name, value, problem",
    [
        ("SHUTDOWN__GRACE", "soon", 'must be a duration: seconds, or for example "250ms", "2s", "5m", "1h"'),
        ("SHUTDOWN__GRACE", "0", "must be more than 0s"),
        ("API__TIMEOUT", "6m", "must be at most 5m"),
        ("DELIVERY__EXPIRES_AFTER", "0s", "must be more than 0s"),
        ("WINDOW__DURATION", "2h", "must be at most 1h"),
        ("WINDOW__MAX_CONTACTS", "0", "must be at least 1"),
        ("WINDOW__MAX_CONTACTS", "many", "must be a whole number"),
        ("WINDOW__MAX_CONTACTS", "1.5", "must be a whole number"),
        ("WINDOW__MAX_BYTES", "10", "must be at least 1 KiB"),
        ("WINDOW__MAX_BYTES", "1 GiB", "must be at most 64 MiB"),
        ("BUFFER__MAX_BYTES", "1 KiB", "must be at least 1 MiB"),
        ("KAFKA__CREATE_TOPICS", "perhaps", "must be true or false"),
        ("KAFKA__BOOTSTRAP_SERVERS", "localhost", "must be host:port, several with commas between; an IPv6 address needs brackets"),
        ("KAFKA__BOOTSTRAP_SERVERS", "::1:9092", "must be host:port, several with commas between; an IPv6 address needs brackets"),
        ("KAFKA__BOOTSTRAP_SERVERS", "localhost:0", "must be host:port with a port from 1 to 65535"),
        ("KAFKA__EVENTS_TOPICS", "a,a", "must not name one of them twice"),
        ("KAFKA__EVENTS_TOPICS", "[]", "must not be empty, nor hold an empty item"),
        ("KAFKA__EVENTS_TOPICS", '["a"', 'must be a list: a,b or ["a", "b"]'),
        ("KAFKA__URGENT_TOPICS", "a,a", "must not name one of them twice"),
        ("KAFKA__RESULTS_TOPIC", "a b", "must be 1 to 249 of the characters A-Z a-z 0-9 . _ -"),
        ("KAFKA__JOURNAL_TOPIC", "{partition}-journal", "must be 1 to 249 of the characters A-Z a-z 0-9 . _ -"),
        ("KAFKA__GROUP_ID", " ", "must not be empty, nor begin or end with a space, nor hold control characters"),
        ("KAFKA__SECURITY_PROTOCOL", "TLS", "must be one of PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"),
        ("KAFKA__SASL_MECHANISM", "GSSAPI", "must be one of PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
        ("API__URL", "eu.example.com/v2/sms/send/list", "must begin with https:// or http:// and name a host"),
        ("API__URL", "https://eu.example.com", "must be the endpoint's whole URL with its path, for example https://eu.example.com/v2/sms/send/list"),
        ("API__URL", "http://[x", "must be a URL, for example https://eu.example.com/v2/sms/send/list"),
        ("API__FIELD_NAMES__CONTACTS", "", "must not be empty, nor begin or end with a space, nor hold control characters"),
        ("DELIVERY__ANSWERS__503", "maybe", "must be one of accepted, refused, not_delivered or unknown"),
        ("DELIVERY__ON_UNKNOWN_OUTCOME", "drop", "must be one of resend or hold"),
        ("DELIVERY__SAME_CONTACT", "newest", "must be one of separate, keep_latest or keep_first"),
        ("DELIVERY__RATE_LIMIT__REQUESTS_PER_SECOND", "0", "must be more than 0"),
        ("DELIVERY__RATE_LIMIT__CONTACTS_PER_SECOND", "many", "must be a number"),
        ("DELIVERY__RATE_LIMIT__CONTACTS_PER_SECOND", "nan", "must be a number"),
        ("DELIVERY__RATE_LIMIT__SCOPE", "world", "must be one of group or instance"),
        ("DELIVERY__BREAKER__FAILURE_RATIO", "1.5", "must be at most 1"),
        ("DELIVERY__BREAKER__MAX_OPEN_FOR", "1s", "must be at least CAMPAIGN_DELIVERY__BREAKER__OPEN_FOR (5s)"),
        ("DELIVERY__MIN_CONCURRENCY", "64", "must be at most CAMPAIGN_DELIVERY__MAX_CONCURRENCY (32)"),
        ("CAMPAIGNS__421__DELIVERY__WEIGHT", "0", "must be more than 0"),
        ("CAMPAIGNS__421__WINDOW__MAX_CONTACTS", "-1", "must be at least 1"),
        ("HTTP__PORT", "65536", "must be at most 65535"),
        ("LOG__LEVEL", "LOUD", "must be one of DEBUG, INFO, WARNING or ERROR"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_shown_with_its_source_and_what_it_must_be(name: str, value: str, problem: str) -> None:
    assert mistakes(**{name: value}) == [f"CAMPAIGN_{name}={value} (environment): {problem}"]


def test_what_is_required_and_missing_is_named() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(None, {})
    assert [str(mistake) for mistake in raised.value.mistakes] == [
        "CAMPAIGN_API__SERVER_KEY (not set): must be set: the platform's server key; secret",
        "CAMPAIGN_API__URL (not set): must be set: the whole endpoint URL",
    ]


def test_all_mistakes_are_listed_contradictions_of_sound_settings_included() -> None:
    said = mistakes(KAFKA__NAME="x", WINDOW__DURATION="x", SHUTDOWN__GRACE="5s", HTTP__PORT="x")
    assert [line.partition(" ")[0] for line in said] == [
        "CAMPAIGN_HTTP__PORT=x",
        "CAMPAIGN_KAFKA__NAME",
        "CAMPAIGN_SHUTDOWN__GRACE=5s",
        "CAMPAIGN_WINDOW__DURATION=x",
    ]


def test_a_broken_setting_is_not_blamed_a_second_time_in_a_contradiction() -> None:
    assert mistakes(API__TIMEOUT="x", SHUTDOWN__GRACE="1s") == [
        'CAMPAIGN_API__TIMEOUT=x (environment): must be a duration: seconds, or for example "250ms", "2s", "5m", "1h"'
    ]


def test_a_setting_that_is_wrong_in_several_ways_is_one_mistake() -> None:
    (said,) = mistakes(KAFKA__BOOTSTRAP_SERVERS="a,b,c:9092")
    assert said.startswith("CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS=a,b,c:9092 (environment): must be host:port")


def test_a_value_from_a_file_is_shown_as_it_stands_there(tmp_path: Path) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text("[window]\nmax_contacts = true\n[kafka]\nevents_topics = ['a', 7]\ngroup_id = 2026-11-25\n")
    with pytest.raises(ConfigurationError) as raised:
        load(file, REQUIRED)
    assert [str(mistake) for mistake in raised.value.mistakes] == [
        f'CAMPAIGN_KAFKA__EVENTS_TOPICS=["a", 7] ({file}): must be text',
        f'CAMPAIGN_KAFKA__GROUP_ID="2026-11-25" ({file}): must be text',
        f"CAMPAIGN_WINDOW__MAX_CONTACTS=true ({file}): must be a whole number",
    ]


@pytest.mark.parametrize(
    "more, expected",
    [
        ({"SHUTDOWN__GRACE": "5s"}, "CAMPAIGN_SHUTDOWN__GRACE=5s (environment): must be at least CAMPAIGN_API__TIMEOUT (10s)"),
        ({"API__TIMEOUT": "30s"}, "CAMPAIGN_SHUTDOWN__GRACE=20s (default): must be at least CAMPAIGN_API__TIMEOUT (30s)"),
        ({"DELIVERY__RETRY__MAX": "100ms"}, "CAMPAIGN_DELIVERY__RETRY__MAX=100ms (environment): must be at least CAMPAIGN_DELIVERY__RETRY__BASE (250ms)"),
        ({"CAMPAIGNS__7__DELIVERY__RETRY__BASE": "1m"}, "CAMPAIGN_CAMPAIGNS__7__DELIVERY__RETRY__BASE=1m (environment): must be at most CAMPAIGN_DELIVERY__RETRY__MAX (30s)"),
        ({"CAMPAIGNS__7__DELIVERY__RETRY__MAX": "1ms"}, "CAMPAIGN_CAMPAIGNS__7__DELIVERY__RETRY__MAX=1ms (environment): must be at least CAMPAIGN_DELIVERY__RETRY__BASE (250ms)"),
        ({"API__FIELD_NAMES__FLASH": "contacts"}, "CAMPAIGN_API__FIELD_NAMES__CONTACTS=contacts (default): must differ from CAMPAIGN_API__FIELD_NAMES__FLASH, in the same object"),
        ({"API__FIELD_NAMES__EXTERNAL_CODE": "phoneNumber"}, "CAMPAIGN_API__FIELD_NAMES__PHONE_NUMBER=phoneNumber (default): must differ from CAMPAIGN_API__FIELD_NAMES__EXTERNAL_CODE, in the same object"),
        ({"KAFKA__DEAD_LETTER_TOPIC": "campaign-send-results"}, "CAMPAIGN_KAFKA__DEAD_LETTER_TOPIC=campaign-send-results (environment): must differ from CAMPAIGN_KAFKA__RESULTS_TOPIC"),
        ({"KAFKA__RESULTS_TOPIC": "contact-events"}, "CAMPAIGN_KAFKA__RESULTS_TOPIC=contact-events (environment): must not be one of CAMPAIGN_KAFKA__EVENTS_TOPICS"),
        ({"KAFKA__URGENT_TOPICS": "otp,contact-events"}, "CAMPAIGN_KAFKA__URGENT_TOPICS=otp,contact-events (environment): must not name a topic of CAMPAIGN_KAFKA__EVENTS_TOPICS: contact-events is in both"),
        ({"KAFKA__URGENT_TOPICS": "campaign-send-results"}, "CAMPAIGN_KAFKA__RESULTS_TOPIC=campaign-send-results (default): must not be one of CAMPAIGN_KAFKA__URGENT_TOPICS"),
        ({"KAFKA__URGENT_TOPICS": "contact-events-dead-letter"}, "CAMPAIGN_KAFKA__DEAD_LETTER_TOPIC=contact-events-dead-letter (default): must not be one of CAMPAIGN_KAFKA__URGENT_TOPICS"),
        ({"KAFKA__URGENT_TOPICS": "contact-events-journal"}, "CAMPAIGN_KAFKA__JOURNAL_TOPIC={topic}-journal (default): must not give the name of another topic: contact-events-journal is in CAMPAIGN_KAFKA__URGENT_TOPICS"),
        ({"KAFKA__URGENT_TOPICS": "otp", "KAFKA__RESULTS_TOPIC": "otp-journal"}, "CAMPAIGN_KAFKA__JOURNAL_TOPIC={topic}-journal (default): must not give the name of another topic: otp-journal is in CAMPAIGN_KAFKA__RESULTS_TOPIC"),
        ({"KAFKA__URGENT_TOPICS": "otp", "KAFKA__JOURNAL_TOPIC": "journal"}, "CAMPAIGN_KAFKA__JOURNAL_TOPIC=journal (environment): must hold {topic}: each of several events topics has its own"),
        ({"KAFKA__URGENT_TOPICS": "campaign-consumer-control"}, "CAMPAIGN_KAFKA__CONTROL_TOPIC={group}-control (default): must not give the name of another topic: campaign-consumer-control is in CAMPAIGN_KAFKA__URGENT_TOPICS"),
        ({"KAFKA__EVENTS_TOPICS": "a,b", "KAFKA__JOURNAL_TOPIC": "journal"}, "CAMPAIGN_KAFKA__JOURNAL_TOPIC=journal (environment): must hold {topic}: each of several events topics has its own"),
        ({"KAFKA__JOURNAL_TOPIC": "{topic}"}, "CAMPAIGN_KAFKA__JOURNAL_TOPIC={topic} (environment): must not give the name of another topic: contact-events is in CAMPAIGN_KAFKA__EVENTS_TOPICS"),
        ({"KAFKA__JOURNAL_TOPIC": "campaign-send-results"}, "CAMPAIGN_KAFKA__JOURNAL_TOPIC=campaign-send-results (environment): must not give the name of another topic: campaign-send-results is in CAMPAIGN_KAFKA__RESULTS_TOPIC"),
        ({"KAFKA__JOURNAL_TOPIC": "{topic}-dead-letter"}, "CAMPAIGN_KAFKA__JOURNAL_TOPIC={topic}-dead-letter (environment): must not give the name of another topic: contact-events-dead-letter is in CAMPAIGN_KAFKA__DEAD_LETTER_TOPIC"),
        ({"KAFKA__SASL_USERNAME": "me"}, "CAMPAIGN_KAFKA__SASL_USERNAME=me (environment): has no use while CAMPAIGN_KAFKA__SECURITY_PROTOCOL is PLAINTEXT; set SASL_SSL or leave this out"),
        ({"KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "KAFKA__SASL_MECHANISM": "PLAIN", "KAFKA__SASL_USERNAME": "me"}, "CAMPAIGN_KAFKA__SASL_PASSWORD (not set): must be set, because CAMPAIGN_KAFKA__SECURITY_PROTOCOL is SASL_SSL"),
        ({"KAFKA__SSL_CERTFILE": __file__}, f"CAMPAIGN_KAFKA__SSL_CERTFILE={__file__} (environment): has no use while CAMPAIGN_KAFKA__SECURITY_PROTOCOL is PLAINTEXT; set SSL or SASL_SSL"),
        ({"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__SSL_CERTFILE": __file__}, f"CAMPAIGN_KAFKA__SSL_CERTFILE={__file__} (environment): must hold a certificate in PEM, and its key, without a password, here or in CAMPAIGN_KAFKA__SSL_KEYFILE"),
        ({"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__SSL_KEYFILE": __file__}, f"CAMPAIGN_KAFKA__SSL_KEYFILE={__file__} (environment): needs CAMPAIGN_KAFKA__SSL_CERTFILE beside it"),
        ({"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__SSL_CAFILE": __file__}, f"CAMPAIGN_KAFKA__SSL_CAFILE={__file__} (environment): must hold certificates in PEM"),
        ({"API__SSL_CERTFILE": __file__}, f"CAMPAIGN_API__SSL_CERTFILE={__file__} (environment): must hold a certificate in PEM, and its key, without a password, here or in CAMPAIGN_API__SSL_KEYFILE"),
        ({"API__SSL_KEYFILE": __file__}, f"CAMPAIGN_API__SSL_KEYFILE={__file__} (environment): needs CAMPAIGN_API__SSL_CERTFILE beside it"),
        ({"API__SSL_CAFILE": __file__}, f"CAMPAIGN_API__SSL_CAFILE={__file__} (environment): must hold certificates in PEM"),
        ({"API__URL": "http://localhost:8080/send", "API__SSL_KEYFILE": __file__}, f"CAMPAIGN_API__SSL_KEYFILE={__file__} (environment): has no use while CAMPAIGN_API__URL is http; make it https or leave this out"),
        ({"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__SSL_CAFILE": "/no/such.pem"}, "CAMPAIGN_KAFKA__SSL_CAFILE=/no/such.pem (environment): cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_one_another_are_one_mistake(more: dict[str, str], expected: str) -> None:
    assert mistakes(**more) == [expected]


def test_certificates_that_a_client_can_use_are_taken(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("campaign-consumer")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    issued.private_key_pem.write_to_path(tmp_path / "client.key")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    files = {"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__SSL_CAFILE": str(tmp_path / "ca.pem")}
    client = {"KAFKA__SSL_CERTFILE": str(tmp_path / "client.pem"), "KAFKA__SSL_KEYFILE": str(tmp_path / "client.key")}
    assert loaded(**files, **client).kafka.ssl_keyfile == tmp_path / "client.key"
    assert loaded(**files, KAFKA__SSL_CERTFILE=str(tmp_path / "both.pem")).kafka.ssl_keyfile is None
    (said,) = mistakes(**files, KAFKA__SSL_CERTFILE=str(tmp_path / "client.pem"))
    assert "without a password" in said
    platform = {"API__SSL_CAFILE": str(tmp_path / "ca.pem"), "API__SSL_CERTFILE": str(tmp_path / "both.pem")}
    assert loaded(**platform).api.ssl_certfile == tmp_path / "both.pem"


def test_a_key_with_a_password_is_a_mistake_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("campaign-consumer")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    key = load_pem_private_key(issued.private_key_pem.bytes(), password=None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush"))
    (tmp_path / "client.key").write_bytes(locked)
    (said,) = mistakes(
        KAFKA__SECURITY_PROTOCOL="SSL",
        KAFKA__SSL_CERTFILE=str(tmp_path / "client.pem"),
        KAFKA__SSL_KEYFILE=str(tmp_path / "client.key"),
    )
    assert "without a password" in said


def test_one_wire_name_may_stand_in_the_send_and_in_its_contacts() -> None:
    assert loaded(API__FIELD_NAMES__CUSTOM_FIELDS="originData").api.field_names.custom_fields == "originData"


def test_every_wire_name_belongs_to_the_send_or_to_a_contact() -> None:
    assert {*SEND_NAMES, *CONTACT_NAMES} == set(FieldNameSettings.model_fields)


def test_one_journal_without_the_topics_name_is_enough_for_one_events_topic() -> None:
    assert loaded(KAFKA__JOURNAL_TOPIC="our-journal").journal_topic("contact-events") == "our-journal"


@pytest.mark.parametrize(
    "name, value",
    [
        ("API__SERVER_KEY", f"ServerKey {SECRET}"),
        ("API__SERVER_KEY", f"{SECRET} x"),
        ("KAFKA__SASL_PASSWORD", SECRET),
        ("API__PROXY", f"socks5://me:{SECRET}@proxy:1080"),
        ("API__SERVERKEY", SECRET),
        ("API__SERVER_KEY__X", SECRET),
        ("API", SECRET),
        ("API__URL", f"https://me:{SECRET}@eu.example.com/send"),
        ("KAFKA__BOOTSTRAP_SERVERS", f"me:{SECRET}@kafka:9092"),
    ],
)
def test_a_secret_stands_in_no_mistake_and_in_no_traceback(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        loaded(**{name: value})
    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert SECRET not in repr(raised.value.mistakes)


def test_a_secret_does_not_show_in_the_settings_repr_or_dump() -> None:
    settings = loaded(API__SERVER_KEY=SECRET)
    assert settings.api.server_key.get_secret_value() == SECRET
    assert SECRET not in f"{settings!r}{settings}{settings.model_dump()}{settings.model_dump_json()}"


@given(
    name=st.sampled_from([setting_name(path) for path, _ in leaves(number="421")]),
    value=st.text(max_size=200),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
@example(name="CAMPAIGN_KAFKA__GROUP_ID", value=":")
def test_any_text_in_any_setting_is_a_value_or_mistakes_of_one_line_each(name: str, value: str) -> None:
    try:
        load(None, REQUIRED | {name: value})
    except ConfigurationError as error:
        said = error.mistakes
    else:
        return
    assert any(name in str(mistake) for mistake in said)
    assert all(len(str(mistake).splitlines()) == 1 for mistake in said)


@given(
    path=st.sampled_from([path for path, _ in leaves(number="421")]),
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_value_of_any_type_in_a_file_is_a_value_or_mistakes_of_one_line_each(
    path: tuple[str, ...], value: object, tmp_path: Path
) -> None:
    file = tmp_path / "campaign.toml"
    file.write_text(f"[{'.'.join(path[:-1])}]\n{path[-1]} = {toml(value)}\n", encoding="utf-8")
    try:
        load(file, REQUIRED)
    except ConfigurationError as error:
        said = error.mistakes
    else:
        return
    assert said
    assert all(str(file) in str(mistake) or setting_name(path) in str(mistake) for mistake in said)
    assert all(len(str(mistake).splitlines()) == 1 for mistake in said)


@given(name=st.text(min_size=1, max_size=60).map(lambda rest: f"CAMPAIGN_{rest}"))
def test_any_variable_of_ours_that_is_no_setting_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(None, REQUIRED | {name: "x"})
    assert all(len(str(mistake).splitlines()) == 1 for mistake in raised.value.mistakes)


def test_a_quiet_configuration_has_no_notes() -> None:
    assert list(notes(loaded(API__FIELD_NAMES__SCHEDULED_AT="scheduleAt", KAFKA__URGENT_TOPICS="otp"))) == []


@pytest.mark.parametrize(
    "more, word",
    [
        ({}, "events with send.scheduledAt are rejected (schedule_not_configured)"),
        ({"API__URL": "http://eu.example.com/send"}, "CAMPAIGN_API__URL is http, not https"),
        ({"KAFKA__BOOTSTRAP_SERVERS": "kafka:9092"}, "CAMPAIGN_KAFKA__SECURITY_PROTOCOL is PLAINTEXT"),
        ({"API__TIMEOUT": "12s"}, "longer than the 10s that a rebalance waits"),
        ({"SHUTDOWN__GRACE": "12s"}, "a shutdown may give up a slow request"),
        ({"BUFFER__MAX_EVENTS": "10"}, "no send can become full"),
        ({"DELIVERY__MAX_CONCURRENCY": "4"}, "events that are not immediate have one slot"),
        ({"KAFKA__URGENT_TOPICS": "otp", "DELIVERY__RESERVED_CONCURRENCY": "0"}, "urgent events wait for a slot"),
        ({"WINDOW__MAX_BYTES": "2 MiB", "BUFFER__MAX_BYTES": "1 MiB"}, "no send can become full"),
        ({"KAFKA__CREATE_TOPICS": "true"}, "fit for a try-out"),
        ({"KAFKA__GROUP_INSTANCE_ID": "one"}, "no other instance may have the same one"),
    ],
)
def test_what_is_allowed_and_yet_should_be_known_is_noted(more: dict[str, str], word: str) -> None:
    assert any(word in note for note in notes(loaded(**more)))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_what_stays_on_this_machine_needs_no_note_about_the_clear(host: str) -> None:
    here = loaded(API__URL=f"http://{host}:8080/send", KAFKA__BOOTSTRAP_SERVERS=f"{host}:9092")
    assert not any("clear" in note for note in notes(here))


@pytest.mark.parametrize("seconds", [3.0, 10.0, 300.0])
def test_what_a_revoke_waits_for_fits_into_the_rebalance_whatever_the_session_is(seconds: float) -> None:
    member = Membership(session_seconds=seconds)
    assert member.heartbeat_seconds <= seconds / 3
    assert REVOKE_DRAIN_SECONDS <= REVOKE_BOUND_SECONDS == 28
    bound = member.rebalance_seconds - member.session_seconds - member.heartbeat_seconds - 5.0
    assert bound == pytest.approx(REVOKE_BOUND_SECONDS)
    assert member.request_seconds > member.rebalance_seconds
