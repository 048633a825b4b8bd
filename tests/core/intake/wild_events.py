"""Contact events as Hypothesis makes them up: valid, nearly valid, and bytes that were JSON once. Decodes nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from consumer.core.terms import Instant, Now, Partition, Ticks

NOW: Final = Now(wall=Instant(1_795_534_819.25), steady=Ticks(77.5))  # 2026-11-24T15:40:19.250Z
PARTITION: Final = Partition("contact-events", 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class WildRecord:
    """A fetched record."""

    value: bytes | None
    key: bytes | None = b"customer-1"
    headers: Sequence[tuple[str, bytes]] = ()
    offset: int = 1842
    timestamp: int = 1_795_534_819_000


def plain_event(**changes: object) -> dict[str, Any]:
    """The contract's example, with some members changed; a member that is `...` is left out."""
    event: dict[str, Any] = {
        "eventId": "0198f7c0-6b7e-7cc2-9d3d-2f2f9a7c1234",
        "eventType": "order.shipped",
        "occurredAt": "2026-11-24T15:40:19Z",
        "campaignId": 421,
        "contact": {"phoneE164": "+34600111222", "customFields": {"orderId": "A-99812"}},
    }
    event |= changes
    return {name: value for name, value in event.items() if value is not ...}


def json_bytes(document: object) -> bytes:
    """A document as JSON."""
    return json.dumps(document, ensure_ascii=False).encode()


TEXT: Final = st.text(max_size=12)
IDENTIFIER: Final = st.text(min_size=1, max_size=128)
OFFSETS: Final = st.sampled_from(["Z", "z", "+00:00", "-00:00", "+02:00", "-03:30", "+23:59"])
INSTANTS: Final = st.builds(
    lambda moment, fraction, offset: f"{moment:%Y-%m-%dT%H:%M:%S}".zfill(19) + fraction + offset,
    st.datetimes(),
    st.sampled_from(["", ".1", ".123", ".123456", ".123456789", "." + "9" * 32]),
    OFFSETS,
)
SCALARS: Final = (
    TEXT
    | st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e18, max_value=1e18)
)
NESTED: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
PHONES: Final = st.from_regex(r"\+[0-9]{7,15}", fullmatch=True)


def _optional(fields: dict[str, st.SearchStrategy[Any]]) -> dict[str, st.SearchStrategy[Any]]:
    return {name: st.none() | strategy for name, strategy in fields.items()}


CONTACTS: Final = st.fixed_dictionaries(
    {},
    optional=_optional(
        {
            "phoneE164": PHONES,
            "phoneNumber": st.text(min_size=1, max_size=15) | st.from_regex(r"[0-9 ().+-]{1,15}", fullmatch=True),
            "countryCode": st.from_regex(r"[0-9]{1,3}", fullmatch=True),
            "externalCode": st.text(min_size=1, max_size=12),
            "customFields": st.dictionaries(TEXT, SCALARS, max_size=4),
            "externalReference": TEXT,
        }
    ),
).filter(lambda contact: any(contact.get(name) for name in ("phoneE164", "phoneNumber", "externalCode")))
SENDS: Final = st.fixed_dictionaries(
    {},
    optional=_optional(
        {
            "scheduledAt": st.sampled_from(
                ["2026-11-24T18:00:00Z", "2026-11-24T12:00:00+01:00", "2030-01-01T00:00:00.5Z"]
            ),
            "flash": st.booleans(),
            "charset": st.sampled_from(["auto", "standard", "spanish"]),
            "sendTypeOverride": st.sampled_from(["list", "all"]),
            "originData": st.dictionaries(TEXT, SCALARS, max_size=3) | st.dictionaries(TEXT, NESTED, max_size=3),
        }
    ),
)
VALID_EVENTS: Final = st.fixed_dictionaries(
    {
        "eventId": IDENTIFIER,
        "eventType": IDENTIFIER,
        "occurredAt": INSTANTS,
        "campaignId": st.integers(1, 2**63 - 1) | st.sampled_from([1, 421, 2**63 - 1]),
        "contact": CONTACTS,
    },
    optional=_optional(
        {
            "send": SENDS,
            "expiresAt": st.just("2031-01-01T00:00:00Z"),
            "priority": st.sampled_from(["normal", "immediate"]),
            "traceId": NESTED,  # nobody knows it
        }
    ),
)

ODD_VALUES: Final = NESTED | st.sampled_from(
    [
        0, -1, True, 1.0, 421.0, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, "", " ", "1", "x" * 128, "x" * 129,
        "\N{GRINNING FACE}" * 128, "+34600111222\n", "+3460011122\N{ARABIC-INDIC DIGIT TWO}", "+1234567", "+123456",
        "+0034600111222", "+0000000", "34600111222", "034", "3a", "2026-11-24", "2026-11-24T15:40:19", "2026-11-24 15:40:19Z",
        "2026-11-24T24:00:00Z", "2026-02-29T00:00:00Z", "2016-12-31T23:59:60Z", "2026-11-24T15:40:19.Z", "2026-W48-2T15:40:19Z",
        "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2026-11-24T15:40:19,5Z", "20261124T154019Z", "immediate",
    ]
)  # fmt: skip
FIELDS: Final = st.sampled_from(
    [
        ("eventId",), ("eventType",), ("occurredAt",), ("campaignId",), ("contact",), ("send",), ("expiresAt",),
        ("priority",), ("contact", "phoneE164"), ("contact", "phoneNumber"), ("contact", "countryCode"),
        ("contact", "externalCode"), ("contact", "customFields"), ("contact", "customFields", "x"),
        ("contact", "externalReference"), ("contact", "unknown"), ("send", "scheduledAt"), ("send", "flash"),
        ("send", "charset"), ("send", "sendTypeOverride"), ("send", "originData"), ("send", "originData", "x"),
    ]
)  # fmt: skip


@st.composite
def nearly_valid_events(draw: st.DrawFn) -> dict[str, Any]:
    """An event with one or two members replaced by something odd, or gone."""
    event = draw(VALID_EVENTS)
    for *path, last in draw(st.lists(FIELDS, min_size=1, max_size=2)):
        holder: Any = event
        for name in path:
            inner = holder.get(name)
            holder = holder.setdefault(name, {}) if isinstance(inner, dict) else holder
            holder = inner if isinstance(inner, dict) else holder
        holder[last] = draw(ODD_VALUES)
        if draw(st.booleans()) and draw(st.booleans()):
            del holder[last]
    return event


SHARDS: Final = st.sampled_from(
    [
        b"NaN", b"-Infinity", b"1e400", b"-1e400", b"9" * 400, b"9" * 5000, b"18446744073709551616", b"01", b"-0", b"1.0",
        b"1e2", b"\\ud800", b"\\udc00\\ud800", b"\\ud83d\\ude00", b"\\u0000", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf",
        b"\x00", b"\x01", b"\x7f", b" \n\t\r", b"\x0b", b'"', b"\\", b",", b":", b"{", b"}", b"[", b"]", b"[" * 1100,
        b'{"a":' * 1100, b"[" * 600 + b"]" * 600, b"true", b"null", b'"eventId":"again",', b'"eventId":1,',
        b'"x":1e400,', b'"x":[1,{"y":"\\ud800"}],', b'"contact":{"externalCode":"c"},', b'"send":{"originData":{"a":1e400}},',
        b'"send":null,', b'"campaignId":7,', b'"\\u0065ventId":"z",', b"/**/", b"'",
    ]
)  # fmt: skip


@st.composite
def broken_texts(draw: st.DrawFn) -> bytes:
    """The bytes of an event after an accident or two."""
    document = draw(VALID_EVENTS | nearly_valid_events())
    text = json.dumps(document, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))).encode(
        errors="surrogatepass"
    )
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        until = min(len(text), at + draw(st.sampled_from([0, 0, 0, 1, 1, 5])))
        text = text[:at] + draw(SHARDS | st.binary(max_size=3)) + text[until:]
    return text


@st.composite
def doubled_members(draw: st.DrawFn) -> bytes:
    """Two events in one object: every member may stand twice, of which the last counts."""
    first, second = draw(VALID_EVENTS | nearly_valid_events()), draw(VALID_EVENTS)
    shard = draw(st.just(b"") | SHARDS)
    return json.dumps(first).encode()[:-1] + b"," + shard + json.dumps(second).encode()[1:]
