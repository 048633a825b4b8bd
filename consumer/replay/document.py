"""A plan as a value and as one JSON document: what is to be sent again, and what that would do. Reads no topic.

Nothing personal stands in it: no phone, no code, no record. Its structs write and check themselves as JSON in camelCase.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import orjson

from consumer.replay.coding import BadCodingError, PlannedPartition

VERSION: Final = 1
RESEND_PREFIX: Final = "replay-"
_RESEND_DIGITS: Final = 32


class NotAPlanError(ValueError):
    """A document that is no plan, or none any more; the message is one line."""


class _Camel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Members are written in camelCase, as everything that scripts read."""


class Counts(_Camel, frozen=True, kw_only=True):
    """What a resend would do, in records. `selected` is the sum of all up to and with `would_send`."""

    selected: int = 0
    already_accepted: int = 0
    """Accepted, by their own request or by that of an earlier resend."""
    in_doubt: int = 0
    unsettled: int = 0
    """Without an outcome yet."""
    expired: int = 0
    """Their deadline has passed, and the plan gives no other."""
    repeated: int = 0
    """Records of an event that another selected record stands for."""
    invalid: int = 0
    excluded: int = 0
    would_send: int = 0
    people: int = 0
    """Distinct people among those that would be sent."""
    second_texts: int = 0
    """Of these people, those who would have more than one text of the campaign then."""


class CampaignCounts(Counts, frozen=True, kw_only=True):
    """The same of one campaign; None gathers records whose campaign cannot be read."""

    campaign_id: int | None


class Selection(_Camel, frozen=True, kw_only=True):
    """What was asked for, as it was given. People, and what files hold, are told by their number alone."""

    since: str | None = msgspec.field(name="from", default=None)
    until: str | None = msgspec.field(name="to", default=None)
    topics: tuple[str, ...] = ()
    partitions: tuple[int, ...] = ()
    campaigns: tuple[int, ...] = ()
    event_types: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    events_in_files: int = 0
    contacts: int = 0
    excluded: int = 0
    statuses: tuple[str, ...] = ()
    include_accepted: bool = False
    skipped: bool = False
    dead_letters: bool = False
    reason_contains: str | None = None
    extend_expiry_seconds: float | None = None


class Ends(_Camel, frozen=True, kw_only=True):
    """Where the partitions of a topic ended when the plan was made: the end of partition 0, of 1, and so on."""

    topic: str
    ends: tuple[int, ...]


class Cost(_Camel, frozen=True, kw_only=True):
    """How long a resend would take, in seconds."""

    rate: float | None
    """Records a second that were asked for; None: as fast as the brokers take them."""
    publishing_seconds: float | None
    """Of `replay run` at that rate."""
    requests: int
    """That the service needs at least."""
    sending_seconds: float | None
    """Of the service at its present limits; None where nothing limits it."""


class Plan(_Camel, frozen=True, kw_only=True):
    """A plan, made and sealed."""

    version: int
    digest: str
    """SHA-256 over the exact set of records and how they are changed."""
    resend_id: str
    cluster_id: str
    group: str
    made_at: str
    selection: Selection
    counts: Counts
    campaigns: tuple[CampaignCounts, ...]
    warnings: tuple[str, ...]
    cost: Cost
    after: tuple[str, ...]
    """The IDs of earlier resends of these events. Whoever resends them once more means another resend."""
    events: tuple[Ends, ...]
    """Where the events topics ended: what a run publishes stands behind that."""
    results: Ends
    """Where the results topic ended: outcomes behind that are not in the counts."""
    records: tuple[PlannedPartition, ...]

    @property
    def extend_expiry_seconds(self) -> float | None:
        """The new deadline of records that are `extended`, in seconds from their publication."""
        return self.selection.extend_expiry_seconds

    @property
    def needs_reason(self) -> bool:
        """Whether people who already got the text would get it again, so that somebody must say why."""
        return self.selection.include_accepted


def digest_of(
    records: Sequence[PlannedPartition],
    *,
    cluster_id: str,
    extend_expiry_seconds: float | None,
    after: Sequence[str],
) -> str:
    """Return the digest, in hex, of a set of records and of how they are changed. The order of partitions is theirs.

    Raises:
        BadCodingError: the records cannot be read.
    """
    whole = hashlib.sha256(orjson.dumps([VERSION, cluster_id, extend_expiry_seconds, sorted(after)]))
    for one in records:
        raw = one.raw()
        whole.update(orjson.dumps([one.topic, one.partition, one.count, len(raw)]))
        whole.update(raw)
    return whole.hexdigest()


def resend_id_of(digest: str) -> str:
    """Return the ID of the resend that a plan with this digest describes."""
    return RESEND_PREFIX + digest[:_RESEND_DIGITS]


def document_of(plan: Plan) -> bytes:
    """Return the plan as one JSON document."""
    return orjson.dumps(msgspec.to_builtins(plan), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


_decode: Final = msgspec.json.Decoder(Plan).decode


def plan_of(document: bytes) -> Plan:
    """Return the plan that a document holds.

    Raises:
        NotAPlanError: it holds none, one of another version, or one that was changed by hand.
    """
    version = _version_of(document)
    if version != VERSION:
        raise NotAPlanError(f"a plan of version {version}: this campaign-consumer reads version {VERSION}; plan again")
    try:
        plan = _decode(document)
        digest = digest_of(
            plan.records,
            cluster_id=plan.cluster_id,
            extend_expiry_seconds=plan.extend_expiry_seconds,
            after=plan.after,
        )
        count = sum(sum(1 for _ in one.records()) for one in plan.records)
    except (msgspec.MsgspecError, BadCodingError) as error:
        raise NotAPlanError(f"not a whole plan: {error}") from None
    if (digest, resend_id_of(digest), count) != (plan.digest, plan.resend_id, plan.counts.would_send):
        raise NotAPlanError("the plan is not as it was made: its digest does not fit its records; plan again")
    return plan


def _version_of(document: bytes) -> object:
    try:
        content: object = orjson.loads(document)
    except orjson.JSONDecodeError:
        raise NotAPlanError("not a plan: not JSON") from None
    if not isinstance(content, Mapping) or "version" not in content or "digest" not in content:
        raise NotAPlanError("not a plan of `campaign-consumer replay plan`")
    return content["version"]
