"""What the operator asked for, as frozen values by campaign. Never reads settings: the wiring fills it in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from consumer.core.event import Event


class OnUnknown(StrEnum):
    """What to do with a member whose attempt may have been received although its answer was lost."""

    RESEND = "resend"
    HOLD = "hold"


class SameContact(StrEnum):
    """What becomes of several events of one campaign for one person that have not gone out."""

    SEPARATE = "separate"
    """Each goes out, one after the other."""
    KEEP_LATEST = "keep_latest"
    KEEP_FIRST = "keep_first"


class Meaning(StrEnum):
    """What an HTTP status says about a request, remappable per status."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_DELIVERED = "not_delivered"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePolicy:
    """How much may start in a second; None: as much as there is."""

    requests_per_second: float | None = None
    contacts_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When the platform as a whole is given a rest. Durations are seconds."""

    failure_ratio: float = 0.5
    min_requests: int = 10
    window_seconds: float = 30.0
    open_seconds: float = 5.0
    max_open_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPolicy:
    """The settings of one campaign, after its overrides. Durations are seconds, sizes bytes."""

    window_seconds: float = 2.0
    max_contacts: int = 500
    max_bytes: int = 1024 * 1024
    expires_after_seconds: float | None = None
    on_unknown: OnUnknown = OnUnknown.RESEND
    max_concurrency: int = 8
    same_contact: SameContact = SameContact.SEPARATE
    check_numbers: bool = False
    """Whether an E.164 number that no country has is rejected without a request."""
    weight: float = 1.0
    """Its share of the contacts that go out, beside others that wait."""
    rate: RatePolicy = field(default_factory=RatePolicy)
    """Its own limits by time; those of all campaigns together stand in `Policies`."""
    max_attempts: int = 8
    max_age_seconds: float = 3600.0
    backoff_base_seconds: float = 0.25
    backoff_max_seconds: float = 30.0
    lost_answer_repeats: int = 3
    answers: Mapping[int, Meaning] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireNames:
    """The platform's wire names. `scheduled_at` None: scheduling is not configured."""

    campaign_id: str = "campaignId"
    scheduled_at: str | None = None
    flash: str = "flash"
    charset: str = "charset"
    send_type_override: str = "sendTypeOverride"
    origin_data: str = "originData"
    contacts: str = "contacts"
    external_code: str = "externalCode"
    phone_number: str = "phoneNumber"
    country_code: str = "countryCode"
    phone_e164: str = "phoneE164"
    custom_fields: str = "customFields"
    external_reference: str = "customData"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySizes:
    """How remembered IDs are packed in the journal; no setting, but small in worlds that last for seconds."""

    segment_ids: int = 24_576
    """IDs in one segment at most: 655 KB in the journal, where an append takes 900 KB."""
    run_ids: int = 2_048
    """IDs that are packed, or merged, in one go: a millisecond or two in which the event loop does nothing else."""
    tail_entries: int = 4_096
    """Entries of the journal behind the last segment before one is written: what a take-over replays."""
    small_segments: int = 8
    """Small segments in a row before they are written in one with the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """All that the core asks the operator's settings for."""

    default: CampaignPolicy = field(default_factory=CampaignPolicy)
    campaigns: Mapping[int, CampaignPolicy] = field(default_factory=dict)
    field_names: WireNames = field(default_factory=WireNames)
    configuration: str = "any"
    """Fingerprint of URL, key and field names: with another one, the platform's first 2xx is still to come."""
    max_concurrency: int = 32
    min_concurrency: int = 1
    adaptive_concurrency: bool = True
    reserved_concurrency: int = 4
    """Slots that immediate sends alone may take."""
    rate: RatePolicy = field(default_factory=RatePolicy)
    rates_of_group: bool = True
    """Whether rates hold for the whole group, and each instance takes its share; else each takes them whole."""
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    dry_run: bool = False
    """Whether sends settle `cancelled` at their turn, instead of becoming requests."""
    test_recipients: tuple[str, ...] = field(default=(), repr=False)
    """Phones and codes of those whom events may reach; none: everybody."""
    urgent_topics: frozenset[str] = frozenset()
    """Events topics whose events are immediate unless they say otherwise."""
    max_event_age_seconds: float = 86_400.0
    max_ahead: int = 100_000
    read_ahead: bool = True
    """Whether it is read past what has no room in the buffer."""
    parked_range_records: int = 8_192
    """Records in a parked range at most; no setting, but few in worlds that last for seconds."""
    buffer_max_events: int = 100_000
    buffer_max_bytes: int = 256 * 1024 * 1024
    deduplication_ttl_seconds: float = 3600.0
    deduplication_max_entries: int = 1_000_000
    memory_sizes: MemorySizes = field(default_factory=MemorySizes)
    keeps_traces: bool = False
    """Whether traces are read from records' headers and carried on into their results' headers."""

    def of(self, campaign_id: int) -> CampaignPolicy:
        """Return the policy of a campaign: its own where it has overrides, else the default."""
        return self.campaigns.get(campaign_id, self.default)

    def are_urgent(self, members: Iterable[Event]) -> bool:
        """Return whether one of these has come by an urgent topic."""
        topics = self.urgent_topics
        return bool(topics) and any(event.partition.topic in topics for event in members)
