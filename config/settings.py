"""Every setting with its default, its bounds and what it means. Owns the shape; never reads a file or a variable."""

from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config import kinds
from config.delivery import CampaignDelivery, DeliverySettings
from config.durations import Seconds, SizeBytes
from config.membership import DEFAULT_SESSION_SECONDS
from config.section import DAY, GIB, HOUR, KIB, MIB, Section

SETTLING_SECONDS: Final = 5.0
"""The end of the grace at shutdown, kept for results, checkpoints, commits and leaving the group."""


class Kafka(Section):
    """Brokers, topics and the group."""

    bootstrap_servers: kinds.Brokers = Field(("localhost:9092",), description="Brokers to ask first, as host:port.")
    group_id: kinds.Text = Field("campaign-consumer", description="The consumer group; one group per journal.")
    events_topics: kinds.Topics = Field(("contact-events",), description="Topics of contact events to read.")
    urgent_topics: kinds.Topics | None = Field(
        None,
        description="Topics of contact events that are `immediate` unless they say otherwise; the backlog of the others "
        "never keeps them waiting: they have room in the buffer and slots of their own.",
        examples=["urgent-contact-events"],
    )
    results_topic: kinds.Topic = Field("campaign-send-results", description="Where every record's result goes.")
    dead_letter_topic: kinds.Topic = Field(
        "contact-events-dead-letter", description="Where the bytes of invalid records go."
    )
    journal_topic: kinds.TopicTemplate = Field(
        "{topic}-journal",
        description="The service's own log, one topic per events topic; `{topic}` is the events topic's name.",
    )
    control_topic: kinds.ControlTopic = Field(
        "{group}-control",
        description="Where `campaigns` writes holds and cancellations, one topic per group; `{group}` is `KAFKA__GROUP_ID`.",
    )
    security_protocol: kinds.SecurityProtocol = Field(
        "PLAINTEXT", description="`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`."
    )
    sasl_mechanism: kinds.SaslMechanism | None = Field(
        None,
        description="`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; needed with `SASL_*`.",
        examples=["SCRAM-SHA-512"],
    )
    sasl_username: kinds.Text | None = Field(None, description="User name for SASL.", examples=["campaign-consumer"])
    sasl_password: kinds.Secret | None = Field(
        None, description="Password for SASL; secret.", examples=["better in a file of CAMPAIGN_SECRETS_DIR"]
    )
    ssl_cafile: kinds.CertificatesFile | None = Field(
        None,
        description="CA certificates (PEM) to check the brokers' certificates by; none: the system's.",
        examples=["/etc/kafka/ca.pem"],
    )
    ssl_certfile: kinds.ReadableFile | None = Field(
        None, description="Client certificate (PEM), where brokers ask.", examples=["/etc/kafka/client.pem"]
    )
    ssl_keyfile: kinds.ReadableFile | None = Field(
        None,
        description="The client certificate's key (PEM), where it is not in the same file.",
        examples=["/etc/kafka/client.key"],
    )
    create_topics: bool = Field(
        default=False, description="Create missing topics at start, with settings fit for a try-out (`demo` sets it)."
    )
    max_event_age_seconds: Seconds = Field(
        DAY,
        alias="max_event_age",
        gt=0,
        description="Older events, by `occurredAt`, are `expired`; resends are exempt.",
    )
    max_ahead: kinds.Whole = Field(
        100_000,
        ge=1,
        le=1_000_000_000,
        description="What is read beyond the watermark, per partition, at most: offsets, and ranges of parked ones.",
    )
    read_ahead: bool = Field(
        default=True,
        description="Whether reading goes on past what has no room in the buffer, which is parked and read again later.",
    )
    session_timeout_seconds: Seconds = Field(
        DEFAULT_SESSION_SECONDS,
        alias="session_timeout",
        ge=3,
        le=300,
        description="An instance that is silent for so long loses its partitions to others; brokers set bounds to it, too.",
    )
    group_instance_id: kinds.InstanceId | None = Field(
        None,
        description="Static membership: each instance has a name of its own and keeps it across restarts.",
        examples=["campaign-consumer-0"],
    )

    @property
    def all_events_topics(self) -> tuple[str, ...]:
        """The topics of contact events, the urgent ones last."""
        return (*self.events_topics, *(self.urgent_topics or ()))

    @property
    def control_topic_name(self) -> str:
        """The name of our group's control topic."""
        return self.control_topic.replace("{group}", self.group_id)


class FieldNameSettings(Section):
    """The platform's wire names."""

    campaign_id: kinds.Text = Field("campaignId", description="Wire name of the campaign's ID.")
    scheduled_at: kinds.Text | None = Field(
        None,
        description="Wire name of the schedule; without it an event with `send.scheduledAt` is `rejected`.",
        examples=["scheduleAt"],
    )
    flash: kinds.Text = Field("flash", description="Wire name of the flash flag.")
    charset: kinds.Text = Field("charset", description="Wire name of the character set.")
    send_type_override: kinds.Text = Field("sendTypeOverride", description="Wire name of the type override.")
    origin_data: kinds.Text = Field("originData", description="Wire name of the free object.")
    contacts: kinds.Text = Field("contacts", description="Wire name of the list of contacts.")
    external_code: kinds.Text = Field("externalCode", description="Wire name, in a contact, of its code.")
    phone_number: kinds.Text = Field("phoneNumber", description="Wire name, in a contact, of its local number.")
    country_code: kinds.Text = Field("countryCode", description="Wire name, in a contact, of its country code.")
    phone_e164: kinds.Text = Field("phoneE164", description="Wire name, in a contact, of its E.164 number.")
    custom_fields: kinds.Text = Field("customFields", description="Wire name, in a contact, of its variables.")
    external_reference: kinds.Text = Field("customData", description="Wire name, in a contact, of our reference.")


class Api(Section):
    """The SMS platform's endpoint."""

    url: kinds.EndpointUrl = Field(description="The whole endpoint URL.", examples=[kinds.URL_EXAMPLE])
    server_key: kinds.ServerKey = Field(
        description="The platform's server key; secret.", examples=["better in a file of CAMPAIGN_SECRETS_DIR"]
    )
    timeout_seconds: Seconds = Field(
        10.0, alias="timeout", gt=0, le=300, description="From a request's first byte to its answer."
    )
    connect_timeout_seconds: Seconds = Field(
        5.0, alias="connect_timeout", gt=0, le=60, description="From a request's turn to its first byte: DNS, TCP, TLS."
    )
    keep_alive_seconds: Seconds = Field(
        2.0,
        alias="keep_alive",
        le=HOUR,
        description="Idle connections are closed after this; where the server names a time-out, that wins.",
    )
    ssl_cafile: kinds.CertificatesFile | None = Field(
        None,
        description="CA certificates (PEM) to check the platform's certificate by; none: the system's.",
        examples=["/etc/platform/ca.pem"],
    )
    ssl_certfile: kinds.ReadableFile | None = Field(
        None, description="Client certificate (PEM), where the platform asks.", examples=["/etc/platform/client.pem"]
    )
    ssl_keyfile: kinds.ReadableFile | None = Field(
        None,
        description="The client certificate's key (PEM), where it is not in the same file.",
        examples=["/etc/platform/client.key"],
    )
    proxy: kinds.ProxyUrl | None = Field(
        None,
        description="HTTP proxy on the way to the platform, as http://host:port, maybe with user:password@; none: that of "
        "`HTTPS_PROXY`, unless `NO_PROXY` names the host. Secret.",
        examples=["better in a file of CAMPAIGN_SECRETS_DIR"],
    )
    field_names: FieldNameSettings = Field(default_factory=FieldNameSettings, description="The platform's wire names.")


class WindowSettings(Section):
    """Which events share a send."""

    duration_seconds: Seconds = Field(
        2.0, alias="duration", le=HOUR, description="How long a send waits for company; `0`: until a slot is free."
    )
    max_contacts: kinds.Whole = Field(500, ge=1, le=100_000, description="Contacts in one send, at most.")
    max_bytes: SizeBytes = Field(MIB, ge=KIB, le=64 * MIB, description="Bytes of one send's body, at most.")


class DeduplicationSettings(Section):
    """What is remembered about events that have settled."""

    ttl_seconds: Seconds = Field(HOUR, alias="ttl", gt=0, description="How long a settled event ID is remembered.")
    max_entries: kinds.Whole = Field(
        1_000_000, ge=1, le=1_000_000_000, description="Event IDs remembered, per process, at most."
    )


class Buffer(Section):
    """What may be held in memory."""

    max_events: kinds.Whole = Field(100_000, ge=1, le=1_000_000_000, description="Events held at once, at most.")
    max_bytes: SizeBytes = Field(
        256 * MIB,
        ge=MIB,
        le=1024 * GIB,
        description="Bytes of decoded events held at once, with the windows and sends that they wait in.",
    )


class Shutdown(Section):
    """How the service ends."""

    grace_seconds: Seconds = Field(
        20.0, alias="grace", gt=0, le=HOUR, description="From SIGTERM to the end; the pod's grace must be longer."
    )


class Http(Section):
    """The service's own port."""

    host: kinds.Text = Field("127.0.0.1", description="Address to listen on.")
    port: kinds.Whole = Field(9464, ge=0, le=kinds.LARGEST_PORT, description="Port to listen on; `0`: any free one.")
    token: kinds.Secret | None = Field(
        None,
        description="What the page, `/status` and `/sends` ask for; none: they are open to all who reach the port. Secret.",
        examples=["better in a file of CAMPAIGN_SECRETS_DIR"],
    )


class Log(Section):
    """What is written about what happens."""

    format: kinds.LogFormat | None = Field(
        None, description="`console` or `json`; none: `console` on a terminal, `json` elsewhere.", examples=["json"]
    )
    level: kinds.LogLevel = Field("INFO", description="`DEBUG`, `INFO`, `WARNING` or `ERROR`.")
    sends: bool = Field(
        default=False,
        description="Write one line per request at `INFO`: send, campaign, offsets, answer; otherwise at `DEBUG`.",
    )


class MetricsSettings(Section):
    """What metrics tell apart."""

    campaign_labels: kinds.Whole = Field(
        20,
        ge=0,
        le=1000,
        description="Campaigns with a label of their own: those with settings of their own, then the busiest; the rest is `other`.",
    )


class Campaign(Section):
    """What one campaign does differently; only what is set here counts."""

    window: WindowSettings = Field(default_factory=WindowSettings, description="As WINDOW, for this campaign.")
    delivery: CampaignDelivery = Field(default_factory=CampaignDelivery, description="As DELIVERY, for this campaign.")


class Settings(BaseSettings):
    """All settings. `config.load` reads them; a direct call uses only its arguments."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kafka: Kafka = Field(default_factory=Kafka, description="Brokers, topics and the group.")
    api: Api = Field(description="The SMS platform's endpoint.")
    window: WindowSettings = Field(default_factory=WindowSettings, description="Which events share a send.")
    delivery: DeliverySettings = Field(default_factory=DeliverySettings, description="How sends are delivered.")
    deduplication: DeduplicationSettings = Field(
        default_factory=DeduplicationSettings, description="What is remembered."
    )
    buffer: Buffer = Field(default_factory=Buffer, description="What may be held in memory.")
    shutdown: Shutdown = Field(default_factory=Shutdown, description="How the service ends.")
    http: Http = Field(default_factory=Http, description="The service's own port.")
    log: Log = Field(default_factory=Log, description="What is written about what happens.")
    metrics: MetricsSettings = Field(default_factory=MetricsSettings, description="What metrics tell apart.")
    campaigns: Annotated[Mapping[int, Campaign], kinds.CAMPAIGN_IDS] = Field(
        default_factory=dict, description="What single campaigns do differently."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use the arguments alone: `config.sources` reads environment and files, in its own order."""
        return (init_settings,)

    def journal_topic(self, events_topic: str) -> str:
        """Return the name of an events topic's journal."""
        return self.kafka.journal_topic.replace("{topic}", events_topic)

    def window_of(self, campaign_id: int) -> WindowSettings:
        """Return the window settings that hold for a campaign."""
        own = self.campaigns.get(campaign_id)
        return self.window if own is None else overridden(self.window, own.window)

    def delivery_of(self, campaign_id: int) -> DeliverySettings:
        """Return the delivery settings that hold for a campaign."""
        own = self.campaigns.get(campaign_id)
        return self.delivery if own is None else overridden(self.delivery, own.delivery)


SectionT = TypeVar("SectionT", bound=Section)


def overridden(section: SectionT, by: Section) -> SectionT:
    """Return `section`, overridden by the values that were set in `by`, table by table; defaults in `by` do not count."""
    changes: dict[str, object] = {}
    for name in by.model_fields_set:
        ours, theirs = getattr(section, name), getattr(by, name)
        if isinstance(ours, Section):
            changes[name] = overridden(ours, theirs)
        elif isinstance(ours, Mapping):
            changes[name] = {**ours, **theirs}
        else:
            changes[name] = theirs
    return section.model_copy(update=changes)
